"""Row filters in the store, on a real server: what the database finds, and each command's hold.

On a standalone too, where a change is no transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import bson
import pymongo
import pytest
from bson import Decimal128, Int64, ObjectId, Regex
from bson.raw_bson import RawBSONDocument
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from demijohn.errors import Forbidden, Problem, WriteConflict
from demijohn.formats.bson_values import STRING, encode, from_python
from demijohn.query.rows import read_rows
from demijohn.store.documents import Store
from demijohn.store.finds import Unread
from demijohn.store.hold import Hold
from demijohn.store.inserts import Inserts
from demijohn.store.reading import Query
from tests.support.database import Database
from tests.support.stores import THINGS, own_store
from tests.support.tenants import FAILING, FOREIGN
from tests.support.together_ride import patiently

DATABASE = "rows"
ADA = read_rows(b'{"owner":"ada"}')
OWN = {"a1": {"owner": "ada", "n": 0}, "a2": {"owner": "ada", "n": 1}}
SIGNALLING = Decimal128("sNaN")
VALUES: list[object] = [
    *("ada", "ADA", "ada\0", "", "\u00e9", "e\u0301", "1", "0" * 24, ObjectId("0" * 24)),
    *(None, True, False, 1, Int64(1), 1.0, Decimal128("1.0"), 0, -0.0, Decimal128("-0")),
    *(float("nan"), Decimal128("NaN"), SIGNALLING, float("inf"), Decimal128("1E+6144")),
    *(2**53 + 1, float(2**53), Decimal128(str(2**53 + 1)), 2**63 - 1, float(2**63)),
    *(Regex("ada"), b"ada", {}, []),
]
"""What is near to what a row filter may hold."""
FILTERS = [
    read_rows(text.encode())
    for text in (
        '{"a":"ada"}',
        '{"a":""}',
        '{"a":"ada\\u0000"}',
        '{"a":"\u00e9"}',
        '{"a":1}',
        '{"a":{"$numberLong":"1"}}',
        '{"a":0}',
        '{"a":9007199254740993}',
        '{"a":9223372036854775807}',
        '{"a":true}',
        '{"a":false}',
        '{"a":{"$oid":"000000000000000000000000"}}',
        '{"a.b":"ada"}',
        '{"a.b":1}',
        '{"a.b.a":"ada"}',
        '{"a.b":"ada","a.a":1}',
        '{"a":"ada","b":1}',
    )
]
NAMES = st.sampled_from(["a", "b", "a.b", "A", "0", "a.0", "a "])
NODES = st.recursive(
    st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=3),
    max_leaves=5,
)
MEMBERS = st.lists(st.tuples(NAMES, NODES), max_size=4)
"""A document's members, the same name twice among them."""


def written(members: list[Any]) -> bytes:
    """The BSON of members, as they are: a name that comes twice is there twice."""
    content = b"".join(_element(name, value) for name, value in members)
    return struct.pack("<i", len(content) + 5) + content + b"\0"


def _element(name: str, value: object) -> bytes:
    is_document = isinstance(value, list) and value and all(isinstance(e, tuple) for e in value)
    if is_document or isinstance(value, list):
        members = value if is_document else [(str(at), e) for at, e in enumerate(value)]  # type: ignore[arg-type,var-annotated]
        return bytes([3 if is_document else 4]) + name.encode() + b"\0" + written(members)  # type: ignore[arg-type]
    encoded = bson.encode({"x": value})
    return encoded[4:5] + name.encode() + encoded[6:-1]


@pytest.fixture(scope="module")
def raw(database: Database) -> Iterator[pymongo.MongoClient[RawBSONDocument]]:
    """A client to which documents are bytes."""
    client: pymongo.MongoClient[RawBSONDocument]
    with pymongo.MongoClient(database.uri, document_class=RawBSONDocument) as client:
        yield client


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(MEMBERS, min_size=1, max_size=12))
def test_a_filter_is_the_same_to_the_database_and_to_the_service(
    raw: pymongo.MongoClient[RawBSONDocument], documents: list[list[tuple[str, object]]]
) -> None:
    """What may be written is what is found, whatever there is under the path or on the way."""
    collection = raw[DATABASE]["alike"]
    collection.delete_many({})
    for at, members in enumerate(documents):
        collection.insert_one(RawBSONDocument(written([("_id", at), *members])))
    stored = [bytes(each.raw) for each in collection.find()]
    for rows in FILTERS:
        found = [bytes(each.raw) for each in collection.find(RawBSONDocument(rows.bson))]
        assert found == [each for each in stored if rows.holds(each)], rows


