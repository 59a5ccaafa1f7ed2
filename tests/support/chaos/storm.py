"""The service, its database, the link between them and the disk below, and what befalls each."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path

from tests.support.chaos import disk
from tests.support.chaos.disk import SmallDisk
from tests.support.chaos.link import BACK, THERE, Link
from tests.support.chaos.stage import Note, Separate
from tests.support.processes import freeze, wait_until

KILLS = ("kill worker", "kill service", "kill database")
STOPS = ("stop worker", "stop service", "stop database")
LINKS = ("link slow", "link cut", "link half-cut there", "link half-cut back")
DISK = "disk full"
ALL = (*KILLS, *STOPS, *LINKS, DISK)
PATIENCE = 2
"""Seconds that the service waits for the database: some of what befalls it lasts longer."""
SHORTEST, LONGEST = 0.3, 3.0
"""Seconds that a stop or a bad link lasts."""
SLOW = (0.02, 0.3)
"""Seconds of delay, each way."""


class Storm(Separate):
    """The service with three workers, a bad link and a small disk."""

    def __init__(self, directory: Path, settings: Mapping[str, str], seed: int) -> None:
        """Start nothing yet; `settings` go to the service."""
        own = {"DEMIJOHN_WORKERS": "3", "DEMIJOHN_DATABASE_TIMEOUT": str(PATIENCE)}
        super().__init__(directory, {**own, **settings}, seed)
        self._disk = SmallDisk(directory / "data")
        self._link: Link | None = None
        self._ends = cycle(("heal", "drop"))

    def start(self) -> None:
        """Start all of it."""
        self._disk.mount()
        self._link = Link(self._database.port)
        uri = f"mongodb://127.0.0.1:{self._link.port}/?directConnection=true&retryWrites=false"
        self._settings["MONGODB_URI"] = uri
        super().start()
        disk.lay_in(self._database.uri)

    def kill(self, what: str, note: Note) -> None:
        """One of `ALL`; what it has harmed runs again, or will by itself, when this returns."""
        kind, _, which = what.partition(" ")
        if kind == "kill":
            super().kill(which, lambda _: note(what))
            return
        note(what)
        if kind == "stop":
            self._stop(which)
        elif kind == "link":
            self._spoil(which)
        else:
            self._fill()

    def close(self) -> None:
        """End all of it, as far as it was started."""
        super().close()
        if self._link is not None:
            self._link.close()
        self._disk.unmount()

    def _stop(self, which: str) -> None:
        found = self._processes(which)
        try:
            for process in found:
                with suppress(FileNotFoundError, ProcessLookupError):
                    freeze(process)
            self._last()
        finally:
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    def _processes(self, which: str) -> list[int]:
        if which == "database":
            return [self._database.pid]
        service = self._running()
        if which == "service":
            return [each.pid for each in service.everything()]
        wait_until(service.workers, "a worker runs")
        return [self._random.choice(service.workers())]

    def _spoil(self, how: str) -> None:
        """Make the link a bad one for a while: what it held arrives, or, each other time, never."""
        spoil: dict[str, str] = {
            "slow": f"delay {self._random.uniform(*SLOW)}",
            "cut": "cut",
            "half-cut there": f"hold {THERE}",
            "half-cut back": f"hold {BACK}",
        }
        assert self._link is not None
        self._link.say(spoil[how])
        self._last()
        self._link.say(next(self._ends))

    def _fill(self) -> None:
        """Fill the disk; a database that has met it has to be started anew when there is room."""
        self._disk.fill()
        disk.use_up(self._database.uri)
        self._last()
        self._disk.free()
        self._database.kill()
        self._database.start()

    def _last(self) -> None:
        time.sleep(self._random.uniform(SHORTEST, LONGEST))
