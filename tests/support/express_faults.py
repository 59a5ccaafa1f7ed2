"""Express paths with one thing wrong: the controls of the tests that hold it to the full path.

`environ(directory, fault)` is for a service's settings: its workers then run that build. It is put
in by a file of its own, not by `tests.support.faults`, since only some of it is a function.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from demijohn.documents.collections import Configuration
from demijohn.front import express, plain
from demijohn.store.documents import Store
from demijohn.store.hold import RowFilter
from tests.support.express_requests import HOT, PUTS, WITH_QUERY, Request, with_header

ROOT = Path(__file__).parents[2]
_LOADER = """\
import sys

if "demijohn.launcher.worker" in sys.orig_argv:
    from tests.support import express_faults

    express_faults.BUILDS[{fault!r}]()
"""
_line_of = plain.line_of


def environ(directory: Path, fault: str) -> dict[str, str]:
    """What has workers put the fault in; a file for that is written into `directory`."""
    assert fault in BUILDS
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(_LOADER.format(fault=fault))
    return {"PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)])}


def _passes_over(name: bytes) -> Callable[[], None]:
    """A build that does not look at a header."""
    return lambda: plain.WATCHED.pop(name)  # type: ignore[return-value]


def _without_query(scope: dict[str, Any], body: bytes) -> plain.Line | None:
    return _line_of({**scope, "query_string": b""}, body)


def _any_type(scope: dict[str, Any], body: bytes) -> plain.Line | None:
    headers = [each for each in scope["headers"] if each[0] != b"content-type"]
    kind = [(b"content-type", b"application/json")]
    return _line_of({**scope, "headers": headers + kind}, body)


def _put_in(name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(express, name, value)


def _put_in_taking(**passed_over: Any) -> None:
    """A build that takes documents as if collections were configured otherwise."""
    right = express.Express._taking

    async def taking(path: express.Express, name: str, *more: Any) -> Configuration | None:
        known = path._configurations.known(name)
        found: Configuration | None = await right(path, name, *more)
        if known is None or (seen := replace(known, **passed_over)) == known:
            return found
        return seen

    setattr(express.Express, "_taking", taking)  # noqa: B010 - its self has another name


def _put_in_no_schema() -> None:
    _put_in_taking(schema=None)


def _put_in_no_demand() -> None:
    _put_in_taking(require_if_match=False)


def _put_in_one_queue(name: str) -> Callable[[], None]:
    """A build in which what is held rides with all others, and nobody looks whose it is."""
    right = Store.held_to

    def held_to(store: Store, rows: RowFilter) -> Store:
        held = right(store, rows)
        setattr(held, name, getattr(store, name))
        return held

    return lambda: setattr(Store, "held_to", held_to)


def _put_in_no_label() -> None:
    right = express._whole
    express._whole = lambda line, told: right(line, told._replace(problem=None))


@dataclass(frozen=True)
class Fault:
    """What breaks a process, and requests of which some meet it."""

    put_in: Callable[[], None]
    requests: st.SearchStrategy[Request]


FAULTS = {
    "Accept passed over": Fault(_passes_over(b"accept"), with_header(b"Accept")),
    "conditions passed over": Fault(_passes_over(b"if-none-match"), with_header(b"If-None-Match")),
    "any Content-Type taken": Fault(_put_in("line_of", _any_type), with_header(b"Content-Type")),
    "parameters passed over": Fault(_put_in("line_of", _without_query), WITH_QUERY),
    "schemas passed over": Fault(_put_in_no_schema, HOT),
    "a demanded condition passed over": Fault(_put_in_no_demand, PUTS),
    "problems not counted": Fault(_put_in_no_label, HOT),
}
KEYED_FAULTS = {
    "reads ride with all others'": _put_in_one_queue("finds"),
    "inserts ride with all others', unchecked": _put_in_one_queue("inserts"),
}
"""Those that requests with keys have to meet."""
BUILDS = {**{name: each.put_in for name, each in FAULTS.items()}, **KEYED_FAULTS}
