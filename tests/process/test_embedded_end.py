"""How the launcher ends the embedded database: with a server that takes long to end."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from demijohn.launcher import embedded
from demijohn.launcher.datadir import DataDir
from demijohn.launcher.loop import Loop
from tests.support.processes import wait_until

SLOW = f"""#!{sys.executable}
import signal
import time

from secantus.cli import main

try:
    main()
finally:  # what the interpreter does in the end, when it has put its handlers away
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep({2.5 * embedded.ASK_AGAIN})
"""


def test_a_database_in_its_last_moments_is_left_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again only where it may not have heard; one more signal would kill it now."""
    slow = tmp_path / "slow"
    slow.write_text(SLOW)
    slow.chmod(0o700)
    monkeypatch.setattr(embedded, "find_command", lambda: str(slow))
    with (
        closing(DataDir(tmp_path / "data")) as data,
        closing(embedded.Database(data, Loop())) as database,
    ):

        def ticked() -> embedded.Database:
            database.tick(time.monotonic())
            return database

        # It has been ended once by then, to be started with a login: killed, it stops the start.
        wait_until(lambda: ticked().is_ready, "it is ready")
        database.stop(time.monotonic())
        wait_until(lambda: ticked().is_stopped, "it has ended")
