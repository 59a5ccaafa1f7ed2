"""Every exception of the driver has one meaning for the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bson.errors import InvalidDocument as InvalidBson
from pymongo import errors as driver

from demijohn.errors import InternalError, Problem
from demijohn.store.failures import translate, translated

FORESEEN = {
    driver.AutoReconnect: ("database-unavailable", "outcome-unknown"),
    driver.ConnectionFailure: ("database-unavailable", "outcome-unknown"),
    driver.NetworkTimeout: ("deadline-exceeded", "outcome-unknown"),
    driver.NotPrimaryError: ("database-unavailable", "outcome-unknown"),
    driver.ServerSelectionTimeoutError: ("database-unavailable", "database-unavailable"),
    driver.WaitQueueTimeoutError: ("database-unavailable", "database-unavailable"),
    driver.ConfigurationError: ("database-unavailable", "database-unavailable"),
    driver.InvalidURI: ("database-unavailable", "database-unavailable"),
    driver.DocumentTooLarge: ("too-large", "too-large"),
    driver.DuplicateKeyError: ("duplicate-key", "duplicate-key"),
    driver.WriteConcernError: ("outcome-unknown", "outcome-unknown"),
    driver.WTimeoutError: ("outcome-unknown", "outcome-unknown"),
}
"""What each means for a read and for a write; every other one is a defect of the service."""
SECRET = "mongodb://user:secret@db.internal:27017"


def _every(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _every(below)


def _make(kind: type[BaseException]) -> driver.PyMongoError:
    if issubclass(kind, driver.ClientBulkWriteException):
        error: BaseException = kind({}, False)
    elif issubclass(kind, driver.BulkWriteError):
        error = kind({})
    elif issubclass(kind, driver.EncryptedCollectionError):
        error = kind(ValueError(SECRET), {})
    elif issubclass(kind, driver.EncryptionError):
        error = kind(ValueError(SECRET))
    else:
        error = kind(SECRET)
    assert isinstance(error, driver.PyMongoError)
    return error


@pytest.mark.parametrize("kind", sorted(set(_every(driver.PyMongoError)), key=str))
@pytest.mark.parametrize("writes", [False, True])
def test_every_driver_exception_is_mapped(kind: type[BaseException], writes: bool) -> None:  # noqa: FBT001
    """No driver exception leaves the store, and none of its words reaches a client."""
    try:
        error = _make(kind)
    except TypeError:
        pytest.fail(f"the test cannot make a {kind.__name__}: teach it")
    with pytest.raises(Problem) as caught, translated("test", writes=writes):
        raise error
    problem = caught.value
    wanted = FORESEEN.get(kind)
    if wanted is not None:
        assert problem.code == wanted[writes]
    assert "secret" not in problem.detail
    assert "internal" not in problem.detail


@pytest.mark.parametrize(
    ("code", "read", "write"),
    [
        (13, "database-unavailable", "database-unavailable"),
        (18, "database-unavailable", "database-unavailable"),
        (14031, "database-unavailable", "database-unavailable"),
        (50, "deadline-exceeded", "outcome-unknown"),
        (262, "deadline-exceeded", "outcome-unknown"),
        (91, "database-unavailable", "outcome-unknown"),
        (10107, "database-unavailable", "outcome-unknown"),
        (11600, "database-unavailable", "outcome-unknown"),
        (189, "database-unavailable", "outcome-unknown"),
        (1, "database-unavailable", "outcome-unknown"),
        (121, "invalid-document", "invalid-document"),
        (10334, "too-large", "too-large"),
        (9, "internal-error", "internal-error"),
    ],
)
def test_server_codes(code: int, read: str, write: str) -> None:
    """The server's error codes (MongoDB manual, "Error Codes") mean what they should."""
    error = driver.OperationFailure(SECRET, code)
    assert translate(error, writes=False).code == read
    assert translate(error, writes=True).code == write


def test_a_duplicate_names_index_and_fields() -> None:
    """What the server says of a duplicate key reaches the client as index, fields, pointers."""
    message = "E11000 duplicate key error collection: d.c index: a_1_b.c_1 dup key: { a: 1 }"
    details = {"errmsg": message, "keyPattern": {"a": 1, "b.c": 1}}
    problem = translate(driver.DuplicateKeyError(message, 11000, details), writes=True)
    assert problem.extra == {"index": "a_1_b.c_1", "fields": ["a", "b.c"]}
    assert [fault.pointer for fault in problem.faults] == ["/a", "/b/c"]


def test_other_exceptions_pass() -> None:
    """What is not the driver's is not disguised as the database's failure."""
    with pytest.raises(ZeroDivisionError), translated("test", writes=True):
        raise ZeroDivisionError
    with pytest.raises(InvalidBson), translated("test", writes=True):
        raise InvalidBson("?")
    assert translate(driver.PyMongoError("?"), writes=True).code == InternalError.code
