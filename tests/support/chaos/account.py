"""What came of a run, by what befell the service: the table of the chaos suite."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.support.chaos.checker import Findings, Report
from tests.support.chaos.history import History

NAMED = ("lost", "doubled")
"""Kinds of findings with columns of their own; all others are violations."""
HEAD = ("fault", "times", "requests", "acknowledged", "refused", "unknown")
FINDINGS = (*NAMED, "violations")


@dataclass(frozen=True, slots=True)
class Account:
    """A run's figures. A request, and what is found of it, is counted where it began."""

    history: History
    report: Report

    def table(self) -> str:
        """A line for each kind of fault, one for all, and the writes in flight at the kills."""
        kinds = sorted({each.what for each in self.history.blows})
        lines = [self._line(each, (each,)) for each in kinds] + [self._line("all", kinds)]
        rows = [[*HEAD, *FINDINGS], *lines]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join([*(_aligned(row, widths) for row in rows), self._in_flight()])

    @property
    def violations(self) -> int:
        """Findings without a column of their own."""
        return sum(map(len, self._others().values()))

    def _line(self, name: str, kinds: Sequence[str]) -> list[str]:
        entries = [each for each in self.history.entries if self._fault(each.began) in kinds]
        figures = (
            sum(each.what in kinds for each in self.history.blows),
            len(entries),
            sum(each.is_done for each in entries),
            sum(each.is_denied for each in entries),
            sum(each.is_unknown for each in entries),
            *(self._count(getattr(self.report, each), kinds) for each in NAMED),
            sum(self._count(each, kinds) for each in self._others().values()),
        )
        return [name, *map(str, figures)]

    def _count(self, findings: Findings, kinds: Sequence[str]) -> int:
        return sum(self._fault(each.at) in kinds for each in findings)

    def _others(self) -> Mapping[str, Findings]:
        return {kind: each for kind, each in self.report.faults().items() if kind not in NAMED}

    def _fault(self, at: float) -> str:
        """In whose time this is. What is sent before the first one is the first one's."""
        blows = self.history.blows
        place = bisect_right(blows, at, key=lambda each: each.began)
        return blows[max(place - 1, 0)].what if blows else ""

    def _in_flight(self) -> str:
        found = [each.in_flight for each in self.history.blows if each.what.startswith("kill")]
        if not found:
            return "no kills"
        return (
            f"writes in flight at {len(found)} kills: least {min(found)}, "
            f"median {median(found):g}, most {max(found)}"
        )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *figures = row
    name, *others = widths
    columns = [each.rjust(width) for each, width in zip(figures, others, strict=True)]
    return "  ".join([first.ljust(name), *columns])
