"""Every problem that a client can meet, one class each (RFC 9457).

::

    Problem
    ├── 400  MalformedJson          malformed-json          the body is not JSON; line and column
    │        BadParameter           bad-parameter           a query parameter or header is wrong
    │        BadCursor              bad-cursor              not a position in this list or stream
    │        IncompleteBody         incomplete-body         the body ended before it was whole
    │        IdempotencyUnsupported idempotency-unsupported Idempotency-Key is not honoured here
    ├── 401  Unauthenticated        unauthenticated         a key is missing, or is not a valid one
    ├── 403  Forbidden              forbidden               the guard or a scope says no
    ├── 404  NotFound               not-found
    ├── 405  MethodNotAllowed       method-not-allowed      with Allow
    ├── 406  NotAcceptable          not-acceptable
    ├── 408  BodyTimeout            body-timeout            the body came too slowly
    ├── 409  DuplicateKey           duplicate-key           which index, which fields
    │        WriteConflict          write-conflict          others keep changing the document
    │        IdempotencyInProgress  idempotency-in-progress the first request is still under way
    │        IndexConflict          index-conflict          another index has the name or the key
    ├── 412  PreconditionFailed     precondition-failed     If-Match or If-None-Match says no
    ├── 413  TooLarge               too-large
    ├── 415  UnsupportedMediaType   unsupported-media-type
    ├── 422  InvalidDocument        invalid-document        JSON, but no document; pointers
    │        InvalidPatch           invalid-patch           which operation, and why
    │        InvalidFilter          invalid-filter          which clause, and why
    │        InvalidPipeline        invalid-pipeline        which stage, and why
    │        InvalidSchema          invalid-schema          which keyword, and why
    │        InvalidIndex           invalid-index           which member, and why
    │        Unsortable             unsortable              a document has an array there
    │        ForbiddenOperator      forbidden-operator      not on the list of what is let through
    │        IdempotencyKeyReused   idempotency-key-reused  the same key with another request
    ├── 428  PreconditionRequired   precondition-required   the collection demands If-Match
    ├── 429  TooManyRequests        too-many-requests       of a key or an address; Retry-After
    ├── 500  InternalError          internal-error          a defect of the service
    ├── 501  NeedsReplicaSet        needs-replica-set       a standalone mongod cannot do it
    ├── 503  Overloaded             overloaded              with Retry-After, as all of 503
    │        DatabaseUnavailable    database-unavailable    nothing was written
    │        OutcomeUnknown         outcome-unknown         the write may or may not have happened
    │        ShuttingDown           shutting-down
    └── 504  DeadlineExceeded       deadline-exceeded

A problem is raised where it is known and becomes an HTTP answer in one place,
``demijohn.edge.reply``. Its ``detail`` is written for the client: it never holds a
driver's message, a host name, a credential or a stack trace.
"""

from __future__ import annotations

from collections.abc import Iterator

from demijohn.errors.failures import DatabaseUnavailable as DatabaseUnavailable
from demijohn.errors.failures import DeadlineExceeded as DeadlineExceeded
from demijohn.errors.failures import InternalError as InternalError
from demijohn.errors.failures import NeedsReplicaSet as NeedsReplicaSet
from demijohn.errors.failures import OutcomeUnknown as OutcomeUnknown
from demijohn.errors.failures import Overloaded as Overloaded
from demijohn.errors.failures import ShuttingDown as ShuttingDown
from demijohn.errors.refusals import BadCursor as BadCursor
from demijohn.errors.refusals import BadParameter as BadParameter
from demijohn.errors.refusals import BodyTimeout as BodyTimeout
from demijohn.errors.refusals import DuplicateKey as DuplicateKey
from demijohn.errors.refusals import Forbidden as Forbidden
from demijohn.errors.refusals import ForbiddenOperator as ForbiddenOperator
from demijohn.errors.refusals import IdempotencyInProgress as IdempotencyInProgress
from demijohn.errors.refusals import IdempotencyKeyReused as IdempotencyKeyReused
from demijohn.errors.refusals import IdempotencyUnsupported as IdempotencyUnsupported
from demijohn.errors.refusals import IncompleteBody as IncompleteBody
from demijohn.errors.refusals import IndexConflict as IndexConflict
from demijohn.errors.refusals import InvalidDocument as InvalidDocument
from demijohn.errors.refusals import InvalidFilter as InvalidFilter
from demijohn.errors.refusals import InvalidIndex as InvalidIndex
from demijohn.errors.refusals import InvalidPatch as InvalidPatch
from demijohn.errors.refusals import InvalidPipeline as InvalidPipeline
from demijohn.errors.refusals import InvalidSchema as InvalidSchema
from demijohn.errors.refusals import MalformedJson as MalformedJson
from demijohn.errors.refusals import MethodNotAllowed as MethodNotAllowed
from demijohn.errors.refusals import NotAcceptable as NotAcceptable
from demijohn.errors.refusals import NotFound as NotFound
from demijohn.errors.refusals import PreconditionFailed as PreconditionFailed
from demijohn.errors.refusals import PreconditionRequired as PreconditionRequired
from demijohn.errors.refusals import TooLarge as TooLarge
from demijohn.errors.refusals import TooManyRequests as TooManyRequests
from demijohn.errors.refusals import Unauthenticated as Unauthenticated
from demijohn.errors.refusals import Unsortable as Unsortable
from demijohn.errors.refusals import UnsupportedMediaType as UnsupportedMediaType
from demijohn.errors.refusals import WriteConflict as WriteConflict
from demijohn.problem import Fault as Fault
from demijohn.problem import Problem as Problem


def problem_classes() -> Iterator[type[Problem]]:
    """Every problem there is, by status and name."""
    yield from sorted(Problem.__subclasses__(), key=lambda each: (each.status, each.code))
