"""What the driver raises, in our own terms: the one owner of every database failure.

A write that failed after it may have been sent is `OutcomeUnknown`; one that was certainly not
carried out is `DatabaseUnavailable`. In doubt it is the former (MongoDB manual, "Retryable
Writes" and "Write Concern"). The driver may send a write twice, and then raises what the second
attempt met, even where that was not sent and the first was carried out; so it counts whether a
connection was handed out for the operation at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from bson.errors import InvalidBSON
from pymongo import errors as driver

from demijohn.errors import (
    BadCursor,
    DatabaseUnavailable,
    DeadlineExceeded,
    DuplicateKey,
    Fault,
    InternalError,
    InvalidDocument,
    InvalidFilter,
    InvalidIndex,
    InvalidPatch,
    NeedsReplicaSet,
    OutcomeUnknown,
    Problem,
    TooLarge,
    WriteConflict,
)
from demijohn.formats.json_faults import pointer_to

_NO_LOGIN = frozenset({18, 8000})
"""AuthenticationFailed, AtlasError: a new connection was not let in."""
_UNAUTHORIZED = 13
_OUT_OF_SPACE = frozenset({14031, 12})
"""OutOfDiskSpace, and the code that older servers give for it."""
_VALIDATION = 121
_UNTAKEN = frozenset({2, 22, 52, 53, 54, 55, 66})
"""BadValue, InvalidBSON: the embedded database knows no dates outside the years 1 to 9999.
DollarPrefixedFieldName, InvalidDBRef and their kin: older servers take no odd references.
ImmutableField: to the embedded database a NaN is no equal of itself, as an id either."""
_UNINDEXED = frozenset({171, 16755, 16766})
"""CannotIndexParallelArrays, no geometry under 2dsphere, an array under hashed: an index cannot
hold the document."""
_DUPLICATE = frozenset({11000, 11001, 12582})
_TOO_LARGE = frozenset({10334, 17280, 17419, 17420})
_STEPPING_DOWN = frozenset({91, 189, 10107, 11600, 11602, 13435, 13436})
"""ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary and their kin."""
_NO_SHARD = frozenset({6, 7, 89, 133, 134, 9001})
"""HostUnreachable, FailedToSatisfyReadPreference and their kin: mongos does not reach a shard."""
_NOT_NOW = 365
"""TemporarilyUnavailable: surely not carried out."""
_BROKEN = frozenset({1, 8})
"""InternalError and UnknownError: the server itself does not know."""
_TIME_LIMIT = frozenset({50, 262})
"""MaxTimeMSExpired, ExceededTimeLimit."""
_UNFIT = {
    2: "An operator cannot be applied to the value that the document has there.",
    9: "An operator has an argument that it does not take.",
    14: "An operator does not fit the type of the value that the document has there.",
    15: "The document would be nested deeper than the database takes.",
    34: "A position in an array lies too far behind its end.",
    28: "A path leads through a value that has no fields.",
    40: "Two operators change the same path, or one a part of the other's.",
    52: "A field's name may not start with $ there.",
    53: "A reference ($ref, $id) is not as MongoDB takes it.",
    54: "A path has $ where there is no array to match.",
    55: "A reference ($ref, $id) is not as MongoDB takes it.",
    56: "A path has an empty part.",
    57: "A field's name may not hold a dot there.",
    66: "The id cannot be changed.",
    16837: "A path uses a position in an array, but there is no array to match.",
}
"""Update operators that do not fit the document as it is: BadValue, FailedToParse, TypeMismatch,
Overflow, PathNotViable, ConflictingUpdateOperators and their kin; in our words."""
_INDEX_UNFIT = frozenset({2, 9, 14, 67, 72, 197, 201}) | _UNINDEXED
"""BadValue, CannotCreateIndex, InvalidOptions, InvalidIndexSpecificationOption and their kin."""
_CURSOR_GONE = frozenset({43, 237, 11601})
"""CursorNotFound, CursorKilled, Interrupted: a stream that rested too long, or was ended there."""
_OUT_OF_MEMORY = frozenset({96, 292})
"""OperationFailed, QueryExceededMemoryLimitNoDiskUseAllowed: a sort without an index."""
_TOO_MANY_VALUES = 17217
"""What `distinct` found is larger than one answer."""
_NO_CHANGE_STREAMS = 40573
_NO_HISTORY = frozenset({136, 260, 280, 286})
"""CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost."""
_CONFLICT = 112
_NO_SUCH_TRANSACTION = 251
_UNAVAILABLE = (
    (frozenset({_UNAUTHORIZED}), "The database does not accept the service's credentials."),
    (_OUT_OF_SPACE, "The database is out of space."),
    (frozenset({_NOT_NOW}), "The database is too busy."),
    (_CURSOR_GONE, "The database has ended what was being read."),
)
_NO_QUESTION = (
    _NO_LOGIN
    | _OUT_OF_SPACE
    | _STEPPING_DOWN
    | _NO_SHARD
    | _BROKEN
    | _TIME_LIMIT
    | _CURSOR_GONE
    | {_UNAUTHORIZED, _NOT_NOW, _TOO_MANY_VALUES}
)
"""What is never the fault of what was asked."""
_IN_VAIN = "TransientTransactionError"
"""Label: the transaction was aborted, and may be tried again."""
_PERHAPS = "UnknownTransactionCommitResult"
"""Label: a commit was sent, and may have been carried out."""


def _surely() -> bool:
    return True


@contextmanager
def translated(
    operation: str, *, writes: bool, is_sent: Callable[[], bool] = _surely
) -> Iterator[None]:
    """Turn whatever the driver raises inside into a Problem, and log what the client won't see.

    `is_sent` tells afterwards whether anything may have been sent.
    """
    try:
        yield
    except (driver.PyMongoError, driver.DocumentTooLarge) as error:
        problem = translate(error, writes=writes and is_sent())
        log(operation, error, problem)
        raise problem from error
    except InvalidBSON as error:
        problem = InternalError("A stored document cannot be decoded.")
        log(operation, error, problem)
        raise problem from error


def translate(error: driver.PyMongoError | driver.DocumentTooLarge, *, writes: bool) -> Problem:
    """The problem that a driver's error means for the client.

    `writes`: whether a write may have been sent.
    """
    if isinstance(error, driver.DocumentTooLarge):  # which is no PyMongoError
        return TooLarge("The document is larger than the database takes.")
    if error.has_error_label(_PERHAPS):
        # Whatever it is: where the driver sends a commit again, it raises what met the second.
        return OutcomeUnknown("The database did not acknowledge the write.")
    if isinstance(error, driver.OperationFailure):
        return _of_answer(error, writes=writes)
    if isinstance(error, driver.ConnectionFailure):
        return _of_connection(error, writes=writes)
    if isinstance(error, driver.ConfigurationError):
        return _unless_sent("The database does not fit the service's settings.", writes=writes)
    return InternalError("The database driver failed in a way the service did not foresee.")


def unfit_update(code: int | None) -> InvalidPatch | None:
    """What it means when an update is refused with this code; None where it is no fault of it."""
    words = _UNFIT.get(code or 0)
    return InvalidPatch(words, faults=(Fault("", words),)) if words else None


def unfit_question(code: int | None, problem: type[Problem]) -> Problem | None:
    """What it means when a question is refused with this code; None where it is no fault of it.

    Of MongoDB's some thousand codes for what a filter or a pipeline can meet in the documents,
    the client gets the number.
    """
    if code is None or code in _NO_QUESTION:
        return None
    words = "The database cannot carry it out on these documents."
    if code in _OUT_OF_MEMORY:
        words = "It needs more memory than the database gives it, as a sort without an index may."
    return problem(words, faults=(Fault("", words),), extra={"database_code": code})


def unfit_condition(error: driver.OperationFailure) -> Problem | None:
    """What it means when a filter-wide write fails so; None where it means what it always does.

    What is surely not done of a single write may be half done of this.
    """
    if isinstance(error, driver.DuplicateKeyError | driver.WriteConcernError):
        return None
    if error.has_error_label(_IN_VAIN):
        return None
    if error.code in _OUT_OF_SPACE | {_CONFLICT}:
        return OutcomeUnknown("The database has ended the write before its end.")
    return None if error.code in _TOO_LARGE else unfit_question(error.code, InvalidFilter)


def unfit_index(code: int | None) -> InvalidIndex | None:
    """What it means when an index is refused with this code; None where it is no fault of it."""
    if code not in _INDEX_UNFIT:
        return None
    words = "The database does not make or drop such an index."
    return InvalidIndex(words, faults=(Fault("", words),))


def no_change_streams(code: int | None) -> NeedsReplicaSet | None:
    """What it means when a change stream is refused with this code; None where it is not that."""
    if code != _NO_CHANGE_STREAMS:
        return None
    return NeedsReplicaSet("Live changes are known of a replica set or a sharded cluster only.")


def unfit_position(code: int | None) -> BadCursor | None:
    """What it means when a position is refused with this code; None where it is no fault of it.

    The embedded database says "unauthorized" to one of another collection.
    """
    if code is None or code in _NO_QUESTION - {_UNAUTHORIZED}:
        return None
    return BadCursor("This is no position in this collection's changes, or is no longer kept.")


def history_lost(code: int | None) -> BadCursor | None:
    """What it means when a change stream ends with this code; None where it is not that."""
    if code not in _NO_HISTORY:
        return None
    return BadCursor("The database no longer keeps what comes next in this stream.")


def of_each(error: driver.BulkWriteError, count: int, *, writes: bool) -> dict[int, Problem]:
    """The problem of each of `count` documents that a bulk write did not store for certain.

    Raises what none of them is to blame for.
    """
    details = error.details or {}
    found: dict[int, Problem] = {}
    for each in details.get("writeErrors", ()):
        failure = refused_write(each)
        found[each["index"]] = untaken(failure.code) or translate(failure, writes=writes)
    if details.get("writeConcernErrors"):
        # Each its own: what several threads raise collects the frames of all of them.
        found = {at: found.get(at) or _unsure() for at in range(count)}
    conflict = next((each for each in found.values() if isinstance(each, WriteConflict)), None)
    if conflict is not None and not writes:
        raise conflict
    return found


def _unsure() -> OutcomeUnknown:
    return OutcomeUnknown("The write was not acknowledged by a majority in time.")


def refused_write(details: Mapping[str, Any]) -> driver.WriteError:
    """One of the errors in a write's answer, as the driver would raise it for a single write."""
    code = details["code"]
    kind = driver.DuplicateKeyError if code in _DUPLICATE else driver.WriteError
    return kind("", code, details)


