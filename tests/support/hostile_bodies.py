"""The worst bodies of a permitted size, for each reader of bodies that the service has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.support.api import EJSON, JSON_PATCH, MERGE, THINGS, UPDATE

JSON = "application/json"
LINES = "application/x-ndjson"
COLLECTION = THINGS.removesuffix("/documents")
VICTIM = f"{THINGS}/victim"
"""A document that patches are sent to."""
DEPTH = 90
"""Below the 100 levels that are kept."""
LARGEST_SCHEMA = 256 * 1024
_CHOICES = '{"a":{"$in":[' + ",".join("1" * 9_000) + "]}}"
_LARGE_ADD = '{"op":"add","path":"/a","value":[' + ",".join(["[]"] * 6_500) + "]}"
_COPY = '{"op":"copy","from":"/a","path":"/a/-"}'
"""Each doubles what there is."""


@dataclass(frozen=True)
class Attack:
    """A request: what it costs is in its body. It may get one of the statuses, 503 apart."""

    name: str
    method: str
    path: str
    kind: str
    body: Callable[[int], bytes]
    """The body, of about so many bytes and no more."""
    statuses: frozenset[int]

    def headers(self, size: int) -> tuple[str, ...]:
        """The request's, for a body of this size."""
        return (f"Content-Type: {self.kind}", f"Content-Length: {size}", "Prefer: return=minimal")


def attacks() -> Iterator[Attack]:
    """All of them, each of another kind."""
    yield from _documents()
    yield from _patches()
    yield from _many()
    yield from _questions()
    yield from _schemas()


def _documents() -> Iterator[Attack]:
    plain = {
        "arrays": _listed('{"a":[', "[]", "]}"),
        "objects": _listed('{"a":[', "{}", "]}"),
        "nested": _listed('{"a":[', "[" * DEPTH + "]" * DEPTH, "]}"),
        "escapes": _repeated('{"a":"', r"\u0000\ud83d\ude00", '"}'),
        "wide characters": _repeated('{"a":"', "\U0001f377", '"}'),
        "numbers": _listed('{"a":[', "1e-9", "]}"),
        "keys": _keyed('{"a":{', "}}"),
        "one key": _repeated('{"', "k", '":1}'),
        "one key again and again": _listed("{", '"a":[]', "}"),
        "too deep": _repeated('{"a":', "[", ""),
        "a fault at each place": _listed('{"a":[', '{"$a":1}', "]}"),
        "no end": _repeated('{"a":"', "x", ""),
    }
    for name, body in plain.items():
        yield Attack(f"document: {name}", "POST", THINGS, JSON, body, frozenset({201, 400, 422}))
    extended = {
        "decimals": '{"$numberDecimal":"1E-6176"}',
        "binaries": '{"$binary":{"base64":"","subType":"00"}}',
        "whole numbers": "1",
        "dates": '{"$date":{"$numberLong":"-1"}}',
        "code": '{"$code":"","$scope":{}}',
        "expressions": '{"$regularExpression":{"pattern":"","options":""}}',
        "objects": '{"":1}',
    }
    for name, unit in extended.items():
        body = _listed('{"a":[', unit, "]}")
        yield Attack(f"Extended: {name}", "POST", THINGS, EJSON, body, frozenset({201, 400, 422}))


def _patches() -> Iterator[Attack]:
    given = {
        "merge": (MERGE, _keyed('{"a":{', "}}")),
        "merge of nothing": (MERGE, _listed('{"a":[', "null", "]}")),
        "Extended": (EJSON, _listed('{"a":[', "{}", "]}")),
        "add": (JSON_PATCH, _listed("[", '{"op":"add","path":"/a","value":[]}', "]")),
        "large values": (JSON_PATCH, _listed("[", _LARGE_ADD, "]", most=100)),
        "doubling": (JSON_PATCH, _listed("[", _COPY, "]", most=100)),
        "test": (JSON_PATCH, _listed("[", '{"op":"test","path":"/_id","value":"victim"}', "]")),
        "deep paths": (JSON_PATCH, _repeated('[{"op":"remove","path":"', "/a", '"}]')),
        "operators": (UPDATE, _keyed('{"$set":{', "}}")),
        "pushes": (UPDATE, _listed('{"$push":{"a":{"$each":[', "[]", "]}}}")),
    }
    for name, (kind, body) in given.items():
        may = frozenset({200, 204, 400, 409, 412, 413, 422, 504})
        yield Attack(f"patch: {name}", "PATCH", VICTIM, kind, body, may)


