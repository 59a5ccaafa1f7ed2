"""schemathesis makes requests of what the description says, all checks on: it finds nothing.

Requests that fit the description and requests that do not, alone and in a row along the links:
what was created must be there until it is deleted, and then not. `tests.support.schemathesis_hooks`
has the few things that only look like failures.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.database import Database
from tests.support.service import Service, clean_environ, serving

MISSING = {"X-Missing": {"required": True, "schema": {"type": "string"}}}
DESCRIBED_LINKS_ALONE = "[phases.stateful.inference]\nalgorithms = []\n"
"""Of what it infers itself, rows would begin with `GET /data`, which leads nowhere."""
LINKS = re.compile(r"API Links: +(\d+) covered / (\d+) selected")
NEVER_MET = {"DELETE /v1/collections/{collection}/indexes/{index}"}
"""What is there in rows alone, which are not counted: a made-up name is no index's."""
WRONG_SCHEMA = {"application/json": {"schema": {"type": "array"}}}


@pytest.fixture(scope="module")
def lone_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service on a database of its own: hundreds of collections come into being."""
    database = Database(tmp_path_factory.mktemp("database")).start()
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "1"}
    try:
        with serving(tmp_path_factory.mktemp("service"), settings) as service:
            yield service
    finally:
        database.kill()  # to end in good order takes it long with so many collections


def _explore(
    source: str, directory: Path, examples: int, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with every check and phase it has, the same requests each time."""
    settings = {"SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks", "NO_COLOR": "1"}
    if "SCALE" in os.environ:
        settings["SCALE"] = os.environ["SCALE"]
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", source),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(examples), "--generation-deterministic"),
        *("--report-json-path", "report.json", *options),
    ]
    (directory / "schemathesis.toml").write_text(DESCRIBED_LINKS_ALONE, encoding="utf-8")
    environ = clean_environ(settings)
    return subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, check=False
    )


def _finds_nothing(service: Service, directory: Path, examples: int, *options: str) -> None:
    """Fail where it finds something, or has not really asked for everything."""
    ended = _explore(f"{service.url}/openapi.json", directory, examples, *options)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    report: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    print({name: report[name] for name in ("operations", "test_cases", "filtered")})
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert {phase["status"] for phase in report["phases"].values()} == {"success"}
    accepted = {
        operation: sum(phase["accepted"] for phase in phases.values())
        for operation, phases in report["valid_rates"].items()
    }
    assert {operation for operation, count in accepted.items() if not count} <= NEVER_MET
    links = LINKS.search(ended.stdout)
    assert links, ended.stdout
    covered, selected = map(int, links.groups())
    assert covered > selected / 3, f"{covered} of {selected} links were followed"


def test_it_finds_nothing(lone_service: Service, tmp_path: Path) -> None:
    """Each request is answered as the description says, and good ones are carried out."""
    _finds_nothing(lone_service, tmp_path, 15)


GUEST = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "born": {"type": "string", "format": "date"},
    },
    "$defs": {"tag": {"enum": ["a", "b"]}},
}


def test_it_finds_nothing_in_what_a_schema_adds(lone_service: Service, tmp_path: Path) -> None:
    """The paths of a collection's own are kept to, for documents that fit its schema or do not."""
    api = Api(lone_service.url)
    path = "/v1/collections/guests"
    assert api.put(path, json.dumps({"schema": GUEST})).status == 201
    try:
        source = f"{lone_service.url}/openapi.json"
        ended = _explore(source, tmp_path, 5, "--include-path-regex", f"^{path}/documents")
    finally:
        api.delete(path)
        api.close()
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["operations"]["tested"] == 10
    created = report["valid_rates"][f"POST {path}/documents"]
    assert sum(phase["accepted"] for phase in created.values()) > 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_it_finds_nothing_in_many_requests(
    lone_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with all types of Extended JSON, and for longer."""
    scale = float(os.environ.get("SCALE", "1"))
    monkeypatch.setenv("SCALE", str(scale))
    _finds_nothing(lone_service, tmp_path, int(60 * scale))
    # With more of them it comes to negations of a schema that it cannot make requests of.
    _finds_nothing(lone_service, tmp_path, int(300 * scale), "--mode", "positive")


@pytest.mark.parametrize(
    ("path", "method", "fault"),
    [
        ("/livez", "get", lambda answers: answers.pop("200")),
        ("/livez", "get", lambda answers: answers["200"]["headers"].update(MISSING)),
        ("/readyz", "get", lambda answers: answers["200"].update(content=WRONG_SCHEMA)),
    ],
    ids=["a status", "a header", "a schema"],
)
def test_it_finds_what_is_wrong(
    lone_service: Service,
    tmp_path: Path,
    path: str,
    method: str,
    fault: Callable[[dict[str, Any]], object],
) -> None:
    """The control: a description that the service does not keep is noticed."""
    api = Api(lone_service.url)
    document = api.get("/openapi.json").json()
    api.close()
    fault(document["paths"][path][method]["responses"])
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    ended = _explore("openapi.json", tmp_path, 1, "--url", lone_service.url, "--include-path", path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["failures"]
