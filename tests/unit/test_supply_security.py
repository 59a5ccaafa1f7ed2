"""SECURITY.md: it leaves nobody and no promise out, and what it names is there."""

from __future__ import annotations

import ast
import re

import pytest

from demijohn.settings import Settings, variable
from tests.support.manifests import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
SECTIONS = [
    "Telling us of a hole",
    "What is protected",
    "Who may do what to whom",
    "What is promised, and what tries it",
    "Out of scope, and why",
    "What remains",
]
ACTORS = [
    "Anyone on the network",
    "Holder of a `read` key",
    "Holder of a `write` key",
    "Holder of an `admin` key",
    "Holder of a key with a row filter",
    "The operator",
    "Another pod of the cluster",
    "The database's owner",
    "A web page in a user's browser",
    "The author of a malicious document",
]
PROMISES = [
    "Unset is local",
    "Open is spelt out",
    "Keys",
    "Limits",
    "Not public",
    "Headers",
    "Logs",
    "TLS to the database",
    "Schemas",
    "Supply chain",
]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


def _rows(section: str) -> list[list[str]]:
    """The rows of the section's table, without its head."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines[1:]]


def test_it_has_all_that_a_reader_looks_for() -> None:
    """How to tell of a hole, what is protected, from whom, what is not, and what remains."""
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("actor", ACTORS)
def test_every_actor_has_a_line(actor: str) -> None:
    """With what he may and may not do, what holds it and which test tries it: no cell is empty."""
    rows = [row for row in _rows("Who may do what to whom") if row[0].startswith(actor)]

    assert rows
    assert all(len(row) == 5 and all(row) for row in rows)
    assert all("`tests/" in row[4] for row in rows)


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_line(promise: str) -> None:
    """Each names a test that tries it."""
    rows = _rows("What is promised, and what tries it")
    (row,) = (row for row in rows if row[0].startswith(f"**{promise}**"))

    assert "`tests/" in row[1]


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_it_names_is_there(named: str) -> None:
    """File and function; a test that is renamed is renamed there too."""
    path, _, function = named.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    tests = [each.name for each in tree.body if isinstance(each, ast.FunctionDef)]

    assert [each for each in tests if each.startswith(function or "test_")]
    assert not function or function in tests


def test_every_setting_that_it_names_is_there() -> None:
    """By its name as a variable of the environment."""
    named = set(re.findall(r"\b(?:DEMIJOHN_[A-Z_]+|MONGODB_URI)\b", PAGE))

    assert named
    assert named - {variable(name) for name in Settings.model_fields} == set()


def test_every_file_that_it_names_is_there() -> None:
    """Paths in the text, and links."""
    named = re.findall(r"`((?:deploy|docs|tools)/[^`]+)`|\]\(([^)#]+)", PAGE)

    assert [each for pair in named for each in pair if each and not (ROOT / each).exists()] == []