def untaken(code: int | None) -> InvalidDocument | None:
    """What it means when a document is refused with this code; None where it is no fault of it."""
    if code in _UNTAKEN:
        fault = Fault(
            "", "it holds a value, such as a date or a reference, that the database has no room for"
        )
        return InvalidDocument("The database does not take the document.", faults=(fault,))
    if code == _VALIDATION:
        fault = Fault("", "the collection's own validator in the database refuses it")
        return InvalidDocument("The document does not fit its collection.", faults=(fault,))
    if code in _UNINDEXED:
        fault = Fault("", "an index of the collection cannot hold what the document has there")
        return InvalidDocument("The document does not fit an index.", faults=(fault,))
    return None


def _of_connection(error: driver.ConnectionFailure, *, writes: bool) -> Problem:
    if isinstance(error, driver.ServerSelectionTimeoutError):
        # For a second attempt the driver raises what the first met.
        return DatabaseUnavailable("The database cannot be reached.")
    if isinstance(error, driver.WaitQueueTimeoutError):
        # There is a connection for every thread, so the database is not letting new ones in.
        return _unless_sent("The database does not take connections.", writes=writes)
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
        return _unsure()
    if error.code in _TIME_LIMIT or error.timeout:
        return _too_late(writes=writes)
    if error.code in _STEPPING_DOWN | _BROKEN | _NO_SHARD:
        return _failing(writes=writes)
    if error.code in _NO_LOGIN:
        reason = "The database does not accept the service's credentials."
        return _unless_sent(reason, writes=writes)
    return _of_transaction(error, writes=writes) or _refused(error.code)


