"""The page of drills says what the code does."""

from __future__ import annotations

from demijohn.drill.access import CERTAIN, SCOPE, SETTLED, SPREAD
from demijohn.drill.outcomes import Failure
from tests.unit.test_docs import REFERENCE, _rows

PAGE = (REFERENCE / "drills.md").read_text(encoding="utf-8")


def test_the_page_has_every_failure_that_a_report_names() -> None:
    """Whoever reads a report finds its words there."""
    named = {row.split("|")[1].strip() for row in _rows("drills.md")}

    assert {f"`{each}`" for each in Failure} <= named


def test_the_page_has_the_scope_that_a_key_needs_and_the_time_that_it_is_given() -> None:
    """That the scope will do, and less will not, is for tests/process/test_drill_keys."""
    assert f"| the scope `{SCOPE}`, and no row filter |" in PAGE
    assert f"--scope {SCOPE} " in PAGE
    assert (SETTLED, CERTAIN, SPREAD) == (5, 3, 120)
    assert "at most two minutes apart, the first counts" in PAGE
    assert "the five seconds that a revocation takes" in PAGE
    assert "three more in which not one" in PAGE