def test_no_order_of_judging_lets_a_filter_fail(raw: pymongo.MongoClient[RawBSONDocument]) -> None:
    """A database may look at the client's part first: what fails there tells of what is not hers.

    Without the guard it does fail, in that order.
    """
    collection = raw[DATABASE]["judged"]
    collection.delete_many({})
    for id_, each in {**OWN, **FOREIGN}.items():
        collection.insert_one(RawBSONDocument(bson.encode({"_id": id_, **each})))
    for where in (FAILING, {"$or": [FAILING, {"n": 5}]}, {"$nor": [{"$and": [FAILING]}]}):
        asked = bson.encode(where)
        narrowed = bson.decode(Hold(ADA).narrowed(THINGS, asked))
        found = collection.find({"$and": list(reversed(narrowed["$and"]))})
        assert {each["owner"] for each in found} <= {"ada"}
        with pytest.raises(OperationFailure):
            list(collection.find({"$and": [RawBSONDocument(asked), RawBSONDocument(ADA.bson)]}))


def test_a_pipeline_s_filters_stay_behind_the_row_filter() -> None:
    """A database makes one filter of two in a row; of those with expressions it must not."""
    match = {"$match": bson.decode(ADA.bson)}
    plain, failing = bson.encode({"$match": {"n": 1}}), bson.encode({"$match": FAILING})
    hold = Hold(ADA)
    stages = [bson.decode(each) for each in hold.stages(THINGS, [plain, failing])]
    assert [next(iter(each)) for each in stages] == ["$match", "$limit", "$match", "$match"]
    assert stages[0] == match
    assert [bson.decode(each) for each in hold.stages(THINGS, [plain])][:1] == [match]
    assert hold.stages(THINGS, [plain])[1:] == [plain]
    assert Hold().stages(THINGS, [failing]) == [failing]


