"""The link between the service and its database: a TCP proxy that can be made a bad one.

`python -m tests.support.chaos.link TARGET` prints its port and carries out what comes on its
standard input, a line each, with `ok` when it is done:

==================  ==========================================================================
`delay SECONDS`     whatever comes is passed on so much later, in either direction
`cut`               every connection is reset, and none is made
`hold there`        what the service sends does not arrive; the other direction works
`hold back`         what the database answers does not arrive; the other direction works
`heal`              all is well again, and what was held arrives now: late, as TCP has it
`drop`              all is well again for new connections; the old ones break with what they held
==================  ==========================================================================
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

ROOT = Path(__file__).parents[3]
AT_ONCE = 64 * 1024
THERE, BACK = "there", "back"


class Link:
    """The proxy in a process of its own, so that it is as quick as the clients let it be."""

    def __init__(self, target: int) -> None:
        """Start it, before a port of this machine."""
        pipe = subprocess.PIPE
        words = [sys.executable, "-m", __name__, str(target)]
        self._process = subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self.port = int(self._heard())

    def say(self, command: str) -> None:
        """Have it do what the module's documentation lists; returns when it is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        heard = self._heard()
        if heard != "ok":
            raise RuntimeError(f"the link does not {command}: {heard}")

    def close(self) -> None:
        """End it, and every connection with it."""
        self._process.kill()
        self._process.communicate()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Gate:
    """What lets bytes pass, late or not at all for now."""

    def __init__(self) -> None:
        """All passes."""
        self.is_cut = False
        self.transports: set[asyncio.WriteTransport] = set()
        self._delay = 0.0
        self._open = {THERE: asyncio.Event(), BACK: asyncio.Event()}
        self.heal()

    async def passed(self, way: str) -> None:
        """Wait until what has come may go on."""
        if self._delay:
            await asyncio.sleep(self._delay)
        await self._open[way].wait()

    def delay(self, seconds: str) -> None:
        """Pass all on so much later."""
        self._delay = float(seconds)

    def hold(self, way: str) -> None:
        """Pass nothing on in this direction."""
        self._open[way].clear()

    def cut(self) -> None:
        """Reset all connections and make none."""
        self.is_cut = True
        for transport in self.transports:
            transport.abort()

    def heal(self) -> None:
        """Pass all on, and at once."""
        self.is_cut = False
        self._delay = 0.0
        for each in self._open.values():
            each.set()

    def drop(self) -> None:
        """Break what there is; new connections are good ones."""
        self.cut()
        self.heal()


async def _serve(target: int, gate: Gate) -> asyncio.Server:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with _Kept(gate, writer):
            if gate.is_cut:
                return
            try:
                reading, writing = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                return
            with _Kept(gate, writing):
                await _both(
                    _pump(reader, writing, lambda: gate.passed(THERE)),
                    _pump(reading, writer, lambda: gate.passed(BACK)),
                )

    return await asyncio.start_server(join, "127.0.0.1", 0, backlog=256)


class _Kept:
    """A connection that can be reset by the gate; reset at the end in any case."""

    def __init__(self, gate: Gate, writer: asyncio.StreamWriter) -> None:
        self._all = gate.transports
        self._one = writer.transport

    def __enter__(self) -> None:
        self._all.add(self._one)

    def __exit__(self, *_: object) -> None:
        self._all.discard(self._one)
        self._one.abort()


async def _both(*pumps: Coroutine[None, None, None]) -> None:
    """Until one of the two directions ends: then neither is of use."""
    tasks = [asyncio.ensure_future(each) for each in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    passed: Callable[[], Awaitable[None]],
) -> None:
    while data := await reader.read(AT_ONCE):
        await passed()
        writer.write(data)
        await writer.drain()


def _carry_out(gate: Gate, command: str) -> str:
    """Do what a line says; what is answered."""
    name, *words = command.split()
    deeds: dict[str, Callable[..., None]] = {
        "delay": gate.delay,
        "hold": gate.hold,
        "cut": gate.cut,
        "heal": gate.heal,
        "drop": gate.drop,
    }
    deeds[name](*words)
    return "ok"


async def main() -> None:
    """Be the proxy until the standard input ends."""
    gate = Gate()
    async with await _serve(int(sys.argv[1]), gate) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while command := await asyncio.to_thread(sys.stdin.readline):
            print(_carry_out(gate, command), flush=True)
        gate.cut()


if __name__ == "__main__":
    asyncio.run(main())
