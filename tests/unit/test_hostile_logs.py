"""The log under what others wrote: a record a line in JSON, and nothing that a terminal obeys."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from demijohn.telemetry.printable import printable, printable_json
from tests.support.hostile import LONG, TEXTS, seen_as_control

PROGRAM = """
import json, sys
import structlog
from demijohn.settings import load
from demijohn.telemetry import logs
from demijohn.telemetry.request_log import RequestLog

settings = load({"DEMIJOHN_LOG_FORMAT": sys.argv[1]})
logs.configure(settings)
log = structlog.get_logger()
for text in json.load(sys.stdin):
    log.warning("database operation failed", reason=text, data=[text])
    fields = {"method": "GET", "path": text, "status": 404, "ms": 1.5}
    RequestLog(settings).write([(fields, False)])
    try:
        raise ValueError(text)
    except ValueError as error:
        log.error("defect", path=text, exc_info=error)
"""
RECORDS = 3
"""Of each text."""


def _log(form: str, texts: list[str]) -> str:
    """What a process logs of such texts."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form],
        input=json.dumps(texts).encode(),
        capture_output=True,
        check=True,
    )
    return done.stderr.decode()


def test_a_record_in_json_is_one_line_and_says_what_was_sent() -> None:
    """Whoever splits lines, by Unicode's rules too, finds a record in each, with the very text."""
    texts = [*TEXTS.values(), LONG]
    lines = _log("json", texts).splitlines()
    records: list[Any] = [json.loads(line) for line in lines]

    assert not seen_as_control("".join(lines))
    assert len(records) == RECORDS * len(texts)
    for at, text in enumerate(texts):
        warned, requested, failed = records[RECORDS * at : RECORDS * (at + 1)]
        assert (warned["reason"], warned["data"]) == (text, [text])
        assert (requested["path"], failed["path"]) == (text, text)
        assert failed["exception"].endswith(f"ValueError: {text}")


def test_a_terminal_obeys_nothing_in_a_record_of_text() -> None:
    """Each record begins its own line, its traceback is indented, and no control is in any."""
    lines = _log("text", list(TEXTS.values())).split("\n")

    assert not seen_as_control("".join(lines))
    assert sum(1 for line in lines if line and line[0] != " ") == RECORDS * len(TEXTS)
    assert any("\\x1b]52;c;cm0gLXJmIH4K\\x07" in line for line in lines)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_orjson_has_no_text_for_is_logged(form: str) -> None:
    """Half a surrogate pair in a reason does not turn a warning into a defect."""
    program = PROGRAM.replace("    fields =", "    continue\n    fields =")
    done = subprocess.run(
        [sys.executable, "-c", program, form],
        input=b'["\\ud800"]',
        capture_output=True,
        check=True,
    )
    assert b"\\ud800" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_what_is_printable_stays_as_it_is() -> None:
    """Every script, and emoji, in both forms: only what is not for eyes is spelt out."""
    for text in ("plain", "Zürich", "北京", "Ελλάδα", "שלום", "🍷", "e\u0301"):
        assert printable(text) == text
        as_json = json.dumps(text, ensure_ascii=False).encode()
        assert printable_json(as_json) == as_json


@pytest.mark.parametrize("text", [*TEXTS.values(), "\U000e0041", "\ue000", "\U0010ffff"])
def test_json_stays_the_same_value(text: str) -> None:
    """Spelt out, JSON is still JSON of the same text, planes beyond the first included."""
    given = json.dumps({text: [text]}, ensure_ascii=False).encode()

    shown = printable_json(given)

    assert json.loads(shown) == {text: [text]}
    assert not seen_as_control(shown.decode())
