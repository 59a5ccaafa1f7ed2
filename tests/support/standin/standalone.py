"""A `mongod` without --replSet, with the options of the server that it stands before.

SecantusDB says that it is a replica set and has transactions. In front of it here, what a
standalone does not have is refused with mongod's own codes, and what only a member of a set says of
itself is left out of the answers:

    txnNumber                        20 IllegalOperation: transactions and retryable writes
    commitTransaction without one    125 CommandFailed; abortTransaction likewise
    $changeStream                    40573
    readConcern with a cluster time,
      linearizable or snapshot       123 NotAReplicaSet
    replSetGetStatus and its kin     76 NoReplicationEnabled
    hello                            no set, no hosts, no election
    every answer                     no $clusterTime, no operationTime

MongoDB manual: "hello", "Transactions", "Change Streams", "Read Concern", "Error Codes".
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from . import wire
from .backend import Backend, BackendError
from .mongod import UsageError, take_lock
from .node import SET_COMMANDS, CommandError
from .wire import Body, Message, Relay

HELLO = frozenset(
    (
        "helloOk",
        "isWritablePrimary",
        "ismaster",
        "topologyVersion",
        "maxBsonObjectSize",
        "maxMessageSizeBytes",
        "maxWriteBatchSize",
        "localTime",
        "logicalSessionTimeoutMinutes",
        "connectionId",
        "minWireVersion",
        "maxWireVersion",
        "readOnly",
        "ok",
    )
)
"""What a standalone says in answer to `hello`."""
GOSSIP = frozenset(("$clusterTime", "operationTime"))
"""What only members of a set add to their answers."""
OF_A_SET = frozenset(("afterClusterTime", "atClusterTime", "afterOpTime"))
"""Fields of a read concern that need an oplog."""
_CHUNK = 1024 * 1024


def check(command: str, body: Body) -> None:
    """Raise CommandError for what a standalone refuses; `body` need be decoded at its top only."""
    if "txnNumber" in body:
        words = "Transaction numbers are only allowed on a replica set member or mongos"
        raise CommandError(20, "IllegalOperation", words)
    if command in ("commitTransaction", "abortTransaction"):
        raise CommandError(125, "CommandFailed", f"{command} must be run within a transaction")
    if command in SET_COMMANDS:
        raise CommandError(76, "NoReplicationEnabled", "not running with --replSet")
    concern = body.get("readConcern", {})
    if concern.get("level") in ("linearizable", "snapshot") or not OF_A_SET.isdisjoint(concern):
        words = "node needs to be a replica set member to use read concern"
        raise CommandError(123, "NotAReplicaSet", words)
    if command == "aggregate" and any("$changeStream" in stage for stage in body["pipeline"]):
        words = "The $changeStream stage is only supported on replica sets"
        raise CommandError(40573, "Location40573", words)


def as_standalone(body: Body) -> Body:
    """An answer of the backend, as a standalone gives it."""
    if "maxWireVersion" in body:  # nothing but `hello` has it
        return {name: value for name, value in body.items() if name in HELLO}
    return {name: value for name, value in body.items() if name not in GOSSIP}


class Door:
    """Passes one client's messages to the backend, and the answers back."""

    def __init__(self, client: asyncio.StreamWriter, backend: asyncio.StreamWriter) -> None:
        """Take both ways out."""
        self.requests = Relay(self._pick_request, backend.write)
        self.answers = Relay(lambda _: _changed, client.write)
        self._client = client

    def _pick_request(self, data: bytes) -> wire.Change | None:
        return self._passed if wire.command_of(data) not in (b"", b"hello") else None

    def _passed(self, raw: bytes) -> bytes:
        """The request itself; nothing where it was refused here."""
        try:
            check(wire.command_of(raw).decode(), wire.top_of(raw))
        except CommandError as error:
            if not wire.has_more_to_come(raw):
                asked = Message(wire.request_id_of(raw), wire.OP_MSG, {})
                self._client.write(wire.reply(asked, error.body))
            return b""
        return raw


def _changed(raw: bytes) -> bytes:
    return wire.with_body(raw, as_standalone)


async def _connect(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until it or the backend leaves."""
    try:
        from_backend, backend = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
    except OSError:
        writer.close()
        return
    door = Door(writer, backend)
    pumps = [
        asyncio.create_task(_pump(reader, door.requests.feed, backend)),
        asyncio.create_task(_pump(from_backend, door.answers.feed, writer)),
    ]
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    backend.close()
    writer.close()
    await asyncio.wait(pumps)


async def _pump(
    source: asyncio.StreamReader, feed: Callable[[bytes], None], goal: asyncio.StreamWriter
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            feed(data)
            await goal.drain()


async def serve(options: argparse.Namespace, lock: int) -> int:
    """Serve until a signal or the backend's death; the exit code."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    backend = Backend(options.storage_path, lock)
    await backend.start(auth=False)
    server = await asyncio.start_server(
        lambda reader, writer: _connect(backend.port, reader, writer),
        *(options.host, options.port),
        limit=_CHUNK,
        backlog=1024,
    )
    ends = [asyncio.create_task(event.wait()) for event in (stopping, backend.died)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    server.close()
    if not stopping.is_set():
        print("the storage has died", file=sys.stderr, flush=True)
        return 14  # mongod's own, for an error that it can't recover from
    await backend.stop()
    return 0


def main() -> int:
    """Run it; the exit code is mongod's."""
    parser = argparse.ArgumentParser("standalone", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--storage-path", type=Path, required=True)
    # The other options of that server are passed over: the one behind has its own.
    options, _ = parser.parse_known_args()
    options.storage_path.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(serve(options, take_lock(options.storage_path)))
    except (UsageError, BackendError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