def _of_transaction(error: driver.OperationFailure, *, writes: bool) -> Problem | None:
    if error.code == _NO_SUCH_TRANSACTION and writes:
        # The driver has sent the commit twice, and a server that died in between, or whose
        # record of the first is gone, does not know of it either.
        return OutcomeUnknown("The database does not know whether it has committed the write.")
    if error.code == _CONFLICT or error.has_error_label(_IN_VAIN):
        return WriteConflict("Other writers are changing the same document.")
    return None


def _refused(code: int | None) -> Problem:
    for codes, words in _UNAVAILABLE:
        if code in codes:
            return DatabaseUnavailable(words)
    if code == _TOO_MANY_VALUES:
        return TooLarge("The values together are larger than the database answers with.")
    if code in _TOO_LARGE:
        return TooLarge("The document is larger than the database takes.")
    return InternalError("The database refused in a way the service did not foresee.")


def _unless_sent(reason: str, *, writes: bool) -> Problem:
    """A connection was not to be had: for a first attempt, or for a second after one was sent."""
    if writes:
        return OutcomeUnknown("The write may have been sent before the database was lost.")
    return DatabaseUnavailable(reason)


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
    return duplicate(_index_name(str(details.get("errmsg", ""))), fields)


def duplicate(index: str, fields: list[str]) -> DuplicateKey:
    """The problem of a document that has the values of another in a unique index."""
    return DuplicateKey(
        f"Another document has the same value of {', '.join(fields)}.",
        faults=tuple(Fault(pointer_to(each.split(".")), "already there") for each in fields),
        extra={"index": index, "fields": fields},
    )


def _index_name(message: str) -> str:
    """The index named in `E11000 duplicate key error collection: … index: NAME dup key: …`."""
    _, _, rest = message.partition(" index: ")
    return rest.partition(" dup key:")[0] or "_id_"


def log(operation: str, error: Exception, problem: Problem) -> None:
    """Tell the operator of a problem that is not the client's doing."""
    if not problem.is_failure:
        return
    structlog.get_logger().warning(
        "database operation failed",
        operation=operation,
        code=problem.code,
        error=type(error).__name__,
        reason=_reason(error),
    )


def _reason(error: Exception) -> str:
    """What an operator may read: of the server's answer its code alone, for it quotes documents."""
    if isinstance(error, driver.OperationFailure):
        return f"{error.code} {(error.details or {}).get('codeName', '')}".strip()
    # The driver's own words, without the topology description that it appends.
    return str(error).partition(", Timeout:")[0][:300]
