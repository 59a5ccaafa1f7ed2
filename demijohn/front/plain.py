"""Which requests the express path takes: the hot ones, where they say nothing out of the ordinary.

It looks at the head and the size of the body alone. Whatever it is not sure of is none of them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from demijohn.auth.caller import Level
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
HOST, CONTENT_TYPE = b"host", b"content-type"
_HOST = re.compile(rb"(?:[a-z0-9-]{1,63}\.)*[a-z0-9-]{1,63}(?::[0-9]{1,5})?", re.IGNORECASE)
"""A name, or an address: of any other the framework has its own opinion."""
_PLAINLY = frozenset((b"*/*", b"", PLAIN.encode(), b"application/json, text/plain, */*"))
WATCHED: dict[bytes, frozenset[bytes]] = {
    b"accept": _PLAINLY,
    b"content-encoding": frozenset(),
    CONTENT_TYPE: frozenset((PLAIN.encode(), b"application/json; charset=utf-8")),
    b"idempotency-key": frozenset(),
    b"if-match": frozenset(),
    b"if-none-match": frozenset(),
    b"prefer": frozenset(),
}
"""The headers that the full path looks at, and which of their values it answers plainly to."""


class Line(NamedTuple):
    """What a request asks for: the collection, the id, if any, and the route's pattern."""

    collection: str
    id: Value | None
    route: str
    is_list: bool = False

    @property
    def is_insert(self) -> bool:
        """Whether it is neither a read nor the list."""
        return self.id is None and not self.is_list

    @property
    def level(self) -> Level:
        """What its caller has to be let do in the collection."""
        return Level.WRITE if self.is_insert else Level.READ


def line_of(scope: dict[str, Any], body: bytes) -> Line | None:
    """What is asked for, if it is a hot request and a plain one."""
    method, path = scope["method"], scope["raw_path"]
    if scope["query_string"] or len(body) > LARGEST or method not in ("GET", "POST"):
        return None
    if path == GUIDE.encode():
        line = Line(DATA, None, GUIDE, is_list=method == "GET")
    else:
        found = _PATH.fullmatch(path)
        if found is None or not is_reachable(name := found[1].decode("ascii")):
            return None
        id_ = None if found[2] is None else from_segment(found[2].decode("ascii"))
        line = Line(name, id_, DOCUMENTS if id_ is None else DOCUMENT)
    is_insert = line.is_insert
    if is_insert != (method == "POST") or is_insert != bool(body):
        return None
    return line if _is_plain(scope["headers"], has_body=is_insert) else None


def _is_plain(headers: list[tuple[bytes, bytes]], *, has_body: bool) -> bool:
    """Whether the headers say nothing that the full path would have to look at."""
    seen = set()
    for name, value in headers:
        plain = WATCHED.get(name)
        if plain is None and name != HOST:
            continue
        # What comes twice is one header to some, and none of ours.
        if name in seen or not (_HOST.fullmatch(value) if plain is None else value in plain):
            return False
        seen.add(name)
    return HOST in seen and (CONTENT_TYPE in seen or not has_body)
