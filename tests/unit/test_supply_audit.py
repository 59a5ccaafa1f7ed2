"""The check for known vulnerabilities, against a source that answers as OSV does.

OSV itself may be out of reach where tests run, and what it knows changes by the hour. So a small
server stands in for it, at the address that a mirror would have; pip-audit and all else are real.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support.database import free_port
from tests.support.manifests import ROOT

LOCK = ROOT / "requirements.txt"
Query = dict[str, Any]
Knows = Callable[[Query], bool]
"""Whether the source has an advisory for what it is asked."""


def _advisory(query: Query) -> Query:
    """An advisory as OSV's schema 1 has it."""
    package = {"name": query["package"]["name"], "ecosystem": "PyPI"}
    events = [{"introduced": "0"}, {"fixed": "999.1"}]
    affected = [{"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    return {"id": "PYSEC-0000-1", "aliases": ["CVE-0000-1"], "summary": "-", "affected": affected}


def _is_the_old_one(query: Query) -> bool:
    return (query["package"]["name"], query["version"]) == ("jinja2", "2.4.1")


@contextmanager
def _source(knows: Knows, asked: list[Query], status: int = 200) -> Iterator[str]:
    """A server of OSV's query; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query: Query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query)
            body = json.dumps({"vulns": [_advisory(query)]} if knows(query) else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _audit(url: str, lock: Path = LOCK) -> tuple[int, str]:
    """Exit code and all that was said."""
    done = subprocess.run(
        [sys.executable, "tools/audit.py", "--osv-url", url, str(lock)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout


def test_every_pin_is_asked_for() -> None:
    """Name and version of each that this platform needs; with nothing known, the exit code is 0."""
    asked: list[Query] = []
    with _source(_is_the_old_one, asked) as url:
        code, said = _audit(url)
    lines = re.findall(r"^([a-z].*?) *\\?$", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    pins = [pin for pin in map(Requirement, lines) if pin.marker is None or pin.marker.evaluate()]

    assert {f"{each['package']['name']}=={each['version']}" for each in asked[1:]} == {
        f"{pin.name}{pin.specifier}" for pin in pins
    }
    assert (code, said) == (0, f"{len(pins)} packages asked for, 0 vulnerabilities\n")


def test_a_known_vulnerability_is_told() -> None:
    """Package, version, names of the advisory and what mends it; the exit code is 1."""
    with _source(lambda query: query["package"]["name"] in {"jinja2", "flask"}, []) as url:
        code, said = _audit(url)

    assert code == 1
    assert re.search(r"^flask \S+: PYSEC-0000-1 CVE-0000-1; fixed in 999\.1$", said, re.MULTILINE)


def test_a_source_that_knows_nothing_is_no_good_news() -> None:
    """An empty database, a proxy that answers everything: not audited, exit code 2."""
    with _source(lambda _: False, []) as url:
        code, said = _audit(url)

    assert code == 2
    assert "it does not know that jinja2 2.4.1 is vulnerable" in said


@pytest.mark.parametrize("status", [500, None])
def test_a_source_that_cannot_be_asked_is_no_good_news(status: int | None) -> None:
    """Refused, or nobody there: it says what it takes, and never that nothing is known."""
    if status is None:
        url = f"http://127.0.0.1:{free_port()}/v1/query"
        code, said = _audit(url)
    else:
        with _source(_is_the_old_one, [], status) as url:
            code, said = _audit(url)

    assert code == 2
    assert said.startswith(f"Not audited: {url} gave no usable answer")
    assert "OSV_URL" in said
    assert "vulnerabilities\n" not in said


def test_what_has_no_hash_is_not_audited(tmp_path: Path) -> None:
    """An entry that pip would not install so is no entry to vouch for."""
    lock = tmp_path / "requirements.txt"
    lock.write_text("flask==3.1.3\n", encoding="utf-8")
    with _source(_is_the_old_one, []) as url:
        code, _ = _audit(url, lock)

    assert code == 2
