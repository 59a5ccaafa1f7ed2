"""Keys made when a test runs, put where a service that asks for keys finds them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from demijohn.auth.keyring import Kept
from demijohn.auth.keys import Key, make_key
from demijohn.query.rows import read_rows
from tests.support.api import Answer, Api, Check
from tests.support.database import Database
from tests.support.stores import own_store

DEEP_ROWS = '{"meta.team.id":7,"meta.open":true}'
"""The row filter of the key `deep`."""
GUESSES_WITHOUT_END = {"DEMIJOHN_RATE_FAILED_AUTH": "0"}


def new_key(
    *scopes: str, rows: str | None = None, lifetime: float | None = None
) -> tuple[Key, str]:
    """A key, and the text that a request shows."""
    held_to = None if rows is None else read_rows(rows.encode())
    return make_key(scopes, held_to, "", time.time(), lifetime)


@contextmanager
def keeping(database: Database, name: str) -> Iterator[Kept]:
    """The keys in a MongoDB database of this name."""
    with own_store(database, name) as store:
        yield Kept(store)


def settings(database: Database, name: str) -> dict[str, str]:
    """The settings of a service that asks for the keys of `keeping`."""
    return {
        "MONGODB_URI": database.uri,
        "DEMIJOHN_DATABASE": name,
        "DEMIJOHN_AUTH": "keys",
        **GUESSES_WITHOUT_END,
    }


class Caller(Api):
    """A client that shows a key with every request, or none."""

    def __init__(self, url: str, key: str | None, check: Check | None = None) -> None:
        """Take the service's address, the key's text, and what each answer is held against."""
        super().__init__(url, check)
        self._own = {} if key is None else {"Authorization": f"Bearer {key}"}

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request with the key."""
        return super().ask(method, path, body, {**self._own, **(headers or {})})


def keys_of_every_kind(database: Database, name: str) -> dict[str, str]:
    """The texts of keys for the collections `things` and `data`, those that are not let in too."""
    made = {
        "reader": new_key("things:read", "data:read"),
        "writer": new_key("things:write", "data:write"),
        "admin": new_key("things:admin", "data:admin"),
        "every": new_key("*:read"),
        "other": new_key("other:admin", "thing:admin", "things.x:admin", "dat:admin"),
        "eve": new_key("*:admin", rows='{"owner":"eve"}'),
        "ada": new_key("*:admin", rows='{"owner":"ada"}'),
        "bob": new_key("*:admin", rows='{"owner":"bob"}'),
        "deep": new_key("*:admin", rows=DEEP_ROWS),
        "all": new_key("*:admin"),
        "revoked": new_key("*:admin"),
        "expired": new_key("*:admin", lifetime=-1),
    }
    with keeping(database, name) as kept:
        for key, _ in made.values():
            kept.add(key)
        kept.remove(made["revoked"][0].caller.id)
    return {name: text for name, (_, text) in made.items()}
