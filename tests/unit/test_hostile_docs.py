"""The page on hostile input names a test for each family, and each of these tests is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "hostile-input.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
FAMILIES = (
    "JSON that must be accepted",
    "JSON that must be rejected",
    "Duplicate keys",
    "lone surrogates",
    "NUL",
    "overlong UTF-8",
    "byte order mark",
    "NaN",
    "1e400",
    "2^63",
    "−2^63−1",
    "10,000-deep nesting",
    "17 MB documents",
    "Wrong Content-Length",
    "Chunked bodies",
    "Wrong charset",
    "Expect: 100-continue",
    "Header floods",
    "Path tricks",
    "Operator injection",
    "Regular expressions that blow up",
    "Filters a megabyte long",
    "Forged cursors",
    "Ids of every BSON type",
    "system collections",
    "schemathesis",
    "Full disk",
    "Read-only data directory",
    "Locked data directory",
    "Stale lock",
    "Corrupt `.env`",
    "Half-sent headers and bodies",
    "A broken stream",
)
"""What the service promises to be tried with."""


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_every_test_of_the_page_is_there(path: str, name: str) -> None:
    """A test that is renamed or removed is missed here."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))

    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_row_with_a_test(family: str) -> None:
    """Each stands in a row of a table, and the row ends with a test."""
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and family in line]

    assert rows
    assert all(re.search(r"\| `tests/[\w/]+\.py::\w+` \|$", row) for row in rows)
