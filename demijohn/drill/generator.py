"""The process that makes the load, as the drill holds it: its lines, its steering, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from pydantic import ValidationError

from demijohn.drill import job
from demijohn.drill.errors import DrillError
from demijohn.drill.kubectl import Kubectl
from demijohn.drill.load import Plan
from demijohn.drill.outcomes import Burst, Line, Result, Second
from demijohn.settings import variable

_PATIENCE_AT_START = 120.0
_PATIENCE_AT_END = 60.0
_PATIENCE_ON_ABORT = 10.0
_POLL = 0.05
_BREAKS = 15
"""Times in a row that a Job's log may break off: an API server may be busy, or be restarted."""
_BREATH = 1.0
"""Seconds until it is followed again."""
SLACK = job.PATIENCE + _PATIENCE_AT_START + 2 * _PATIENCE_AT_END
"""Seconds that a Job may last beyond what happens under its load: its start and its end."""

INTERRUPTED = "the clearing up was broken off."
Steer = Callable[[signal.Signals], None]
Start = Callable[[], subprocess.Popen[bytes]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class InCluster:
    """That the load is to be a Job."""

    kubectl: Kubectl
    image: str
    deadline: float
    """Seconds after which the cluster ends it in any case."""


class LoadOver(Exception):
    """The load has ended by itself, and has given its result."""


class Generator:
    """Reads a generator's lines as they come. Usable from several threads."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        steer: Steer,
        again: Start | None = None,
    ) -> None:
        """Take the process whose output the lines are, and a way to send it signals.

        `again` starts one that has all lines from the first on, where what is read may break off
        before the load ends.
        """
        self.seconds: list[Second] = []
        self.burst: Burst | None = None
        self._result: Result | None = None
        self._said: list[str] = []
        self._steer = steer
        self._again = again
        self._breaks = 0
        self._error: str | None = None
        self._origin: float | None = None
        self._follow(process)

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._readers = [
            threading.Thread(target=self._read, args=[process.stdout], daemon=True),
            threading.Thread(target=self._read_errors, args=[process.stderr], daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def is_over(self) -> bool:
        """Whether it has given its result, told to or not."""
        return self._result is not None

    def clock(self) -> float:
        """Seconds since the load began, by its own count; 0 before that."""
        return 0.0 if self._origin is None else time.monotonic() - self._origin

    def wait_for_load(self) -> None:
        """Return once it has made load for a second. Raises DrillError where it ends instead."""
        deadline = time.monotonic() + _PATIENCE_AT_START
        while not self.seconds:
            self.check()
            if time.monotonic() > deadline:
                raise DrillError("The load did not begin.")
            time.sleep(_POLL)

    def check(self) -> None:
        """Raise DrillError if it has ended without a result, LoadOver if with one."""
        if self._process.poll() is not None and self._result is None:
            self._join()
            if self._result is None and not self._follow_again():
                raise self._fault()
        if self.is_over:
            raise LoadOver

    def step_up(self) -> None:
        """Have it raise the rate by a step."""
        self._steer(signal.SIGUSR1)

    def fall(self) -> None:
        """Have it go down to its lowest rate."""
        self._steer(signal.SIGUSR2)

    def finish(self) -> Result:
        """End the load and return its result. Raises DrillError where there is none."""
        # A log that hangs is read again once; SLACK has the time for both.
        deadline = time.monotonic() + 1.5 * _PATIENCE_AT_END
        while self._result is None:
            self._end(_PATIENCE_AT_END)
            is_late = time.monotonic() > deadline
            if self._result is None and (is_late or not self._follow_again()):
                raise self._fault()
        return self._result

    def kill(self, patience: float = 0) -> None:
        """End it without a result, if it still runs; by force if it does not end when told to."""
        self._end(patience)

    def _end(self, patience: float) -> None:
        try:
            if patience:
                self._ask_to_end()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience)
        finally:  # another Ctrl-C leaves no load behind
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        self._join()

    def _ask_to_end(self) -> None:
        try:
            self._steer(signal.SIGTERM)
        except DrillError as error:  # it may have ended already, which its lines then say
            self._said.append(str(error))

    def _follow_again(self) -> bool:
        """Whether there was reason to go on reading lines that broke off, and it was done."""
        if self._again is None or self._error is not None or self._breaks >= _BREAKS:
            return False
        self._breaks += 1
        time.sleep(_BREATH)
        self._follow(self._again())
        return True

    def _read(self, stream: IO[bytes]) -> None:
        with stream as lines:
            for line in lines:
                self._take(line)

    def _read_errors(self, stream: IO[bytes]) -> None:
        with stream as lines:
            for line in lines:
                self._said.append(line.decode("utf-8", "replace").rstrip())

    def _take(self, text: bytes) -> None:
        try:
            line = Line.model_validate_json(text)
        except ValidationError:
            self._said.append(text.decode("utf-8", "replace").rstrip())
            return
        if line.second is not None and self._is_new(line.second):
            self._breaks = 0
            # The least delayed line is nearest to the truth.
            origin = time.monotonic() - line.second.at - 1
            self._origin = origin if self._origin is None else min(self._origin, origin)
            self.seconds.append(line.second)
        self.burst = line.burst or self.burst
        self._result = line.result or self._result
        self._error = line.error or self._error

    def _is_new(self, second: Second) -> bool:
        """Not one that was read before the lines broke off."""
        return not self.seconds or second.at > self.seconds[-1].at

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(_PATIENCE_AT_END)

    def _fault(self) -> DrillError:
        if self._error is not None:
            return DrillError(self._error)
        said = " / ".join(self._said[-3:])
        return DrillError(f"The load ended without a result: {said or 'it said nothing'}")


@contextmanager
def generating(plan: Plan, inside: InCluster | None, say: Say) -> Iterator[Generator]:
    """A generator that carries the plan out, here or in the cluster, for this context's time.

    When the context ends, so has the load; what could not be cleared away is said.
    """
    if inside is None:
        process = _here(plan)
        with _held(Generator(process, process.send_signal), _PATIENCE_ON_ABORT) as generator:
            yield generator
        return
    name = f"{job.LABEL}-{plan.run.lower()}"
    kubectl = inside.kubectl
    words = arguments(plan) + ([] if plan.key is None else ["--key-pipe", job.KEY_PIPE])
    try:
        pod = job.create(kubectl, job.manifest(name, inside.image, words, inside.deadline))
        with _held(_following(kubectl, pod)) as generator:
            _hand_over(plan.key, kubectl, pod, generator)
            yield generator
    finally:
        _delete(kubectl, name, say)


def _here(plan: Plan) -> subprocess.Popen[bytes]:
    """The load as a process of this machine; its key is in its environment alone."""
    return subprocess.Popen(  # noqa: S603 (this program itself)
        [sys.executable, "-m", "demijohn", *arguments(plan)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ if plan.key is None else {**os.environ, variable("key"): plan.key},
        start_new_session=True,
    )


def _hand_over(key: str | None, kubectl: Kubectl, pod: str, generator: Generator) -> None:
    """Give the Job its key. Raises DrillError: what the load says, where it has ended already."""
    if key is None:
        return
    try:
        job.hand_over(kubectl, pod, key)
    except DrillError:
        generator.check()
        raise


def _delete(kubectl: Kubectl, name: str, say: Say) -> None:
    try:
        job.delete(kubectl, name)
    except (DrillError, KeyboardInterrupt) as error:  # no reason to throw away the load's result
        say(f"The Job {name} is perhaps still there: {str(error) or INTERRUPTED}")


def _following(kubectl: Kubectl, pod: str) -> Generator:
    def steer(number: signal.Signals) -> None:
        # It is the container's first process; any image that has Python has a shell.
        kill = f"kill -{number.name.removeprefix('SIG')} 1"
        kubectl.run("exec", pod, "--", "sh", "-c", kill)

    def follow() -> subprocess.Popen[bytes]:
        return kubectl.start("logs", "--follow", pod)

    return Generator(follow(), steer, follow)


@contextmanager
def _held(generator: Generator, patience: float = 0) -> Iterator[Generator]:
    try:
        yield generator
    finally:
        generator.kill(patience)


def arguments(plan: Plan) -> list[str]:
    """The words after `demijohn` that make a load by this plan; its key is none of them."""
    words = [
        *("drill", "load", "--url", plan.url, "--run", plan.run),
        *("--rate", f"{plan.rate:g}", "--max-rate", f"{plan.highest:g}"),
        *("--low-rate", f"{plan.lowest:g}"),
    ]
    words += ["--streams"] if plan.has_streams else []
    words += ["--burst"] if plan.has_burst else []
    words += [] if plan.seconds is None else ["--seconds", f"{plan.seconds:g}"]
    return words
