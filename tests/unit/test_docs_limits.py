"""The page of limits says what the code does."""

from __future__ import annotations

import re

from demijohn.auth.buckets import MOST
from demijohn.errors import problem_classes
from demijohn.front.body import LONGEST_PAUSE, SLOW_START
from demijohn.front.hot import ENOUGH
from demijohn.front.protocol import LARGEST_HEAD, MANAGEMENT_CONNECTIONS, SLICE
from demijohn.front.shedding import MOST_BEGUN, SHED_FOR_ONE, TICK
from demijohn.settings import Settings, variable
from tests.unit.test_docs import REFERENCE, _shown_defaults

PAGE = (REFERENCE / "limits.md").read_text(encoding="utf-8")
LIMIT = re.compile(
    "max_.*|rate_.*|.*_timeout|body_min_rate|keep_alive|connection_max_age|shed_after|threads"
)
NONE_OF_CLIENTS = {"drain_timeout"}
"""What has the name of a limit, and holds no client to anything."""
FIXED = {
    "A request's head, all of its lines and each": f"{LARGEST_HEAD} bytes",
    "A pause within a body": f"{LONGEST_PAUSE:g} s",
    "Further connections to the management port": f"{MANAGEMENT_CONNECTIONS}",
    "Bytes read ahead of requests whose turn has not come": f"{SLICE}, and what the kernel holds",
}


def _rows() -> list[list[str]]:
    table = PAGE.partition("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line[:1] == "|"]
    return cells[2:]


def test_every_limit_that_can_be_set_is_there_with_its_default() -> None:
    """And none that can't."""
    shown = {
        setting.strip("`"): bound.split("`")[1]
        for _, bound, setting, _ in _rows()
        if setting != "–"
    }
    defaults = _shown_defaults()
    limits = {
        variable(name)
        for name in Settings.model_fields
        if LIMIT.fullmatch(name) and name not in NONE_OF_CLIENTS
    }
    assert shown == {name: defaults[name] for name in limits}


def test_every_limit_that_is_fixed_is_there() -> None:
    """With the bound that the code has."""
    assert {what: bound for what, bound, setting, _ in _rows() if setting == "–"} == FIXED
    assert f"from its {SLOW_START + 1:g}th second" in PAGE
    assert f"counts of {MOST:,} keys" in PAGE
    assert f"looked at {1 / TICK:g} times a second" in PAGE
    assert f"| {MOST_BEGUN} in each turn of the loop, and one for {SHED_FOR_ONE} that" in PAGE
    assert f"| {ENOUGH} under way" in PAGE


def test_what_is_answered_past_a_limit_is_a_problem() -> None:
    """Each code that the page names has the status beside it."""
    codes = {(str(each.status), each.code) for each in problem_classes()}
    assert set(re.findall(r"([0-9]{3}) `([a-z-]+)`", PAGE)) <= codes
