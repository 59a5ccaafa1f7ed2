"""The log of a service that is attacked: on a person's terminal, and in a file of JSON lines."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

from tests.conftest import Starter
from tests.support.api import JSON, THINGS, Api
from tests.support.database import Database, free_port
from tests.support.hostile import TEXTS, in_path, seen_as_control
from tests.support.processes import wait_until
from tests.support.raw_http import ask, head
from tests.support.service import clean_environ
from tests.support.terminal import Terminal

BODY = "a body that no log has"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""The log's own, on a terminal."""


def _attack(port: int) -> int:
    """Send every hostile text in paths, names, ids, headers and bodies; how many were requests."""
    api = Api(f"http://127.0.0.1:{port}")
    sent = 0
    for text in TEXTS.values():
        segment = in_path(text)
        document = json.dumps({"_id": text, text: [text, BODY]})
        api.get(f"/{segment}?{segment}={segment}")
        api.get(f"/v1/collections/{segment}/documents")
        api.get(f"{THINGS}/{segment}")
        api.ask("POST", THINGS, document, JSON)
        api.ask("POST", THINGS, document.encode("utf-16"), JSON)
        shown = "".join(each for each in text if each not in "\r\n\0")
        named = (f"{name}: {shown}" for name in ("X-Request-Id", "User-Agent", "Authorization"))
        answer = ask(port, head("GET", "/", *named))
        sent += 5 + (answer.body != b"Not HTTP.")  # what is none is no request
    api.close()
    return sent


def test_a_terminal_obeys_nothing_that_was_sent(database: Database, tmp_path: Path) -> None:
    """On a tty the log is text in colours of its own: each record a line, and no other control."""
    port = free_port()
    words = [sys.executable, "-m", "demijohn", "serve", "--port", str(port), "--workers", "1"]
    environ = clean_environ({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "hostile"})
    terminal = Terminal(shlex.join(words), cwd=tmp_path, environ=environ)
    try:
        terminal.wait_for(re.compile(r"(?s).*listens on"), 60)
        sent = _attack(port)
        wait_until(lambda: _records(terminal.raw) == sent, "every request is on the screen")
    finally:
        terminal.kill()
    written = _COLOURS.sub("", terminal.raw.decode())
    assert seen_as_control(written.replace("\r\n", "\n")) == set()
    assert BODY not in written


def _records(written: bytes) -> int:
    """The lines that are a record of a request."""
    lines = _COLOURS.sub("", written.decode("utf-8", "replace")).split("\r\n")
    return sum(1 for line in lines if re.match(r"[\d:]{8} \[info *\] [A-Z]+ /", line))


def test_a_file_has_a_record_a_line(database: Database, own_service: Starter) -> None:
    """In JSON there are as many lines as records, by Unicode's rules too, and no control in any."""
    service = own_service({"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": "hostile"})
    begun = len(service.events("request"))
    sent = _attack(service.port)
    wait_until(lambda: len(service.events("request")) >= begun + sent, "every request is logged")
    lines = service.log().splitlines()
    records = [json.loads(line) for line in lines]
    paths = {each["path"] for each in records if each["event"] == "request"}
    assert seen_as_control("".join(lines)) == set()
    assert paths >= {f"/{text}" for text in TEXTS.values()}
    assert {"defect"}.isdisjoint(each["event"] for each in records)
    assert BODY not in service.log()
