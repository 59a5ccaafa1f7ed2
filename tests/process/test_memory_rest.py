"""What a worker takes while it does nothing: its memory, and the libraries in it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.bench.usage import resident
from tests.conftest import Starter
from tests.support.database import Database
from tests.support.raw_http import ask, head
from tests.support.service import ROOT, clean_environ

MIB = 1024 * 1024
AT_REST = 64 * MIB
BODY = b'{"name":"Ada"}'
POST = head("POST", "/data", "Content-Type: application/json", f"Content-Length: {len(BODY)}")
SPARED = {"rich", "pygments", "attr", "jsonschema_rs"}
"""Of a terminal, or of collections that have a schema."""
_WORKER = "from demijohn.launcher import worker; worker.leave_out()"
_SERVING = "import demijohn.launcher.serving"
_SCHEMA = "from demijohn.schemas.schema import compile_schema; compile_schema(b'{}')"
_NAMES = "import sys, json; print(json.dumps([k for k, v in sys.modules.items() if v]))"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_worker_at_rest(database: Database, own_service: Starter) -> None:
    """After its first document in and out a worker takes at most 64 MiB."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "rest"})
    (worker,) = service.workers()
    assert ask(service.port, POST + BODY).status == 201
    assert ask(service.port, head("GET", "/data")).status == 200
    print(f"{resident(worker) / MIB:.1f} MiB")
    assert resident(worker) <= AT_REST


def test_a_worker_does_without_what_it_does_not_need() -> None:
    """Nothing of a terminal's libraries and no engine of schemas is in a worker that has begun."""
    assert _loaded(_WORKER, _SERVING).isdisjoint(SPARED)


def test_control_what_a_worker_would_load() -> None:
    """The control: but for what the worker leaves out, structlog would load the terminal's."""
    assert _loaded(_SERVING) & SPARED == SPARED - {"jsonschema_rs"}


def test_the_engine_of_schemas_comes_with_the_first() -> None:
    """It is there as soon as a schema is to be compiled, in a worker as anywhere."""
    assert "jsonschema_rs" in _loaded(_WORKER, _SERVING, _SCHEMA)


def _loaded(*steps: str) -> set[str]:
    """The packages and modules that a Python has loaded after these steps."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join((*steps, _NAMES))],
        cwd=ROOT,
        env=clean_environ({}),
        check=True,
        capture_output=True,
        timeout=60,
    )
    return set(json.loads(done.stdout))
