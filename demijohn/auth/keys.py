"""Keys: `dj_{id}_{secret}`, of which only a digest is kept.

The secret is 256 random bits, so that nobody finds it by trying, and a plain SHA-256 of it is as
good as any slow digest: those are for passwords, which people choose.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import orjson

from demijohn.auth.caller import CHALLENGE, EVERY, Caller, Level
from demijohn.errors import BadParameter, Unauthenticated
from demijohn.query.names import is_reachable
from demijohn.query.rows import Rows, read_rows

MOST_SCOPES = 100
LONGEST_NAME = 100
_ID_BYTES, _SECRET_BYTES = 8, 32
_KEY = re.compile(r"dj_([0-9a-f]{16})_([0-9a-f]{64})")
_BEARER = re.compile(rf"bearer +{_KEY.pattern}", re.IGNORECASE)
LONGEST_HEADER = 200
"""Characters of an Authorization header that is looked at."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{16}")
_MEMBERS = frozenset(("id", "digest", "scopes", "rows", "name", "created", "expires"))


@dataclass(frozen=True, slots=True)
class Presented:
    """A key as a request brings it."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. Times are seconds since 1970; `expires` is None for never."""

    caller: Caller
    digest: str
    name: str
    created: float
    expires: float | None

    def admits(self, presented: Presented, now: float) -> bool:
        """Whether what was presented is this key, and in its time."""
        is_same = hmac.compare_digest(self.digest, presented.digest)
        return is_same and (self.expires is None or now < self.expires)


def make_key(
    scopes: Iterable[str], rows: Rows | None, name: str, now: float, lifetime: float | None
) -> tuple[Key, str]:
    """A new key, and the text that its holder gets to see once. Raises BadParameter."""
    id_ = secrets.token_hex(_ID_BYTES)
    secret = secrets.token_hex(_SECRET_BYTES)
    caller = Caller(id_, _scopes(list(scopes)), rows)
    expires = None if lifetime is None else now + lifetime
    return Key(caller, _digest(secret), _name(name), now, expires), f"dj_{id_}_{secret}"


def parse(header: str | None) -> Presented | None:
    """The key in an `Authorization` header (RFC 6750, section 2.1); None where there is none.

    Raises Unauthenticated for anything that is no key, several headers among it.
    """
    if header is None:
        return None
    found = _BEARER.fullmatch(header) if len(header) <= LONGEST_HEADER else None
    if found is None:
        raise refusal()
    return Presented(found[1].lower(), _digest(found[2].lower()))


def refusal() -> Unauthenticated:
    """The problem of a key that is not let in, whatever is wrong with it."""
    value = f'{CHALLENGE[0][1]}, error="invalid_token"'
    return Unauthenticated("The key is not a valid one.", headers=((CHALLENGE[0][0], value),))


def to_record(key: Key) -> dict[str, Any]:
    """The key as JSON has it: for a file, for the database, and for people."""
    scopes = [f"{name}:{level.name.lower()}" for name, level in key.caller.scopes.items()]
    record: dict[str, Any] = {"id": key.caller.id, "digest": key.digest, "scopes": scopes}
    if key.caller.rows is not None:
        record["rows"] = orjson.loads(key.caller.rows.text)
    if key.name:
        record["name"] = key.name
    record["created"] = _moment(key.created)
    if key.expires is not None:
        record["expires"] = _moment(key.expires)
    return record


def from_record(record: Any) -> Key:  # noqa: ANN401 - any JSON value
    """The key that a record is of. Raises BadParameter."""
    if not isinstance(record, dict) or not record.keys() <= _MEMBERS:
        raise BadParameter(f"A key is an object of {', '.join(sorted(_MEMBERS))}.")
    id_, digest = record.get("id"), record.get("digest")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        raise BadParameter("id is 16 hex digits.")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadParameter("digest is sha256: and 64 hex digits.")
    rows = record.get("rows")
    # Not by orjson, which refuses some of what JSON may hold by errors of its own.
    filter_ = None if rows is None else read_rows(json.dumps(rows).encode())
    caller = Caller(id_, _scopes(record.get("scopes")), filter_)
    created, expires = record.get("created"), record.get("expires")
    return Key(
        caller,
        digest,
        _name(record.get("name", "")),
        0.0 if created is None else _seconds("created", created),
        None if expires is None else _seconds("expires", expires),
    )


def _digest(secret: str) -> str:
    return f"sha256:{sha256(secret.encode()).hexdigest()}"


def _scopes(given: Any) -> Mapping[str, Level]:  # noqa: ANN401 - any JSON value
    """The scopes in `{collection or *}:{read|write|admin}`."""
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_SCOPES:
        raise BadParameter(f"A key has 1 to {MOST_SCOPES} scopes.")
    found: dict[str, Level] = {}
    for each in given:
        name, colon, word = each.rpartition(":") if isinstance(each, str) else ("", "", "")
        if not colon or word.upper() not in Level.__members__ or word != word.lower():
            raise BadParameter(
                f"A scope is COLLECTION:read, :write or :admin, not {str(each)[:100]}."
            )
        if name != EVERY and not is_reachable(name):
            raise BadParameter(f"A scope names a collection or *, not {name[:100]}.")
        found[name] = max(found.get(name, Level.READ), Level[word.upper()])
    return MappingProxyType(found)


def _name(given: Any) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(given, str) or len(given) > LONGEST_NAME or not given.isprintable():
        raise BadParameter(f"A key's name has at most {LONGEST_NAME} printable characters.")
    return given


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _seconds(member: str, text: Any) -> float:  # noqa: ANN401 - any JSON value
    with suppress(TypeError, ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            # Elsewhere it may be a year that is none in UTC, in which records have it.
            return moment.astimezone(UTC).timestamp()
    raise BadParameter(f"{member} is a time as in 2026-01-31T00:00:00Z (RFC 3339).")