def _many() -> Iterator[Attack]:
    may = frozenset({200, 201, 207, 400, 413, 422})
    given = {
        "empty ones": (JSON, _listed("[", "{}", "]")),
        "as many as are taken": (JSON, _listed("[", '{"a":[[],[],[]]}', "]", most=100_000)),
        "none": (JSON, _listed("[", "1", "]")),
        "lines of none": (LINES, _repeated("", "1\n", "")),
        "a line without an end": (LINES, _repeated('{"a":"', "x", "")),
        "lines of brackets": (LINES, _repeated("", "[" * 1000 + "\n", "")),
        "blank lines": (LINES, _repeated("", "\n", "")),
    }
    for name, (kind, body) in given.items():
        yield Attack(f"many: {name}", "POST", THINGS, kind, body, may)


def _questions() -> Iterator[Attack]:
    may = frozenset({200, 400, 422, 504})
    search = {
        "alternatives": _listed('{"filter":{"$or":[', '{"a":1}', "]}}"),
        "choices": _listed('{"filter":{"a":{"$in":[', "1", "]}}}"),
        "many choices": _listed('{"filter":{"$or":[', _CHOICES, "]}}"),
        "depth": _repeated('{"filter":', '{"$nor":[', ""),
        "fields": _keyed('{"filter":{', "}}"),
        "expressions": _listed('{"filter":{"$or":[', '{"a":{"$regex":"(a+)+$"}}', "]}}"),
        "one expression": _repeated('{"filter":{"a":{"$regex":"', "(a|a)*", '"}}}'),
    }
    for name, body in search.items():
        yield Attack(f"search: {name}", "POST", f"{COLLECTION}/search", JSON, body, may)
    pipelines = {
        "stages": _listed('{"pipeline":[', '{"$match":{"a":1}}', "]}"),
        "large stages": _listed('{"pipeline":[', '{"$match":' + _CHOICES + "}", "]}", most=100),
        "fields": _keyed('{"pipeline":[{"$project":{', "}}]}"),
        "depth": _repeated('{"pipeline":[{"$match":', '{"$and":[', ""),
    }
    for name, body in pipelines.items():
        yield Attack(f"pipeline: {name}", "POST", f"{COLLECTION}/aggregate", JSON, body, may)


def _schemas() -> Iterator[Attack]:
    may = frozenset({200, 201, 400, 413, 422, 504})
    schemas = {
        "references": _references,
        "alternatives": _listed('{"schema":{"anyOf":[', '{"type":"string"}', "]}}"),
        "enumeration": _listed('{"schema":{"enum":[', "[]", "]}}"),
        "patterns": _listed('{"schema":{"allOf":[', '{"pattern":"(a{99}){99}"}', "]}}"),
        "one pattern": _repeated('{"schema":{"pattern":"', "(a|a)*", '"}}'),
        "a pattern of repetitions": _repeated('{"schema":{"pattern":"', "(", ')"}}'),
        "properties": _keyed('{"schema":{"properties":{', "}}}"),
        "depth": _repeated('{"schema":', '{"not":', ""),
    }
    for name, body in schemas.items():
        yield Attack(f"schema: {name}", "PUT", "/v1/collections/schemas", JSON, body, may)
        within = partial(_at_most, LARGEST_SCHEMA, body)
        yield Attack(f"small schema: {name}", "PUT", "/v1/collections/schemas", JSON, within, may)


def _listed(begin: str, unit: str, end: str, most: int = 10_000_000) -> Callable[[int], bytes]:
    """As many units as fit, or `most`, with commas between."""

    def body(size: int) -> bytes:
        fit = (size - len(begin + end)) // (len(unit) + 1)
        return (begin + ",".join([unit] * min(fit, most)) + end).encode()

    return body


def _at_most(bytes_: int, body: Callable[[int], bytes], size: int) -> bytes:
    return body(min(size, bytes_))


def _repeated(begin: str, unit: str, end: str) -> Callable[[int], bytes]:
    """As many units as fit, without anything between."""
    length = len(unit.encode())
    return lambda size: (begin + unit * ((size - len(begin + end)) // length) + end).encode()


def _keyed(begin: str, end: str) -> Callable[[int], bytes]:
    """As many fields as fit, each of another name."""

    def body(size: int) -> bytes:
        fields = (f'"{number:x}":1' for number in range((size - len(begin + end)) // 11))
        return (begin + ",".join(fields) + end).encode()

    return body


def _references(size: int) -> bytes:
    """Definitions that each refer to the one before twice: as a tree they are 2 to their number."""
    definitions: dict[str, object] = {"d0": {"type": "string"}}
    for number in range(1, size // 90):
        before = {"$ref": f"#/$defs/d{number - 1}"}
        definitions[f"d{number}"] = {"allOf": [before, before]}
    top = {"$ref": f"#/$defs/d{len(definitions) - 1}"}
    return json.dumps({"schema": {"$defs": definitions, **top}}).encode()
