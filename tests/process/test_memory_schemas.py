"""Memory promises of schemas: one that is none, a document that does not fit, and very many."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from typing import Any

import jsonschema_rs
import pymongo
import pytest
from bson import ObjectId

from demijohn.documents.collections import COLLECTION
from demijohn.errors import InvalidDocument, InvalidSchema
from demijohn.schemas.footprint import MOST as MOST_OF_ONE
from demijohn.schemas.schema import LARGEST, compile_schema
from demijohn.web.openapi.route import LEFT_OUT, MOST_COLLECTIONS, MOST_TEXT
from tests.bench.usage import peak, reset_peak, resident
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.raw_http import ask, head
from tests.support.service import Service

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


def _of(size: int, begin: str, unit: Callable[[int], str], end: str) -> bytes:
    """A schema of about that size, made of units."""
    units = [unit(at) for at in range(size // (len(unit(size)) + 1))]
    return (begin + ",".join(units) + end).encode()


KEPT = {
    "objects": _of(90_000, '{"enum":[', lambda _: '{"":0}', "]}"),
    "objects in objects": _of(80_000, '{"enum":[', lambda _: '{"":{"":{}}}', "]}"),
    "wide objects": _of(90_000, '{"enum":[{', lambda at: f'"{at:x}":0', "}]}"),
    "numbers": _of(90_000, '{"enum":[', lambda _: "0", "]}"),
    "lists": _of(90_000, '{"enum":[', lambda _: "[]", "]}"),
    "text": json.dumps({"title": "x" * 90_000}).encode(),
    "names": _of(90_000, '{"dependentRequired":{', lambda at: f'"{at:x}":["a"]', "}}"),
    "members": _of(90_000, '{"properties":{', lambda at: f'"{at:x}":{{"minimum":1}}', "}}"),
    "alternatives": _of(90_000, '{"anyOf":[', lambda _: '{"enum":[1]}', "]}"),
    "what is left": _of(
        90_000,
        '{"unevaluatedProperties":false,"allOf":[',
        lambda _: '{"properties":{"a":{}}}',
        "]}",
    ),
    "what references leave": json.dumps(
        {
            "$defs": {"a": {"properties": {f"{at}": {"minimum": 1} for at in range(75)}}},
            "allOf": [{"$ref": "#/$defs/a", "unevaluatedProperties": False}] * 100,
        }
    ).encode(),
    "small patterns": json.dumps(
        {"anyOf": [{"pattern": f"[ab]*a[ab]{{12}}{at}"} for at in range(50)]}
    ).encode(),
    "large patterns": json.dumps(
        {"anyOf": [{"pattern": rf"\p{{L}}{{{20 + at % 4}}}"} for at in range(7)]}
    ).encode(),
}
SEEN = ["".join("ab"[(at * at >> 3) % 2] for at in range(4_000)), "Ж" * 1_000, "a" * 50 + "é"]
"""Texts of which an engine of patterns finds out a lot."""


def test_a_schema_takes_what_is_said_of_it() -> None:
    """Kept and used by many threads: at most its `footprint`, by which those kept are bounded."""
    fresh = multiprocessing.get_context("spawn")  # here there is room that others have left
    with ProcessPoolExecutor(1, fresh) as pool:
        taken = pool.submit(_taken_by_all).result()
    for name, (bytes_, said) in taken.items():
        print(f"{name}: {bytes_ / 1024:,.0f} KiB, said {said / 1024:,.0f}")
    assert {name for name, (bytes_, said) in taken.items() if bytes_ > said} == set()
    assert all(said <= MOST_OF_ONE for _, said in taken.values())


def _taken_by_all() -> dict[str, tuple[float, int]]:
    """`_taken_by` of each, in a copy of this process of its own."""
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return dict(zip(KEPT, pool.map(_taken_by, KEPT.values(), chunksize=1), strict=True))


def _taken_by(text: bytes) -> tuple[float, int]:
    """Bytes that this process takes for each of some, and what is said of it."""
    compile_schema(text)
    gc.collect()
    before = resident(os.getpid())
    schemas = [compile_schema(text) for _ in range(3)]
    if b'"pattern"' in text:
        _used(schemas)
    gc.collect()
    return (resident(os.getpid()) - before) / len(schemas), schemas[0].footprint


def _used(schemas: list[Any]) -> None:
    def use() -> None:
        for each in schemas:
            for text in SEEN:
                each.fits(text)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_what_would_take_too_much_is_no_schema() -> None:
    """One that could not be kept beside any other is refused when it is put."""
    with pytest.raises(InvalidSchema, match="too much memory"):
        compile_schema(_of(LARGEST - 1_000, '{"enum":[', lambda _: '{"":0}', "]}"))


DEAR = _of(100_000, '{"default":[', lambda _: '{"":0}', "]}")
"""A schema that every document fits. Compiled it takes 10 MiB."""
CEILING = 512 * MIB
"""What the guide's manifest gives a container."""


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("schemas", [60, pytest.param(2_000, marks=pytest.mark.soak)])
def test_very_many_schemas(database: Database, own_service: Starter, schemas: int) -> None:
    """A worker stays inside its memory, however many collections have a schema, and serves all."""
    names = [f"dear{at}" for at in range(schemas)]
    _configure(database, names, DEAR)
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "schemas"})
    (worker,) = service.workers()
    reset_peak(worker)

    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda name: _insert(service, name), names))
    after = resident(worker)
    listed = ask(service.port, head("GET", "/v1/collections")).body.decode()
    held = _described(service, schemas)
    _configure(database, [f"a{at}" for at in range(MOST_COLLECTIONS)], b'{"type":"object"}')
    wait_until(lambda: "collection.a0" in _described(service, schemas + MOST_COLLECTIONS), "seen")
    of_many = _described(service, schemas + MOST_COLLECTIONS)
    most = peak(worker)

    print(f"{schemas} schemas: {dict(statuses)}; {after / MIB:.0f}, at most {most / MIB:.0f} MiB")
    assert service.workers() == [worker]
    assert statuses == {201: schemas}
    assert {name for name in names if f'"{name}"' not in listed} == set()
    assert len(held) == MOST_TEXT // len(DEAR)
    assert of_many == {f"collection.a{at}" for at in range(MOST_COLLECTIONS)}
    assert most <= CEILING


def _described(service: Service, schemas: int) -> set[str]:
    """The collections whose schemas the description has; of all others it says how many."""
    answer = ask(service.port, head("GET", "/openapi.json"))
    assert answer.status == 200
    description = json.loads(answer.body)
    found = {each for each in description["components"]["schemas"] if "collection." in each}
    assert len(found) + description[LEFT_OUT] in {schemas, schemas - MOST_COLLECTIONS}
    return found


def _configure(database: Database, names: list[str], schema: bytes) -> None:
    """As the service does it, for less."""
    with pymongo.MongoClient[dict[str, object]](database.uri) as client:
        client["schemas"][COLLECTION].insert_many(
            {"_id": name, "version": ObjectId(), "require_if_match": False, "schema": schema}
            for name in names
        )


def _insert(service: Service, name: str) -> int:
    """The status; told that others need too much at this moment, a client asks again."""
    body = b'{"a":1}'
    told = f"Content-Length: {len(body)}", "Content-Type: application/json"
    request = head("POST", f"/v1/collections/{name}/documents", *told) + body
    while (status := ask(service.port, request).status) == 503:
        time.sleep(0.05)
    return status
