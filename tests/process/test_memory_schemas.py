"""Memory promises of schemas: neither one that is none nor a document that does not fit is dear."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import islice
from typing import Any

import jsonschema_rs
import pytest

from demijohn.errors import InvalidDocument, InvalidSchema
from demijohn.schemas.schema import LARGEST, compile_schema
from tests.bench.usage import peak, reset_peak, resident

MIB = 1024 * 1024
MOST = 32 * MIB
"""What one schema or one document may take for a moment: there are sixteen threads, and 512 MiB."""
LETTERS = r"\p{L}{24}"
"""Nearly a MiB, compiled."""
META = {"$ref": "https://json-schema.org/draft/2020-12/schema"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


def _taken(work: Callable[[], object]) -> int:
    """Bytes that this process takes for a piece of work, at most."""
    own = os.getpid()
    rest = resident(own)
    reset_peak(own)
    work()
    return peak(own) - rest


def _list_of(begin: str, unit: str, end: str) -> bytes:
    """A schema of the largest size that is taken."""
    return (begin + ",".join([unit] * ((LARGEST - 100) // (len(unit) + 1))) + end).encode()


NO_SCHEMAS = {
    "parts that are none": _list_of('{"allOf":[', "1", "]}"),
    "properties that are none": json.dumps(
        {"properties": {f"{at:x}": 1 for at in range(20_000)}}
    ).encode(),
    "types that are none": _list_of('{"allOf":[', '{"type":1}', "]}"),
    "one type of many": _list_of('{"type":[', '"x"', "]}"),
    "names that are none": _list_of('{"required":[', "1", "]}"),
    "dependencies": _list_of('{"dependencies":{"a":{"allOf":[', "1", "]}}}"),
    "many patterns in dependencies": json.dumps(
        {"dependencies": {"a": {"allOf": [{"pattern": f"{LETTERS}{at}"} for at in range(300)]}}}
    ).encode(),
    "large patterns": json.dumps(
        {"allOf": [{"pattern": f"{LETTERS}{at}"} for at in range(200)]}
    ).encode(),
}


@pytest.mark.parametrize("text", NO_SCHEMAS.values(), ids=list(NO_SCHEMAS))
def test_what_is_no_schema_takes_little_memory(text: bytes) -> None:
    """However many places are wrong: it is refused, with at least one of them or in one word."""

    def refuse() -> None:
        with pytest.raises(InvalidSchema) as caught:
            compile_schema(text)
        assert 1 <= len(caught.value.faults) <= 20

    assert _taken(refuse) <= MOST


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of what is in the list `a`."""
    return {"properties": {"a": {"items": schema}}}


UNFIT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "many parts at the top": (
        {"allOf": [{"required": ["x"]} for _ in range(1_000)]},
        {"a": "y" * 2_000_000},
    ),
    "many required names": ({"required": [f"{at}" for at in range(9_000)]}, {"a": "y" * 100_000}),
    "a long list to choose from": (_items({"enum": list(range(30_000))}), {"a": ["q"] * 2_000}),
    "a long constant": (_items({"const": "x" * 250_000}), {"a": ["q"] * 2_000}),
    "a long name": (_items({"required": ["x" * 250_000]}), {"a": [{}] * 2_000}),
    "a long pattern": (_items({"pattern": "x" * 30_000}), {"a": ["q"] * 2_000}),
    "names of members": (
        {"propertyNames": {"pattern": "x" * 30_000}},
        {f"k{at}": 1 for at in range(7_000)},
    ),
    "a long way": (
        {"properties": {"x" * 200_000: {"items": {"type": "string"}}}},
        {"x" * 200_000: [1] * 5_000},
    ),
    "alternatives": (_items({"anyOf": [{"type": "null"}] * 50}), {"a": ["y" * 3_000] * 500}),
    "many items": (_items({"type": "string", "minLength": 3}), {"a": [1] * 14_000}),
}


@pytest.mark.parametrize(("schema", "document"), UNFIT.values(), ids=list(UNFIT))
def test_what_does_not_fit_takes_little_memory(
    schema: dict[str, Any], document: dict[str, Any]
) -> None:
    """However many faults a document has, and however much each of them holds."""
    compiled = compile_schema(json.dumps(schema).encode())

    def refuse() -> None:
        with pytest.raises(InvalidDocument) as caught:
            compiled.check(document)
        assert 1 <= len(caught.value.faults) <= 20

    assert _taken(refuse) <= MOST


def test_usual_documents_are_told_all_their_faults() -> None:
    """The bounds leave what people write alone: twenty faults of a hundred, each with its place."""
    field = {"type": "string", "minLength": 1, "pattern": "^[a-z]+$", "enum": ["a", "b", "c"]}
    names = [f"field {at}" for at in range(100)]
    schema = {"type": "object", "required": names, "properties": dict.fromkeys(names, field)}
    compiled = compile_schema(json.dumps(schema).encode())

    with pytest.raises(InvalidDocument) as caught:
        compiled.check({name: at for at, name in enumerate(names)})

    assert len(caught.value.faults) == 20
    with pytest.raises(InvalidSchema) as refused:
        compile_schema(b'{"allOf":[1,2,{"type":"x"}]}')
    assert {"/allOf/0", "/allOf/1"} <= {each.pointer for each in refused.value.faults}


def test_control_the_engine_alone_takes_far_more() -> None:
    """The control: asked for its first twenty faults, the engine finds all of them first."""
    form = jsonschema_rs.Draft202012Validator(META, offline=True)
    value = {"allOf": [1] * 8_000}

    assert _taken(lambda: list(islice(form.iter_errors(value), 20))) > 2 * MOST