@pytest.fixture(params=["database", "standalone"])
def held(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store that is held to ada's documents, among others."""
    with own_store(request.getfixturevalue(request.param), DATABASE) as store:
        store.bulk.delete_many(THINGS, bson.encode({}))
        documents = {**OWN, **FOREIGN}
        encoded = [bson.encode({"_id": id_, **each}) for id_, each in documents.items()]
        assert store.single.insert_many(THINGS, encoded) == {}
        yield store.held_to(ADA)


FOREIGN_ONE = bson.encode({"_id": "b1"})
CHANGE = {"$set": RawBSONDocument(bson.encode({"z": 1}))}
GIFT = {"$set": RawBSONDocument(bson.encode({"owner": "bob"}))}
ALL = bson.encode({})


def _ids(batches: Iterator[bytes]) -> set[object]:
    return {each["_id"] for each in bson.decode_all(b"".join(batches))}


def _is_refused(problem: type[Problem], call: Callable[[], object]) -> bool:
    try:
        call()
    except problem:
        return True
    return False


def _insert(held: Store) -> None:
    held.single.insert(THINGS, NEW)


class _Waits:
    """Waits for an outcome; whom it is to lead it leads when it is asked to."""

    def __init__(self) -> None:
        self.leads: list[Callable[[], None]] = []
        self.outcomes: list[object] = []

    def settle(self, outcome: object) -> None:
        self.outcomes.append(outcome)

    def lead(self, lead: Callable[[], None]) -> None:
        self.leads.append(lead)


def _submit(held: Store) -> None:
    held.inserts.submit(THINGS, NEW, _Waits())


def _replaced(held: Store, where: bytes, owner: object) -> None:
    new = bson.encode({**bson.decode(where), "owner": owner})
    held.single.replace(THINGS, where, new)


OWN_ONE, NEW = bson.encode({"_id": "a1"}), bson.encode({"_id": "new", "owner": "bob"})
COMMANDS: dict[str, Callable[[Store], bool]] = {
    "find": lambda held: _ids(held.reading.find(Query(THINGS))) == set(OWN),
    "find limited": lambda held: _ids(held.reading.find(Query(THINGS, limit=50))) == set(OWN),
    "count": lambda held: held.reading.count(THINGS, ALL) == len(OWN),
    "estimate": lambda held: held.reading.estimate(THINGS) == len(OWN),
    "distinct": lambda held: b"hush" not in held.reading.distinct(THINGS, "hush", ALL).payload,
    "aggregate": lambda held: _ids(held.reading.aggregate(THINGS, [])) == set(OWN),
    "find one": lambda held: held.single.find(THINGS, FOREIGN_ONE) is None,
    "replace another's": lambda held: _is_refused(
        WriteConflict, lambda: _replaced(held, FOREIGN_ONE, "ada")
    ),
    "modify": lambda held: _is_refused(
        WriteConflict, lambda: held.single.modify(THINGS, FOREIGN_ONE, CHANGE)
    ),
    "modify alone": lambda held: _is_refused(
        WriteConflict, lambda: held.single.modify_alone(THINGS, FOREIGN_ONE, CHANGE)
    ),
    "remove": lambda held: _is_refused(
        WriteConflict, lambda: held.single.remove(THINGS, FOREIGN_ONE)
    ),
    "discard": lambda held: held.single.discard(THINGS, FOREIGN_ONE) == 0,
    "update many": lambda held: held.bulk.update_many(THINGS, ALL, CHANGE)[0] == len(OWN),
    "delete many": lambda held: held.bulk.delete_many(THINGS, ALL) == len(OWN),
    "insert": lambda held: _is_refused(Forbidden, lambda: _insert(held)),
    "insert many": lambda held: set(held.single.insert_many(THINGS, [NEW])) == {0},
    "insert batched": lambda held: set(held.inserts.insert_many(THINGS, [NEW])) == {0},
    "insert submitted": lambda held: _is_refused(Forbidden, lambda: _submit(held)),
    "replace one's own": lambda held: _is_refused(
        Forbidden, lambda: _replaced(held, OWN_ONE, "bob")
    ),
    "give away": lambda held: _is_refused(
        Forbidden, lambda: held.single.modify(THINGS, OWN_ONE, GIFT)
    ),
    "give away alone": lambda held: _is_refused(
        Forbidden, lambda: held.single.modify_alone(THINGS, OWN_ONE, GIFT)
    ),
    "give away many": lambda held: _is_refused(
        Forbidden, lambda: held.bulk.update_many(THINGS, ALL, GIFT)
    ),
}
"""Each command as one who is held would misuse it, and whether it holds."""


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_held(command: str, held: Store) -> None:
    """By itself, so that no operation above it can forget."""
    assert COMMANDS[command](held)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_not_held_is_noticed(
    command: str, held: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: with the hold forgotten each of the checks above fails."""
    monkeypatch.setattr(Hold, "of", lambda _hold, _collection: None)
    assert not COMMANDS[command](held)


BOB = read_rows(b'{"owner":"bob"}')
ABSENT, ABSENT_NAME = from_python(ObjectId()), from_python("nobody's")


def test_inserts_of_all_callers_ride_in_one_command(database: Database) -> None:
    """Whatever each is held to; what one may not write does not join them."""
    commands: list[int] = []
    with own_store(database, DATABASE) as store:
        whole = Inserts(store.single, 30, commands.append)
        patiently(whole._queues)
        ada, bob = (whole.held_to(Hold(rows)) for rows in (ADA, BOB))
        waits = [_Waits() for _ in range(4)]
        for at, (inserts, owner) in enumerate([(ada, "ada"), (bob, "bob"), (whole, "ada")]):
            new = bson.encode({"_id": ObjectId(), "owner": owner})
            inserts.submit(THINGS, new, waits[at])
        with pytest.raises(Forbidden):
            bob.submit(THINGS, bson.encode({"_id": ObjectId(), "owner": "ada"}), waits[3])
        for lead in waits[0].leads:
            lead()
    assert [each.outcomes for each in waits] == [[{}], [{}], [{}], []]
    assert [len(each.leads) for each in waits] == [1, 0, 0, 0]
    assert commands == [3]


def test_reads_at_one_time_are_of_one_s_own(database: Database) -> None:
    """The same ids, asked for by all in one command: to each what is theirs, and nothing else.

    What is another's is told as what is not there.
    """
    ids = [from_python(ObjectId()) for _ in range(20)] + [from_python(f"s{at}") for at in range(4)]
    documents = {
        each: encode({"_id": each, "owner": from_python(("ada", "bob")[at % 2])})
        for at, each in enumerate(ids)
    }
    with own_store(database, DATABASE) as store:
        store.bulk.delete_many(THINGS, bson.encode({}))
        assert store.single.insert_many(THINGS, list(documents.values())) == {}
        patiently(store.finds._queues)
        asked = [
            (rows, each, _Waits())
            for each in [*ids, ABSENT, ABSENT_NAME]
            for rows in (ADA, BOB, None)
        ]
        for rows, each, waits in asked:
            (store if rows is None else store.held_to(rows)).finds.submit(THINGS, each, waits)
        (lead,) = [lead for _, _, waits in asked for lead in waits.leads]
        lead()
    for rows, each, waits in asked:
        found = documents.get(each)
        is_own = found is not None and (rows is None or rows.holds(found))
        absent = Unread.ALIKE if each.kind == STRING else None
        assert waits.outcomes == [found if is_own else absent]
