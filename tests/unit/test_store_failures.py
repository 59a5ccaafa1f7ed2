"""Every exception of the driver has one meaning for the client."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from bson.errors import InvalidDocument as InvalidBson
from pymongo import errors as driver

from demijohn.errors import InternalError, Problem
from demijohn.store.failures import translate, translated, unfit_index, unfit_update, untaken

FORESEEN = {
    driver.AutoReconnect: ("database-unavailable", "outcome-unknown"),
    driver.ConnectionFailure: ("database-unavailable", "outcome-unknown"),
    driver.NetworkTimeout: ("deadline-exceeded", "outcome-unknown"),
    driver.NotPrimaryError: ("database-unavailable", "outcome-unknown"),
    driver.ServerSelectionTimeoutError: ("database-unavailable", "database-unavailable"),
    driver.WaitQueueTimeoutError: ("database-unavailable", "outcome-unknown"),
    driver.ConfigurationError: ("database-unavailable", "outcome-unknown"),
    driver.InvalidURI: ("database-unavailable", "outcome-unknown"),
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
        (18, "database-unavailable", "outcome-unknown"),
        (14031, "database-unavailable", "database-unavailable"),
        (50, "deadline-exceeded", "outcome-unknown"),
        (262, "deadline-exceeded", "outcome-unknown"),
        (91, "database-unavailable", "outcome-unknown"),
        (10107, "database-unavailable", "outcome-unknown"),
        (11600, "database-unavailable", "outcome-unknown"),
        (189, "database-unavailable", "outcome-unknown"),
        (1, "database-unavailable", "outcome-unknown"),
        (10334, "too-large", "too-large"),
        (112, "write-conflict", "write-conflict"),
        (251, "internal-error", "outcome-unknown"),
        (6, "database-unavailable", "outcome-unknown"),
        (133, "database-unavailable", "outcome-unknown"),
        (365, "database-unavailable", "database-unavailable"),
        (9, "internal-error", "internal-error"),
    ],
)
def test_server_codes(code: int, read: str, write: str) -> None:
    """The server's error codes (MongoDB manual, "Error Codes") mean what they should."""
    error = driver.OperationFailure(SECRET, code)
    assert translate(error, writes=False).code == read
    assert translate(error, writes=True).code == write


def _labelled(error: driver.PyMongoError, label: str) -> driver.PyMongoError:
    error._add_error_label(label)
    return error


@pytest.mark.parametrize(
    "error",
    [
        driver.ServerSelectionTimeoutError(SECRET),
        driver.AutoReconnect(SECRET),
        driver.OperationFailure(SECRET, 50),
        driver.OperationFailure(SECRET, 11600),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_commit_that_was_sent_may_have_happened(error: driver.PyMongoError) -> None:
    """The driver sends a commit twice and raises what met the second: unknown, whatever it is."""
    labelled = _labelled(error, "UnknownTransactionCommitResult")
    assert translate(labelled, writes=True).code == "outcome-unknown"


def test_an_aborted_transaction_is_a_conflict() -> None:
    """What the database aborted before its commit can be tried again; while it commits, not so."""
    label = "TransientTransactionError"
    snapshot_gone = _labelled(driver.OperationFailure(SECRET, 246), label)
    assert translate(snapshot_gone, writes=False).code == "write-conflict"
    committing = _labelled(driver.OperationFailure(SECRET, 251), label)
    assert translate(committing, writes=True).code == "outcome-unknown"
    lost = _labelled(driver.AutoReconnect(SECRET), label)
    assert translate(lost, writes=False).code == "database-unavailable"


def test_an_aborted_commit_can_be_tried_again() -> None:
    """The database's word that a commit was in vain is certain (MongoDB manual, "Transactions")."""
    for code in (24, 246, 290):
        aborted = _labelled(driver.OperationFailure(SECRET, code), "TransientTransactionError")
        assert translate(aborted, writes=True).code == "write-conflict"


def test_a_second_attempt_that_was_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The driver raises what its second attempt met; the first may have been carried out."""
    for error in (driver.WaitQueueTimeoutError(SECRET), driver.OperationFailure(SECRET, 18)):
        for is_sent, code in ((True, "outcome-unknown"), (False, "database-unavailable")):
            with (
                pytest.raises(Problem) as caught,
                translated("test", writes=True, is_sent=partial(bool, is_sent)),
            ):
                raise error
            assert caught.value.code == code
    assert SECRET not in caplog.text


def test_a_document_that_is_not_taken() -> None:
    """Values that the server has no room for, and its own validator, are the document's fault."""
    for code in (2, 22, 52, 66, 121, 171, 16755, 16766):
        problem = untaken(code)
        assert problem is not None
        assert problem.code == "invalid-document"
    assert untaken(13) is None


def test_an_index_that_is_not_made() -> None:
    """What the server refuses of an index is the index's fault; a lack of rights is not."""
    for code in (67, 72, 171, 197):
        problem = unfit_index(code)
        assert problem is not None
        assert (problem.status, problem.code) == (422, "invalid-index")
    assert unfit_index(13) is None


def test_an_update_that_does_not_fit() -> None:
    """The server's refusals of an update on this document are the patch's fault, in our words."""
    for code in (2, 9, 14, 28, 40, 66):
        problem = unfit_update(code)
        assert problem is not None
        assert (problem.status, problem.code) == (422, "invalid-patch")
    assert unfit_update(13) is None
    assert unfit_update(None) is None


def test_a_duplicate_names_index_and_fields() -> None:
    """What the server says of a duplicate key reaches the client as index, fields, pointers."""
    message = "E11000 duplicate key error collection: d.c index: a_1_b.c_1 dup key: { a: 1 }"
    details = {"errmsg": message, "keyPattern": {"a": 1, "b.c": 1, "km/h~": 1}}
    problem = translate(driver.DuplicateKeyError(message, 11000, details), writes=True)
    assert problem.extra == {"index": "a_1_b.c_1", "fields": ["a", "b.c", "km/h~"]}
    assert [fault.pointer for fault in problem.faults] == ["/a", "/b/c", "/km~1h~0"]


def test_other_exceptions_pass() -> None:
    """What is not the driver's is not disguised as the database's failure."""
    with pytest.raises(ZeroDivisionError), translated("test", writes=True):
        raise ZeroDivisionError
    with pytest.raises(InvalidBson), translated("test", writes=True):
        raise InvalidBson("?")
    assert translate(driver.PyMongoError("?"), writes=True).code == InternalError.code
