"""What the service or its database could not do: the 5xx of the tree in `demijohn.errors`."""

# ruff: noqa: D101 - `meaning` says it, to clients too
from __future__ import annotations

from demijohn.problem import Problem


class InternalError(Problem):
    status = 500
    code = "internal-error"
    title = "A defect of the service"
    meaning = (
        "Something went wrong that the service did not foresee. Its log has the details under "
        "the `request_id`; please report them."
    )


class NeedsReplicaSet(Problem):
    status = 501
    code = "needs-replica-set"
    title = "The database is a standalone mongod"
    meaning = (
        "This needs a transaction or a change stream, which MongoDB has on a replica set (one "
        "member will do) or a sharded cluster only. Nothing was done. Start `mongod` with "
        "`--replSet` and initiate the set once."
    )


class Overloaded(Problem):
    status = 503
    code = "overloaded"
    title = "Too busy"
    meaning = "More requests or bytes are in flight than this process takes. Nothing was done."
    retry_after = 1


class DatabaseUnavailable(Problem):
    status = 503
    code = "database-unavailable"
    title = "The database cannot be reached"
    meaning = (
        "The database does not answer or does not accept the service. Nothing was written; "
        "the same request can be sent again."
    )
    retry_after = 2


class OutcomeUnknown(Problem):
    status = 503
    code = "outcome-unknown"
    title = "It is not known whether the write happened"
    meaning = (
        "The write was sent to the database, but no acknowledgement came back. It may or may not "
        "have happened. With an `Idempotency-Key` the same request can simply be sent again with "
        "the same key: it has one effect. Without one, read before you send it again."
    )
    retry_after = 2


class ShuttingDown(Problem):
    status = 503
    code = "shutting-down"
    title = "Shutting down"
    meaning = "This process is about to stop. Another one, or the next one, will answer."
    retry_after = 1


class DeadlineExceeded(Problem):
    status = 504
    code = "deadline-exceeded"
    title = "It took too long"
    meaning = (
        "The request did not finish before its deadline. Nothing was written; it can be sent again."
    )
