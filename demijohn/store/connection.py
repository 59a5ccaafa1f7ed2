"""The connection to MongoDB: opened once a process, with our own guarantees over the URI's."""

from __future__ import annotations

import logging
import threading
import warnings

import pymongo
import structlog
from bson.raw_bson import RawBSONDocument
from pymongo import errors as driver
from pymongo.monitoring import ConnectionPoolListener
from pymongo.write_concern import WriteConcern

from demijohn.settings import Settings, SettingsError
from demijohn.store import failures
from demijohn.store.uri import check_uri
from demijohn.telemetry.metrics import Metrics

SELECTION_MS = 1_500
"""A request meets a lost database for so long at most, inside the promised two seconds."""
HEARTBEAT_MS = 1_000
"""How soon a database that came back is found again."""
CONNECT_MS = 5_000

LEADERS = 4
"""Threads beside those that answer requests, each with at most one operation too: they carry out
what came together, so many single commands and so many transactions."""

_BACKGROUND = logging.getLogger("pymongo.client")
"""Where the driver says what fails in its own threads."""

Client = pymongo.MongoClient[RawBSONDocument]


def open_client(uri: str, settings: Settings, pool: Pool, connections: int) -> Client:
    """A client that connects at its first use, in whichever process that is.

    `pool` hears of its connections, of which there are at most so many. Raises SettingsError where
    the URI can't be used (see check_uri).
    """
    check_uri(uri)
    _BACKGROUND.handlers = [_Background()]
    _BACKGROUND.propagate = False
    try:
        with warnings.catch_warnings():
            # The driver only warns of options that it does not know, `tls=maybe` among them.
            warnings.simplefilter("error", UserWarning)
            return pymongo.MongoClient(
                uri,
                connect=False,
                document_class=RawBSONDocument,
                appname="demijohn",
                maxPoolSize=connections,
                serverSelectionTimeoutMS=SELECTION_MS,
                waitQueueTimeoutMS=SELECTION_MS,
                socketTimeoutMS=int(settings.database_timeout * 1000),
                connectTimeoutMS=CONNECT_MS,
                heartbeatFrequencyMS=HEARTBEAT_MS,
                event_listeners=[pool],
                timeoutMS=None,  # whatever the URI says: see Store
                # Of an answer to a write that was carried out: it may speak of any date.
                datetime_conversion="DATETIME_AUTO",
            )
    except (driver.InvalidURI, driver.ConfigurationError, ValueError, TypeError, UserWarning):
        # The driver's words may quote the part of the URI that holds the password.
        message = "MONGODB_URI: it has an option that is unknown or wrong, or a user or password"
        raise SettingsError([f"{message} that is not percent-encoded."]) from None


def write_concern(settings: Settings) -> WriteConcern:
    """What every write is acknowledged by: a majority, from their journals.

    The server gives up a little before the driver does, so that it gets to say so.
    """
    return WriteConcern(w="majority", j=True, wtimeout=int(settings.database_timeout * 900))


class _Background(logging.Handler):
    """Logs it in a line as any other: the driver logs tracebacks, of many lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log what such a thread has met, as where it closes a cursor of a lost database."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, driver.PyMongoError):
            failures.log("background", error, failures.translate(error, writes=False))
        else:
            structlog.get_logger().error("defect", said=record.getMessage(), exc_info=error)


class Pool(ConnectionPoolListener):
    """Counts open connections to the database, and those handed out to each thread."""

    def __init__(self, metrics: Metrics) -> None:
        """Take the metrics to count in."""
        self._open = metrics.pool
        self._of_thread = threading.local()

    @property
    def handed_out(self) -> int:
        """How many connections this thread has had so far: nothing is sent without one."""
        return getattr(self._of_thread, "count", 0)

    def connection_created(self, _event: object) -> None:
        """One more."""
        self._open.inc()

    def connection_closed(self, _event: object) -> None:
        """One less."""
        self._open.dec()

    def connection_checked_out(self, _event: object) -> None:
        """One for this thread."""
        self._of_thread.count = self.handed_out + 1

    def _pass(self, event: object) -> None:
        """Of no interest."""

    pool_created = pool_ready = pool_cleared = pool_closed = _pass
    connection_ready = connection_check_out_started = _pass
    connection_check_out_failed = connection_checked_in = _pass
