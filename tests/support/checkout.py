"""A fresh clone, and the environment of somebody who has only just got it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_OURS = ("DEMIJOHN_", "FLASK_", "MONGODB_", "PYTHON", "VIRTUAL_ENV", "MAKE", "PROMETHEUS_")


def copy_of_checkout(root: Path, goal: Path) -> Path:
    """Copy the files that a clone of `root` would have, as they are now; return `goal`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            (goal / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, goal / name)
    return goal


def readers_environ(home: Path) -> dict[str, str]:
    """An environment with Python, a shell's tools and nothing of this project in it.

    The interpreter is that of the tests, found as `python3`, not the one of their virtual
    environment: what the tests have installed must not be found by accident.
    """
    programs = home / "programs"
    programs.mkdir()
    python = programs / "python3"
    base = getattr(sys, "_base_executable", sys.executable)
    python.write_text(f'#!/bin/sh\nexec "{base}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    path = f"{programs}:/usr/local/bin:/usr/bin:/bin"
    return {**kept, "PATH": path, "PYTHON": str(python)}
