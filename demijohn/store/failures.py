"""What the driver raises, in our own terms: the one owner of every database failure.

A write that failed after it may have been sent is `OutcomeUnknown`; one that was certainly not
carried out is `DatabaseUnavailable`. In doubt it is the former (MongoDB manual, "Retryable
Writes" and "Write Concern").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from bson.errors import InvalidBSON
from pymongo import errors as driver

from demijohn.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    DuplicateKey,
    Fault,
    InternalError,
    InvalidDocument,
    OutcomeUnknown,
    Problem,
    TooLarge,
)

_UNAUTHORIZED = frozenset({13, 18, 8000})
"""Unauthorized, AuthenticationFailed, AtlasError."""
_OUT_OF_SPACE = frozenset({14031, 12})
"""OutOfDiskSpace, and the code that older servers give for it."""
_VALIDATION = 121
_TOO_LARGE = frozenset({10334, 17280, 17419, 17420})
_STEPPING_DOWN = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary and their kin."""
_BROKEN = frozenset({1, 8})
"""InternalError and UnknownError: the server itself does not know."""
_TIME_LIMIT = frozenset({50, 262})
"""MaxTimeMSExpired, ExceededTimeLimit."""


@contextmanager
def translated(operation: str, *, writes: bool) -> Iterator[None]:
    """Turn whatever the driver raises inside into a Problem, and log what the client won't see."""
    try:
        yield
    except driver.PyMongoError as error:
        problem = translate(error, writes=writes)
        _log(operation, error, problem)
        raise problem from error
    except InvalidBSON as error:
        problem = InternalError("A stored document cannot be decoded.")
        _log(operation, error, problem)
        raise problem from error


def translate(error: driver.PyMongoError, *, writes: bool) -> Problem:
    """The problem that a driver's error means for the client."""
    if isinstance(error, driver.OperationFailure):
        return _of_answer(error, writes=writes)
    if isinstance(error, driver.ConnectionFailure):
        return _of_connection(error, writes=writes)
    if isinstance(error, driver.DocumentTooLarge):
        return TooLarge("The document is larger than the database takes.")
    if isinstance(error, driver.ConfigurationError):
        return DatabaseUnavailable("The database does not fit the service's settings.")
    return InternalError("The database driver failed in a way the service did not foresee.")


def _of_connection(error: driver.ConnectionFailure, *, writes: bool) -> Problem:
    if isinstance(error, driver.ServerSelectionTimeoutError):
        return DatabaseUnavailable("The database cannot be reached.")
    if isinstance(error, driver.WaitQueueTimeoutError):
        # There is a connection for every thread, so the database is not letting new ones in.
        return DatabaseUnavailable("The database does not take connections.")
    if writes:
        return OutcomeUnknown(
            "The connection to the database broke before the write was acknowledged."
        )
    if isinstance(error, driver.NetworkTimeout):
        return DeadlineExceeded("The database did not answer in time.")
    return DatabaseUnavailable("The connection to the database broke.")


def _of_answer(error: driver.OperationFailure, *, writes: bool) -> Problem:
    if isinstance(error, driver.DuplicateKeyError):
        return _duplicate(error)
    if isinstance(error, driver.WriteConcernError):
        return OutcomeUnknown("The write was not acknowledged by a majority in time.")
    if error.code in _TIME_LIMIT or error.timeout:
        return _too_late(writes=writes)
    if error.code in _STEPPING_DOWN | _BROKEN:
        return _failing(writes=writes)
    return _refused(error.code)


def _refused(code: int | None) -> Problem:
    if code in _UNAUTHORIZED:
        return DatabaseUnavailable("The database does not accept the service's credentials.")
    if code in _OUT_OF_SPACE:
        return DatabaseUnavailable("The database is out of space.")
    if code in _TOO_LARGE:
        return TooLarge("The document is larger than the database takes.")
    if code == _VALIDATION:
        fault = Fault("", "the collection's own validator in the database refuses it")
        return InvalidDocument("The document does not fit its collection.", faults=(fault,))
    return InternalError("The database refused in a way the service did not foresee.")


def _failing(*, writes: bool) -> Problem:
    if writes:
        return OutcomeUnknown("The database failed, or changed its primary, during the write.")
    return DatabaseUnavailable("The database is failing, or changing its primary.")


def _too_late(*, writes: bool) -> Problem:
    if writes:
        return OutcomeUnknown("The database did not acknowledge the write in time.")
    return DeadlineExceeded("The database did not finish in time.")


def _duplicate(error: driver.DuplicateKeyError) -> Problem:
    details = error.details or {}
    fields = list(details.get("keyPattern") or {"_id": 1})
    index = _index_name(str(details.get("errmsg", "")))
    return DuplicateKey(
        f"Another document has the same value of {', '.join(fields)}.",
        faults=tuple(Fault("/" + field.replace(".", "/"), "already there") for field in fields),
        extra={"index": index, "fields": fields},
    )


def _index_name(message: str) -> str:
    """The index named in `E11000 duplicate key error collection: … index: NAME dup key: …`."""
    _, _, rest = message.partition(" index: ")
    return rest.partition(" dup key:")[0] or "_id_"


def _log(operation: str, error: Exception, problem: Problem) -> None:
    if problem.status < 500:  # noqa: PLR2004 — the client's own doing
        return
    structlog.get_logger().warning(
        "database operation failed",
        operation=operation,
        code=problem.code,
        error=type(error).__name__,
        reason=_bounded(str(error)),
    )


def _bounded(text: str) -> str:
    """The driver's words, without the topology description that it appends."""
    return text.partition(", Timeout:")[0].partition(", full error:")[0][:300]
