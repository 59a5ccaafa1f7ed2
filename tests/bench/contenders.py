"""What is measured: the service, its floor, and the peers, each under the server people use."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import orjson
import urllib3

from demijohn.auth.keys import make_key, to_record
from demijohn.query.rows import read_rows
from tests.bench.database import durable
from tests.bench.load import small
from tests.support.database import free_port
from tests.support.processes import TimedOutError, kill_all, tree, wait_until
from tests.support.service import ROOT, Service, clean_environ

PEERS = Path(__file__).with_name("peers")
"""A folder for each peer, with its pinned requirements."""
# Named, not imported: what they import is in their environments alone.
_GUIDE_APP, _EVE_APP = "tests.bench.guide_app", "tests.bench.eve_app"
_FASTAPI_APP, _FLOOR_APP = "tests.bench.fastapi_app", "tests.bench.floor"
_ENVIRONMENTS = ROOT / ".venv-bench"
_NOTHING = "000000000000000000000000"
"""An id that no document has where it is asked for."""


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
    peer: str | None = None
    """The environment that it needs; None where this one does."""
    one: str | None = None
    """The path of a document without its id; None where it has none."""
    lists: bool = False
    """Whether `GET /data` gives the whole collection."""

    @contextmanager
    def started(self, directory: Path, uri: str) -> Iterator[Running]:
        """Run it until the end of the block."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextmanager(self.run)(directory, durable(uri)) as (url, pid):
            yield Running(self.name, url, pid)


def require_peers(contenders: Sequence[Contender]) -> None:
    """Raise FileNotFoundError where a contender's environment is not there."""
    for peer in {each.peer for each in contenders if each.peer is not None}:
        if not _python(peer).exists():
            raise FileNotFoundError(f"{_python(peer)} is not there: `make bench` makes it.")


def _python(peer: str) -> Path:
    return _ENVIRONMENTS / peer / "bin" / "python"


def _ours(settings: Mapping[str, str], directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    every = {"MONGODB_URI": uri, "DEMIJOHN_WORKERS": "1", **settings}
    port = free_port()  # one that is known beforehand: a quiet service does not tell it
    service = Service(directory, every, ["--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/readyz", service.process)
        yield url, service.process.pid
    finally:
        service.kill()


@cache
def made_keys() -> tuple[bytes, str, str]:
    """Keys for every collection: what a file of keys holds of them, and the headers that show them.

    The first is for all documents, the second for those that it is loaded with.
    """
    rows = read_rows(orjson.dumps({"name": small()["name"]}))
    made = [make_key(["*:write"], each, "bench", time.time(), None) for each in (None, rows)]
    whole, held = (f"Bearer {text}" for _, text in made)
    return orjson.dumps([to_record(key) for key, _ in made]), whole, held


def _with_keys(settings: Mapping[str, str], directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    file = directory / "keys.json"
    file.write_bytes(made_keys()[0])
    every = {"DEMIJOHN_AUTH": "keys", "DEMIJOHN_KEYS_FILE": str(file), **settings}
    return _ours(every, directory, uri)


def _flask_run(directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    # The libraries are pinned to the same versions in both places.
    python = _python("guide") if _python("guide").exists() else Path(sys.executable)
    port = free_port()
    program = ["flask", "--app", _GUIDE_APP, "run", "--port", str(port)]
    return _peer([python, "-m", *program], port, directory, uri)


def _gunicorn(directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    program = [
        *("gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "16"),
        *("--bind", f"127.0.0.1:{port}", f"{_GUIDE_APP}:app"),
    ]
    return _peer([_python("guide"), "-m", *program], port, directory, uri)


def _granian(peer: str, module: str, directory: Path, uri: str) -> Iterator[tuple[str, int]]:
    port = free_port()
    program = [
        *("granian", "--interface", "wsgi", "--workers", "1", "--no-access-log"),
        *("--host", "127.0.0.1", "--port", str(port), f"{module}:app"),
    ]
    return _peer([_python(peer), "-m", *program], port, directory, uri)


def under_uvicorn(
    python: Path, app: Sequence[str], directory: Path, uri: str
) -> Iterator[tuple[str, int]]:
    """An ASGI application, named as uvicorn's command takes it; its URL and its process."""
    port = free_port()
    program = [
        *("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"),
        *("--log-level", "warning", "--host", "127.0.0.1", "--port", str(port), *app),
    ]
    return _peer([python, "-m", *program], port, directory, uri)


def _peer(
    command: Sequence[str | Path], port: int, directory: Path, uri: str
) -> Iterator[tuple[str, int]]:
    """A peer's command, which listens on `port`."""
    path = directory / "peer.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=clean_environ({"MONGODB_URI": uri, "FLASK_DEBUG": "0"}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/data/{_NOTHING}", process, path)
        yield url, process.pid
    finally:
        kill_all(tree(process.pid))
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path | None = None) -> None:
    """Until it answers. Raises RuntimeError with its log where it does not, or has ended."""
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), f"{url} answers")
        ended = process.poll() is not None
    except TimedOutError:
        ended = True
    if ended:
        said = log.read_text(encoding="utf-8", errors="replace") if log else ""
        raise RuntimeError(f"what should answer at {url} does not:\n{said}")


def _answers(url: str) -> bool:
    try:
        # What has no documents, or none of this id, is ready all the same when it says so.
        return urllib3.request("GET", url, retries=False, timeout=5).status in (200, 404)
    except urllib3.exceptions.HTTPError:
        return False


_V1 = "/v1/collections/data/documents/"
OURS = Contender("demijohn", partial(_ours, {}), one=_V1, lists=True)
FULL_PATH = Contender("demijohn, express off", partial(_ours, {"DEMIJOHN_EXPRESS": "off"}), one=_V1)
QUIET = Contender("demijohn, log level warning", partial(_ours, {"DEMIJOHN_LOG_LEVEL": "warning"}))
KEYS = Contender("demijohn, keys", partial(_with_keys, {}))
LIMITS = Contender(
    "demijohn, keys and limits",
    partial(
        _with_keys,
        {"DEMIJOHN_RATE_PER_KEY": "1000000", "DEMIJOHN_RATE_PER_ADDRESS": "1000000"},
    ),
)
TWO_WORKERS = Contender("demijohn, two workers", partial(_ours, {"DEMIJOHN_WORKERS": "2"}), one=_V1)
FLOOR = Contender(
    "floor",
    partial(under_uvicorn, Path(sys.executable), ("--factory", f"{_FLOOR_APP}:app")),
    one="/data/",
)
GUIDE = Contender("guide, flask run", _flask_run, lists=True)
GUNICORN = Contender("guide, gunicorn", _gunicorn, "guide", lists=True)
GRANIAN = Contender("guide, Granian", partial(_granian, "guide", _GUIDE_APP), "guide", lists=True)
EVE = Contender("Eve, Granian", partial(_granian, "eve", _EVE_APP), "eve", one="/data/", lists=True)
FASTAPI = Contender(
    "FastAPI, uvicorn",
    partial(under_uvicorn, _python("fastapi"), (f"{_FASTAPI_APP}:app",)),
    "fastapi",
    one="/data/",
    lists=True,
)
CONTENDERS = (OURS, FULL_PATH, FLOOR, GUIDE, GUNICORN, GRANIAN, EVE, FASTAPI)
"""Those of the tables, the service first: what the others are compared with."""
