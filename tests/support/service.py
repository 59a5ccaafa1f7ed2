"""The real command `demijohn serve` in a real process, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from weakref import WeakSet

import psutil

from tests.support.processes import (
    TAG,
    TimedOutError,
    is_alive,
    kill_all,
    tagged,
    tree,
    wait_until,
)

ROOT = Path(__file__).parents[2]
OURS = ("DEMIJOHN_", "MONGODB_URI", "PROMETHEUS_MULTIPROC_DIR", TAG)
LAST_LINES, LONGEST_LINE = 20, 300
"""What a failure shows of a log."""
_END = "Extension modules:"
"""The last line of what Python says of a process that SIGABRT ends (its manual, `faulthandler`)."""
_begun: WeakSet[Service] = WeakSet()


def clean_environ(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without a setting of the service, and `settings` on top."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # The package is imported from the checkout, in whichever directory the command runs.
    return {**kept, "PYTHONPATH": str(ROOT), **settings}


class Service:
    """One `python -m demijohn serve`, on a port that it picks.

    `settings` are environment variables; `arguments` come after `serve --port 0`.
    """

    def __init__(
        self, directory: Path, settings: Mapping[str, str], arguments: Sequence[str] = ()
    ) -> None:
        """Start the command in `directory`, where its log goes too; do not wait for it."""
        directory.mkdir(parents=True, exist_ok=True)
        self._log_path = directory / f"service-{uuid.uuid4().hex}.log"
        self._tag = uuid.uuid4().hex
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demijohn", "serve", "--port", "0", *arguments],
                cwd=directory,
                # A service that is killed leaves its temporary files: here they go with the test.
                env={
                    **clean_environ({"TMPDIR": str(directory), **settings}),
                    TAG: self._tag,
                    "PYTHONFAULTHANDLER": "1",  # see `last_words`
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _begun.add(self)

    def started(self) -> Self:
        """Wait until it listens. Raises RuntimeError with its log where it ends instead."""
        wait_until(lambda: self._listening() or self.process.poll() is not None, "it listens")
        if self._listening() is None:
            raise RuntimeError(f"the service did not start:\n{self.log()}")
        return self

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return str((self._listening() or {})["url"])

    @property
    def management_url(self) -> str:
        """Where the probes and metrics are, if that is a port of its own."""
        return str((self._listening() or {})["management_url"])

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.url.rpartition(":")[2])

    def log(self) -> str:
        """All that it and its workers have printed so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        """The lines of the log with this event."""
        return [each for each in map(_parsed, self.log().splitlines()) if each["event"] == name]

    def workers(self) -> list[int]:
        """The worker processes that run."""
        return self._children(lambda word: word == "demijohn.launcher.worker")

    def database_pid(self) -> int | None:
        """The embedded database's process, None while none runs."""
        return next(iter(self._children(lambda word: word.endswith("secantusd-py"))), None)

    def everything(self) -> list[psutil.Process]:
        """The launcher and all that came of it, orphans too."""
        found = {each.pid: each for each in (*tree(self.process.pid), *tagged(self._tag))}
        return list(found.values())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and wait; its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return self.process.wait(timeout=90)

    def kill(self) -> None:
        """SIGKILL to the launcher and everything below it at one time."""
        everything = self.everything()
        kill_all(everything)
        self.process.wait()
        wait_until(lambda: not any(is_alive(each.pid) for each in everything), "all end")

    def last_words(self) -> str:
        """What it has said, and what its workers' threads are at; they end by that.

        That is for a test that has failed, perhaps for one of them that hangs.
        """
        said = self.log()
        for pid in self.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        with suppress(TimedOutError):
            wait_until(lambda: _END in self.log(), "their stacks are there", timeout=5)
        stacks = self.log()[len(said) :].split("\n\n")
        different = dict.fromkeys(each.partition("\n")[2] for each in stacks)
        last = [each[:LONGEST_LINE] for each in said.splitlines()[-LAST_LINES:]]
        return "\n".join(last) + "\n\n".join(different)

    def _children(self, is_mark: Callable[[str], bool]) -> list[int]:
        return [
            each.pid
            for each in tree(self.process.pid)[1:]
            if any(map(is_mark, _command_line(each)))
        ]

    def _listening(self) -> dict[str, object] | None:
        return next(iter(self.events("listening")), None)


def running() -> list[Service]:
    """Those of this process of pytest whose launcher lives."""
    return [each for each in _begun if each.process.poll() is None]


@contextmanager
def serving(
    directory: Path, settings: Mapping[str, str], arguments: Sequence[str] = ()
) -> Iterator[Service]:
    """A service of the block's own, started as `Service` is; killed at the end of the block."""
    service = Service(directory, settings, arguments)
    try:
        yield service.started()
    finally:
        service.kill()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _parsed(line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) and "event" in value else {"event": None}
