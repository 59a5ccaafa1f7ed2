"""Which requests the express path takes: the hot ones, where they say nothing out of the ordinary.

It looks at the head and the size of the body alone. Whatever it is not sure of is none of them.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any, NamedTuple

from demijohn.auth.caller import Caller, Level
from demijohn.edge.idempotency import key_in
from demijohn.edge.routes import DOCUMENT, DOCUMENTS, GUIDE
from demijohn.edge.tellers import DATA
from demijohn.formats.bson_values import Value
from demijohn.formats.ids import from_segment
from demijohn.formats.media_types import PLAIN
from demijohn.query.names import is_reachable

LARGEST = 16 * 1024
"""Bytes of a body, and of a document that is spelt, on the loop: more would hold up all others."""
_PATH = re.compile(
    rb"/v1/collections/([A-Za-z0-9_.-]+)/documents(?:/([A-Za-z0-9_-][A-Za-z0-9_.~-]{0,127}))?"
)
"""An id that stands for itself, whoever reads it: an ObjectId, or a string of plain characters."""
HOST, CONTENT_TYPE, KEY = b"host", b"content-type", b"idempotency-key"
_HOST = re.compile(rb"(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}(?::[0-9]{1,5})?", re.IGNORECASE)
"""A name, or an address: of any other the framework has its own opinion."""
_PLAINLY = frozenset((b"*/*", b"", PLAIN.encode(), b"application/json, text/plain, */*"))


class _Keys(Container[bytes]):
    """Every value that is an Idempotency-Key."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, bytes) and key_in(value.decode("latin-1")) is not None


_HAS_BODY = {"GET": False, "POST": True, "PUT": True}
WATCHED: dict[bytes, Container[bytes]] = {
    b"accept": _PLAINLY,
    b"content-encoding": frozenset(),
    CONTENT_TYPE: frozenset((PLAIN.encode(), b"application/json; charset=utf-8")),
    KEY: _Keys(),
    b"if-match": frozenset(),
    b"if-none-match": frozenset(),
    b"prefer": frozenset(),
}
"""The headers that the full path looks at, and which of their values it answers plainly to."""


class Line(NamedTuple):
    """What a request asks for: the method, the collection, the id, if any, the route's pattern."""

    method: str
    collection: str
    id: Value | None
    route: str
    key: str | None = None
    """The Idempotency-Key of an insert."""

    @property
    def is_list(self) -> bool:
        """Whether it asks for all that there is."""
        return self.method == "GET" and self.id is None

    def is_for(self, caller: Caller) -> bool:
        """Whether the caller may; the full path says why not.

        It also watches over what lasts longer than a key may.
        """
        level = Level.READ if self.method == "GET" else Level.WRITE
        return caller.may(level, self.collection) and not (self.is_list and caller.id)


def line_of(scope: dict[str, Any], body: bytes) -> Line | None:
    """What is asked for, if it is a hot request and a plain one."""
    method, path = scope["method"], scope["raw_path"]
    if scope["query_string"] or len(body) > LARGEST or bool(body) != _HAS_BODY.get(method):
        return None
    if path == GUIDE.encode():
        line = Line(method, DATA, None, GUIDE) if method != "PUT" else None
    else:
        line = _line_of_v1(method, path)
    if line is None:
        return None
    seen = _seen(scope["headers"])
    if seen is None or HOST not in seen or (body and CONTENT_TYPE not in seen):
        return None
    return line if KEY not in seen else _with_key(line, seen[KEY])


def _line_of_v1(method: str, path: bytes) -> Line | None:
    found = _PATH.fullmatch(path)
    if found is None or not is_reachable(name := found[1].decode("ascii")):
        return None
    if (found[2] is None) != (method == "POST"):
        return None
    if found[2] is None:
        return Line(method, name, None, DOCUMENTS)
    return Line(method, name, from_segment(found[2].decode("ascii")), DOCUMENT)


def _with_key(line: Line, value: bytes) -> Line | None:
    is_insert = line.method == "POST"
    return line._replace(key=key_in(value.decode("latin-1"))) if is_insert else None


def _seen(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """What the full path would look at; None where it would not answer plainly to that."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        plain = WATCHED.get(name)
        if plain is None and name != HOST:
            continue
        # What comes twice is one header to some, and none of ours.
        if name in seen or not (_HOST.fullmatch(value) if plain is None else value in plain):
            return None
        seen[name] = value
    return seen
