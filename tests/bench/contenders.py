"""What is measured: the service, and the guide's own code under the servers that people use."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3

from tests.bench import guide_app
from tests.support.database import free_port
from tests.support.processes import kill_all, tree, wait_until
from tests.support.service import clean_environ, serving


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that answers."""

    name: str
    url: str
    pid: int
    """The process from which all its others descend; none of them is the database."""


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that can be started on a database, given by its URI, in a directory of its own."""

    name: str
    run: Callable[[Path, str], Iterator[tuple[str, int]]]

    @contextmanager
    def started(self, directory: Path, uri: str) -> Iterator[Running]:
        """Run it until the end of the block."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextmanager(self.run)(directory, uri) as (url, pid):
            yield Running(self.name, url, pid)


def require_peers() -> None:
    """Raise FileNotFoundError where a peer is not installed beside this interpreter."""
    if importlib.util.find_spec("gunicorn") is None:
        raise FileNotFoundError(
            "gunicorn is not installed: `make bench` does it, from requirements-bench.txt."
        )


def _ours(directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    with serving(directory, {"MONGODB_URI": uri, "DEMIJOHN_WORKERS": "1"}) as service:
        _wait_for(f"{service.url}/readyz", service.process)
        yield service.url, service.process.pid


def _flask_run(directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    program = ["flask", "--app", str(guide_app.__file__), "run", "--port", str(port)]
    return _guide(program, port, directory, uri)


def _gunicorn(directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    program = [
        *("gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "16"),
        *("--bind", f"127.0.0.1:{port}", f"{guide_app.__name__}:app"),
    ]
    return _guide(program, port, directory, uri)


def _guide(
    module: Sequence[str], port: int, directory: Path, uri: str
) -> Iterator[tuple[str, int]]:
    """The guide's code under `python -m MODULE…`, with this interpreter and its libraries."""
    with (directory / "peer.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=directory,
            env=clean_environ({"MONGODB_URI": uri, "FLASK_DEBUG": "0"}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url, process.pid
    finally:
        kill_all(tree(process.pid))
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: process.poll() is not None or _answers(url), f"{url} answers")
    if process.poll() is not None:
        raise RuntimeError(f"what should answer at {url} has ended")


def _answers(url: str) -> bool:
    try:
        return urllib3.request("GET", url, retries=False, timeout=5).status == 200
    except urllib3.exceptions.HTTPError:
        return False


OURS = Contender("demijohn serve", _ours)
GUIDE = Contender("guide, flask run", _flask_run)
CONTENDERS = (
    OURS,
    GUIDE,
    Contender("guide, gunicorn", _gunicorn),
)
