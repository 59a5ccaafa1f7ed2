"""The application under other servers than ours, in real processes: `flask run`, gunicorn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import urllib3

from tests.support.database import free_port
from tests.support.processes import kill_all, tree, wait_until
from tests.support.service import ROOT, clean_environ


def flask_run(directory: Path, settings: Mapping[str, str]) -> AbstractContextManager[str]:
    """The guide's own way: `flask run` with these settings; its address, once it answers."""
    port = free_port()
    command = ["flask", "--app", str(ROOT / "app.py"), "run", "-p", str(port)]
    return _running(port, command, directory, settings)


def gunicorn(directory: Path, settings: Mapping[str, str]) -> AbstractContextManager[str]:
    """`gunicorn app:app` with threads; its address, once it answers."""
    port = free_port()
    # By itself it cuts after two seconds, as its client may be about to ask once more.
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "8", "--keep-alive", "300"]
    command = ["gunicorn", *options, "app:app"]
    return _running(port, command, directory, settings)


@contextmanager
def _running(
    port: int, command: list[str], directory: Path, settings: Mapping[str, str]
) -> Iterator[str]:
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=clean_environ(settings),
            cwd=directory,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), f"{command[0]} answers")
        yield url
    finally:
        kill_all(tree(process.pid))
        process.wait()


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/livez", retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False
