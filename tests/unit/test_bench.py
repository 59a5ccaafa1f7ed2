"""The measurements' own promises: what was acknowledged is counted, and a loss is seen."""

from __future__ import annotations

import pytest

from tests.bench.counting import count
from tests.bench.load import Load, parse
from tests.bench.report import spread, table

PRINTED = """\
Running 5s test @ http://127.0.0.1:5000/data
  1 threads and 16 connections
  6370 requests in 5.00s, 1.30MB read
  Non-2xx or 3xx responses: 70
Requests/sec:   1274.00
{"microseconds":5000000,"answers":6370,"refused":70,"connect_errors":0,"broken":2,"p50_us":11000.0,\
"p99_us":51500.0}
"""


def load(answers: int, refused: int = 0, broken: int = 0) -> Load:
    """A load on 16 connections for 5 seconds."""
    return Load(16, 5.0, answers, refused, 0, broken, 1.0, 2.0)


def test_wrk_is_understood() -> None:
    """Refused requests are not taken for documents, and the times come out in milliseconds."""
    found = parse(PRINTED, 16)

    assert found == Load(16, 5.0, 6370, 70, 0, 2, 11.0, 51.5)
    assert found.acknowledged == 6300
    assert found.rate == 1260


@pytest.mark.parametrize("new", [100, 110, 116])
def test_what_is_all_there_is_right(new: int) -> None:
    """What was in flight when wrk stopped may be there or not."""
    assert count(50, 50 + new, load(100)).is_right


def test_a_lost_document_is_seen() -> None:
    """One acknowledged document less makes the count wrong, however many there were before."""
    counted = count(5000, 5099, load(100))

    assert counted.missing == 1
    assert not counted.is_right


def test_a_loss_does_not_hide_behind_refusals() -> None:
    """A refused or broken request is nothing that must be there."""
    assert count(0, 100, load(110, refused=10, broken=3)).is_right
    assert count(0, 99, load(110, refused=10, broken=3)).missing == 1


def test_a_document_kept_twice_is_seen() -> None:
    """More documents than anybody can have sent make the count wrong too."""
    assert count(0, 117, load(100)).unexplained == 1
    assert count(0, 129, load(110, refused=10, broken=3)).is_right
    assert not count(0, 130, load(110, refused=10, broken=3)).is_right


def test_spread() -> None:
    """Figures are given with what they varied between."""
    assert spread([3, 1, 2, 1000]).text() == "2 (1–1,000)"
    assert spread([1.25]).text(1) == "1.2 (1.2–1.2)"


def test_table() -> None:
    """Tables are Markdown that reads well as it is."""
    assert table(["what", "ms"], [["a longer name", "1"], ["b", "1,000"]]) == (
        "| what          |    ms |\n"
        "| ------------- | ----: |\n"
        "| a longer name |     1 |\n"
        "| b             | 1,000 |\n"
    )
