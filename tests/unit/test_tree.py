"""Rules over the tree that no linter holds: sizes, docstrings of tests, words of no use here."""

from __future__ import annotations

import ast
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted((ROOT / "tools").glob("*.py"))
SOURCES = sorted([ROOT / "app.py", *TOOLS, *(ROOT / "demijohn").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(path: Path) -> Iterator[Function]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(function: Function) -> int:
    """Lines from `def` to the end, decorators left out."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def _place(path: Path, function: Function) -> str:
    return f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"


def test_there_is_something_to_look_at() -> None:
    """The rules below look at real files, so that they can fail."""
    assert len(SOURCES) > 10
    assert len(TESTS) > 3


def test_every_test_states_its_promise() -> None:
    """Every test function has a docstring, which is what it holds the service to."""
    silent = [
        _place(path, function)
        for path in TESTS
        for function in _functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]

    assert silent == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_file_of_tests_can_be_collected(path: Path) -> None:
    """No test lies in a file whose name pytest passes over."""
    has_tests = any(function.name.startswith("test_") for function in _functions(path))

    assert not has_tests or path.name.startswith("test_")


def test_no_function_is_too_long() -> None:
    """Functions can be seen whole: at most 40 lines."""
    long = [
        f"{_place(path, function)}: {_length(function)} lines"
        for path in SOURCES
        for function in _functions(path)
        if _length(function) > LONGEST_FUNCTION
    ]

    assert long == []


def test_no_module_is_too_long() -> None:
    """A module is split before it passes 400 lines."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }

    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_nothing_is_left_for_later_without_saying_where() -> None:
    """A TODO names the issue that it waits for."""
    pattern = re.compile(r"\b(TODO|FIXME|XXX)\b(?!.*#\d+)")
    loose = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]

    assert loose == []


@pytest.mark.parametrize("script", [".ci/run", "tools/venv.sh", "tools/wheel.sh"])
def test_scripts_can_be_started(script: str) -> None:
    """A fresh clone's scripts have their executable bit."""
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR
