"""The guide's own way to start the application: `flask run`, in a real process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import urllib3

from tests.support.database import free_port
from tests.support.processes import wait_until
from tests.support.service import ROOT, clean_environ


@contextmanager
def flask_run(directory: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """Run `flask run` with these settings; its address, once it answers."""
    port = free_port()
    with (directory / "flask.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", str(ROOT / "app.py"), "run", "-p", str(port)],
            env=clean_environ(settings),
            cwd=directory,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), "flask run answers")
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/livez", retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False
