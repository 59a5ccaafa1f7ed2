"""The worker processes: started, replaced when they die, drained when the service stops.

A worker inherits the listening sockets and one end of a socket pair. On that it writes `SERVING`
once it serves, and reads `STOPPING` before it is told to stop with all others; when it reads the
end of the stream there, the launcher is dead, and it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from demijohn.exits import Exit
from demijohn.launcher.backoff import Backoff
from demijohn.launcher.failure import LaunchError
from demijohn.launcher.loop import NEVER, Loop
from demijohn.settings import MULTIPROCESS_DIR

SERVING = b"R"
"""What a worker says once it accepts connections."""
STOPPING = b"S"
"""What a worker is told: the whole service stops, and no other worker will take its place."""
GRACE = 5.0
"""Seconds past its own deadlines that a worker gets before it is killed."""
FINAL_CODES = range(Exit.USAGE, Exit.DATABASE + 1)
"""A worker that ends so before it served has said why; another would end the same way."""
MOST_EARLY_DEATHS = 5
"""Workers that may die before any has served: then another will not fare better."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is started with."""

    count: int
    arguments: Sequence[str]
    descriptors: Sequence[int]
    environ: Mapping[str, str]
    drain: float
    """Seconds in which a worker ends by itself after SIGTERM: its drain's delay and timeout."""


@dataclass(slots=True)
class _Worker:
    """A worker process and our end of its channel."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    ready_since: float | None = None


@dataclass(slots=True)
class _Slot:
    """The place of one worker; processes come and go in it."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.1, most=5.0))
    worker: _Worker | None = None
    due: float = 0.0


class Workers:
    """All workers: a part of the launcher's loop (see demijohn.launcher.loop)."""

    def __init__(self, plan: Plan, loop: Loop, clock: Callable[[], float]) -> None:
        """Prepare; the first tick starts the processes."""
        self.is_serving = False
        """Whether a worker has served, ever."""
        self.code = int(Exit.OK)
        """The worst exit code of the workers that were asked to stop."""
        self._plan = plan
        self._loop = loop
        self._clock = clock
        self._slots = [_Slot() for _ in range(plan.count)]
        self._deadline: float | None = None
        self._early_deaths = 0

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` has been called."""
        return self._deadline is not None

    @property
    def is_stopped(self) -> bool:
        """Whether all have ended after `stop`."""
        return self.is_stopping and all(each.worker is None for each in self._slots)

    def tick(self, now: float) -> float:
        """Do what is due. Raises LaunchError where a worker said that none can start."""
        return min(self._tick_slot(slot, now) for slot in self._slots)

    def stop(self, now: float) -> None:
        """Ask all to drain and end; called again, ask again: then they end at once."""
        if self._deadline is None:
            self._deadline = now + self._plan.drain + GRACE
        for slot in self._slots:
            if slot.worker is not None and slot.worker.process.poll() is None:
                with contextlib.suppress(ConnectionError):  # it has ended just now
                    slot.worker.channel.send(STOPPING)
                slot.worker.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all at once, without a drain."""
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.process.kill()
                slot.worker.process.wait()
                self._release(slot, slot.worker)

    def _tick_slot(self, slot: _Slot, now: float) -> float:
        if slot.worker is None:
            return self._start_when_due(slot, now)
        process = slot.worker.process
        code = process.poll()
        if code is not None:
            self._ended(slot, slot.worker, code, now)
            return now
        if self._deadline is None:
            return NEVER
        if now >= self._deadline:
            log.error("worker did not end by the deadline and was killed", pid=process.pid)
            process.kill()
            process.wait()
            return now
        return self._deadline

    def _start_when_due(self, slot: _Slot, now: float) -> float:
        if self.is_stopping:
            return NEVER
        if now < slot.due:
            return slot.due
        try:
            slot.worker = self._spawn()
        except OSError as error:
            slot.due = now + slot.backoff.delay(0.0)
            log.error("worker not started", reason=error.strerror)  # noqa: TRY400
            return slot.due
        worker = slot.worker
        self._loop.watch(worker.channel, lambda: self._heard(worker))
        return NEVER

    def _ended(self, slot: _Slot, worker: _Worker, code: int, now: float) -> None:
        self._release(slot, worker)
        served = worker.ready_since is not None
        if self.is_stopping:
            self.code = max(self.code, _stop_code(code, served=served))
            return
        if not served and code in FINAL_CODES:
            raise LaunchError(code)
        self._early_deaths += not served
        if not self.is_serving and self._early_deaths >= MOST_EARLY_DEATHS:
            message = f"No worker has come to serve in {self._early_deaths} tries; see above why."
            raise LaunchError(Exit.FAILED, message)
        delay = slot.backoff.delay(now - worker.ready_since if worker.ready_since else 0.0)
        slot.due = now + delay
        log.error("worker died", pid=worker.process.pid, code=code, again_in=delay)

    def _spawn(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undo, theirs:
            undo.callback(ours.close)
            process = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-m", "demijohn.launcher.worker", *self._plan.arguments),
                    *("--launcher-fd", str(theirs.fileno())),
                ],
                env=dict(self._plan.environ),
                stdin=subprocess.DEVNULL,
                pass_fds=[*self._plan.descriptors, theirs.fileno()],
                # Ctrl-C in a terminal is for the launcher alone; it tells the workers.
                start_new_session=True,
            )
            undo.pop_all()
        ours.setblocking(False)
        return _Worker(process, ours)

    def _heard(self, worker: _Worker) -> None:
        """The worker has written, or it is gone, which SIGCHLD tells better."""
        self._loop.forget(worker.channel)
        with contextlib.suppress(ConnectionError):  # it is gone, and never read that it was to stop
            if worker.channel.recv(16) == SERVING:
                worker.ready_since = self._clock()
                self.is_serving = True

    def _release(self, slot: _Slot, worker: _Worker) -> None:
        self._loop.forget(worker.channel)
        worker.channel.close()
        slot.worker = None
        _forget_gauges(worker.process.pid, Path(self._plan.environ[MULTIPROCESS_DIR]))


def _forget_gauges(pid: int, directory: Path) -> None:
    """Take a dead worker's live gauges out of the sums; its counters stay in them."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - seldom needed, 15 MiB

    multiprocess.mark_process_dead(pid, os.fspath(directory))  # type: ignore[no-untyped-call]


def _stop_code(code: int, *, served: bool) -> int:
    """The exit code of a worker that was asked to stop, as one of ours."""
    if code == -signal.SIGTERM and not served:
        return Exit.OK  # it had not yet begun to listen for signals
    return Exit.CUT_SHORT if code < 0 else code
