"""Express paths with one thing wrong: the controls of the tests that hold it to the full path.

`environ(directory, fault)` is for a service's settings: its workers then run that build.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from demijohn.documents.collections import UNCONFIGURED, Configurations
from demijohn.front import express

ROOT = Path(__file__).parents[2]
_LOADER = """\
import sys

if "demijohn.launcher.worker" in sys.orig_argv:
    from tests.support import express_faults

    express_faults.FAULTS[{fault!r}]()
"""
_line = express._line


def environ(directory: Path, fault: str) -> dict[str, str]:
    """What has workers put the fault in; a file for that is written into `directory`."""
    assert fault in FAULTS
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(_LOADER.format(fault=fault))
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}


def _passes_over(name: bytes) -> Callable[[], None]:
    """A build that does not look at a header."""
    return lambda: express.WATCHED.pop(name)  # type: ignore[return-value]


def _without_query(scope: dict[str, Any], body: bytes) -> express.Line | None:
    return _line({**scope, "query_string": b""}, body)


def _any_type(scope: dict[str, Any], body: bytes) -> express.Line | None:
    headers = [each for each in scope["headers"] if each[0] != b"content-type"]
    kind = [(b"content-type", b"application/json")]
    return _line({**scope, "headers": headers + kind}, body)


def _put_in(name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(express, name, value)


def _put_in_no_schema() -> None:
    Configurations.known = lambda *_: UNCONFIGURED  # type: ignore[method-assign]


def _put_in_no_label() -> None:
    right = express._whole
    express._whole = lambda line, told: right(line, replace(told, problem=None))


FAULTS: dict[str, Callable[[], None]] = {
    "Accept passed over": _passes_over(b"accept"),
    "If-None-Match passed over": _passes_over(b"if-none-match"),
    "any Content-Type taken": _put_in("_line", _any_type),
    "parameters passed over": _put_in("_line", _without_query),
    "schemas passed over": _put_in_no_schema,
    "problems not counted": _put_in_no_label,
}
