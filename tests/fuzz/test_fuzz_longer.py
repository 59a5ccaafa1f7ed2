"""All the fuzzers for longer, with inputs that no run before has had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TIMES = 10


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_times_as_many() -> None:
    """Nothing is found in ten times as many inputs as CI tries, times `SCALE`."""
    scale = TIMES * float(os.environ.get("SCALE", "1"))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
    ended = subprocess.run(
        [*command, "-m", "not soak", "--timeout", "3600", str(Path(__file__).parent)],
        env={**os.environ, "SCALE": str(scale)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    print(ended.stdout.splitlines()[-1])
