"""The keys of one process, on a real database, by clocks of the test's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bson
import pymongo
import pytest

from demijohn.auth.caller import NOBODY
from demijohn.auth.keyring import COLLECTION, FRESH, STALE, Kept, KeyFile, Keyring
from demijohn.auth.keys import Key, make_key, to_record
from demijohn.errors import BadParameter, DatabaseUnavailable, NotFound, Unauthenticated
from demijohn.store.documents import Store
from tests.support.database import Database
from tests.support.processes import wait_until
from tests.support.stores import own_store

NAME = "keyring"


class Clock:
    """The seconds of a test: those since 1970, and those of a monotonic clock."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """The time by which the keys go."""
    return Clock()


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """A store without keys."""
    with own_store(database, NAME) as store:
        store.bulk.delete_many(COLLECTION, bson.encode({}))
        yield store


@pytest.fixture
def keyring(store: Store, clock: Clock) -> Keyring:
    """What a process knows of its keys."""
    return Keyring(store, None, 1.0, clock, clock)


def made(clock: Clock, lifetime: float | None = None) -> tuple[Key, str]:
    """A key, and the header that shows it."""
    key, text = make_key(["a:read"], None, "", clock(), lifetime)
    return key, f"Bearer {text}"


def test_a_change_is_seen_once_a_look_is_due(store: Store, keyring: Keyring, clock: Clock) -> None:
    """A key is let in, and no more, by the next look; no look is needed while one is fresh."""
    key, header = made(clock)
    with pytest.raises(Unauthenticated):
        keyring.caller(header)
    Kept(store).add(key)
    with pytest.raises(Unauthenticated):
        keyring.caller(header)
    clock.seconds += FRESH
    assert keyring.caller(header) == key.caller
    assert keyring.holds(key.caller)
    Kept(store).remove(key.caller.id)
    assert keyring.known_caller(header) == key.caller
    clock.seconds += FRESH
    with pytest.raises(Unauthenticated):
        keyring.caller(header)
    assert not keyring.holds(key.caller)


def test_nothing_is_gone_by_that_is_stale(store: Store, keyring: Keyring, clock: Clock) -> None:
    """Of a key, whoever asks has to wait for an answer then; of none and of nonsense, nobody."""
    key, header = made(clock)
    Kept(store).add(key)
    assert keyring.known_caller(header) is None
    assert keyring.caller(header) == key.caller
    clock.seconds += STALE - 0.001
    assert keyring.known_caller(header) == key.caller
    clock.seconds += 0.002
    assert keyring.known_caller(header) is None
    assert keyring.known_caller(None) is NOBODY
    with pytest.raises(Unauthenticated):
        keyring.known_caller("Bearer x")


def test_a_key_expires_under_whom_it_let_in(store: Store, keyring: Keyring, clock: Clock) -> None:
    """Without any look: at its very end it is no key, for new requests and those under way."""
    key, header = made(clock, lifetime=2 * FRESH)
    Kept(store).add(key)
    caller = keyring.caller(header)
    clock.seconds += 2 * FRESH - 0.001
    assert keyring.holds(caller)
    assert keyring.caller(header) == caller
    clock.seconds += 0.001
    assert not keyring.holds(caller)
    with pytest.raises(Unauthenticated):
        keyring.known_caller(header)


def test_a_key_that_is_changed_lets_nobody_of_before_go_on(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    """Whose rights are others now, in a file under the same id, has to come anew."""
    key, header = made(clock)
    file = tmp_path / "keys.json"
    record = to_record(key)
    file.write_text(json.dumps([record]))
    keyring = Keyring(store, KeyFile(file), 1.0, clock, clock)
    caller = keyring.caller(header)
    assert keyring.holds(caller)
    file.write_text(json.dumps([{**record, "rows": {"owner": "ada"}}]))
    clock.seconds += FRESH
    assert keyring.caller(header).rows is not None
    assert not keyring.holds(caller)


def test_what_is_no_key_in_the_database_lets_nobody_in(
    database: Database, store: Store, keyring: Keyring, clock: Clock
) -> None:
    """Whatever lies there beside keys, they are read and it is none."""
    key, header = made(clock)
    Kept(store).add(key)
    record = to_record(key)
    del record["id"]
    with pymongo.MongoClient[dict[str, object]](database.uri) as client:
        client[NAME][COLLECTION].insert_many(
            [
                {"_id": "x", "record": json.dumps(record)},
                {"_id": 5, "record": json.dumps(record)},
                {"_id": "0" * 16, "record": json.dumps({**record, "scopes": ["_keys:read"]})},
                {"_id": "1" * 16, "record": json.dumps({**record, "rows": {}})},
                {"_id": "2" * 16, "record": "["},
                {"_id": "3" * 16, "record": "[]"},
                {"_id": "4" * 16, "record": "5"},
                {"_id": "5" * 16, "record": 7},
                {"_id": "6" * 16},
            ]
        )
    assert set(Kept(store).all()) == {key.caller.id}
    assert keyring.caller(header) == key.caller


def test_a_key_that_is_not_there_can_not_be_revoked(store: Store) -> None:
    """Who mistypes its id is told so."""
    with pytest.raises(NotFound):
        Kept(store).remove("0" * 16)


def test_without_a_database_nobody_is_told_that_a_key_is_none(
    own_database: Database, clock: Clock
) -> None:
    """Not a key that was known, and not one that never was."""
    with own_store(own_database, NAME) as store:
        keyring = Keyring(store, None, 1.0, clock, clock)
        key, header = made(clock)
        Kept(store).add(key)
        assert keyring.caller(header) == key.caller
        own_database.kill()
        clock.seconds += STALE
        wait_until(lambda: not store.status.up, "it is known to be lost")
        for each in (header, made(clock)[1]):
            with pytest.raises(DatabaseUnavailable):
                keyring.caller(each)
        assert keyring.holds(key.caller)


def test_a_file_of_no_keys_is_refused(tmp_path: Path, clock: Clock) -> None:
    """Before anything goes by it; one that goes bad later leaves the keys that it had."""
    key, _ = made(clock)
    file = tmp_path / "keys.json"
    record = to_record(key)
    texts = ["", "{}", "5", json.dumps([record, record]), json.dumps([{**record, "x": 1}]), "[5]"]
    for text in texts:
        file.write_text(text)
        with pytest.raises(BadParameter):
            KeyFile(file).all()
    file.write_text(json.dumps([record]))
    kept = KeyFile(file)
    assert kept.all() == {key.caller.id: key}
    file.write_text("[")
    assert kept.kept() == {key.caller.id: key}
    file.unlink()
    assert kept.kept() == {key.caller.id: key}
