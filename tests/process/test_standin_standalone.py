"""The stand-in for a mongod without --replSet, where the service leans on what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pymongo
import pytest
from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver

from tests.support.database import Database
from tests.support.standalone import Standalone

Client = pymongo.MongoClient[dict[str, Any]]
BIG = 12_000_000
"""Bytes of a document that comes in many pieces."""


@pytest.fixture
def client(standalone: Database) -> Iterator[Client]:
    """A driver that knows of nothing but the address, in a database of its own."""
    with Client(standalone.uri, serverSelectionTimeoutMS=10_000) as client:
        yield client
        client.drop_database("standin")


def _refusal(client: Client, command: dict[str, Any], **options: Any) -> tuple[int, str, str]:
    """Code, name and text that a command is refused with."""
    with pytest.raises(driver.OperationFailure) as refused:
        client.admin.command(command, **options)
    details = refused.value.details
    assert details is not None
    return details["code"], details["codeName"], details["errmsg"]


def test_the_driver_takes_it_for_a_standalone(client: Client) -> None:
    """Topology Single, server type Standalone, sessions but no set; it is not asked for one."""
    client.admin.command("ping")
    topology = client.topology_description
    assert topology.topology_type_name == "Single"
    (server,) = topology.server_descriptions().values()
    assert server.server_type_name == "Standalone"
    assert server.logical_session_timeout_minutes == 30
    assert server.replica_set_name is None
    assert not server.retryable_writes_supported


def test_nothing_in_its_answers_is_of_a_set(client: Client) -> None:
    """No member's fields in `hello`, no cluster time anywhere, so that no session waits for one."""
    hello = client.admin.command("hello")
    assert hello["isWritablePrimary"] is True
    assert not {"setName", "hosts", "me", "primary", "secondary", "electionId"} & set(hello)
    assert not {"$clusterTime", "operationTime"} & set(client.admin.command("ping"))
    with client.start_session(causal_consistency=True) as session:
        client.standin.things.insert_one({}, session=session)
        assert client.standin.things.count_documents({}, session=session) == 1
        assert session.cluster_time is None
        assert session.operation_time is None


def test_reads_and_writes_pass(client: Client) -> None:
    """Plain ones do what they do anywhere, with the driver's own defaults."""
    things = client.standin.get_collection("things", write_concern=pymongo.WriteConcern("majority"))
    things.insert_many({"_id": n, "n": n} for n in range(2_000))
    assert [each["n"] for each in things.find(batch_size=500).sort("n")] == list(range(2_000))
    assert things.update_one({"_id": 1}, {"$set": {"n": -1}}).modified_count == 1
    assert things.find_one_and_delete({"_id": 1}) == {"_id": 1, "n": -1}
    assert things.delete_many({}).deleted_count == 1_999
    things.insert_one({"_id": 1})
    with pytest.raises(driver.DuplicateKeyError):
        things.insert_one({"_id": 1})


def test_bytes_pass_as_they_are(client: Client) -> None:
    """Numbers of three types, and a document in many pieces: the same bytes come back."""
    small = bson.encode({"_id": 1, "n": [1, bson.Int64(1), 1.0]})
    big = bson.encode({"_id": 2, "text": "x" * BIG})
    options = bson.CodecOptions(RawBSONDocument)
    things = client.standin.get_collection("things").with_options(codec_options=options)
    things.insert_many(map(RawBSONDocument, (small, big)))
    assert [each.raw for each in things.find().sort("_id", 1)] == [small, big]
    found = things.find_one_and_update({"_id": 1}, [{"$set": {"y": 1}}])
    assert found is not None
    assert found.raw == small


def test_a_transaction_is_refused(client: Client) -> None:
    """Its first operation, with mongod's code and nothing written; its end is refused too."""
    things = client.standin.things
    with client.start_session() as session:
        session.start_transaction()
        with pytest.raises(driver.OperationFailure) as refused:
            things.insert_one({"_id": 1}, session=session)
        session.abort_transaction()
        assert refused.value.code == 20
        assert things.count_documents({}) == 0
        transaction = {"lsid": session.session_id, "txnNumber": bson.Int64(1), "autocommit": False}
        code, name, words = _refusal(client, {"commitTransaction": 1, **transaction})
    assert (code, name) == (20, "IllegalOperation")
    assert words == "Transaction numbers are only allowed on a replica set member or mongos"
    assert _refusal(client, {"abortTransaction": 1})[0] == 125


def test_a_retryable_write_is_refused(client: Client) -> None:
    """A driver that did not look at the server's kind would learn it here; nothing is written."""
    with client.start_session() as session:
        write = {"insert": "things", "documents": [{}], "txnNumber": bson.Int64(1)}
        assert _refusal(client, {**write, "lsid": session.session_id})[0] == 20
    assert client.admin.things.count_documents({}) == 0


def test_what_needs_an_oplog_is_refused(client: Client) -> None:
    """Change streams, reads at a cluster time, and questions about the set."""
    with pytest.raises(driver.OperationFailure) as refused, client.standin.things.watch() as stream:
        stream.next()
    assert refused.value.code == 40573
    for concern in ({"level": "snapshot"}, {"level": "linearizable"}):
        assert _refusal(client, {"find": "things", "readConcern": concern})[0] == 123
    after = {"level": "majority", "afterClusterTime": bson.Timestamp(1, 1)}
    assert _refusal(client, {"find": "things", "readConcern": after})[0] == 123
    assert client.admin.command({"find": "things", "readConcern": {"level": "majority"}})["ok"]
    assert _refusal(client, {"replSetGetStatus": 1})[0] == 76


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """SIGKILL right after the answer takes nothing with it, and leaves nothing in the way."""
    database = Standalone(tmp_path).start()
    try:
        with Client(database.uri) as client:
            client.standin.things.insert_one({"_id": 1})
            database.kill()
            database.start()
            assert client.standin.things.count_documents({}) == 1
        database.restart()
        with Client(database.uri) as client:
            assert client.standin.things.count_documents({}) == 1
    finally:
        database.stop()
