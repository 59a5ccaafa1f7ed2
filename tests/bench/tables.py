"""The tables of what was measured; the first contender is what the others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.listing import AT_ONCE, Answer, Listing
from tests.bench.report import MIB, Spread, ratios, spread, table
from tests.bench.rounds import Round, Rounds, all_right

NONE = "–"
Figure = Callable[[Round], float]
SUMMARY = "Summary"
_HEADERS = (
    *("", "a second", "p50 ms", "p99 ms", "CPU µs each"),
    *("ours ÷ it: rate", "it ÷ ours: CPU", "new / acknowledged", "refused, broken"),
)


@dataclass(slots=True)
class Results:
    """All figures of one run; a part that did not run is empty."""

    post: dict[int, Rounds] = field(default_factory=dict)
    """By connections."""
    get: dict[int, Rounds] = field(default_factory=dict)
    listing: dict[str, Listing] = field(default_factory=dict)
    price: Rounds = field(default_factory=dict)
    scale: dict[str, Rounds] = field(default_factory=dict)
    """By the question."""

    def are_right(self) -> bool:
        """Whether every count was right."""
        parts = [*self.post.values(), *self.get.values(), self.price, *self.scale.values()]
        return all(all_right(rounds) for part in parts for rounds in part.values())


def rate(one: Round) -> float:
    """Answers a second."""
    return one.load.rate


def cpu(one: Round) -> float:
    """Microseconds of CPU time for each answer."""
    return one.cpu_us


def p50(one: Round) -> float:
    """Median milliseconds."""
    return one.load.p50_ms


def p99(one: Round) -> float:
    """Milliseconds that 99 of 100 answers took no longer than."""
    return one.load.p99_ms


def megabytes(answer: Answer) -> float:
    """MB a second of a full read."""
    return answer.size / answer.total_ms / 1e3


def over(figure: Figure, ones: Sequence[Round], others: Sequence[Round]) -> Spread:
    """A figure of the ones divided by that of the others, round by round."""
    return ratios(map(figure, ones), map(figure, others))


def loads(results: Rounds) -> str:
    """A table of what was loaded."""
    ours = next(iter(results.values()))
    return table(_HEADERS, [_load_row(name, rounds, ours) for name, rounds in results.items()])


def listings(results: Mapping[str, Listing]) -> str:
    """The table of the whole collection out."""
    headers = (
        *("", "total ms", "first byte ms", "MB/s"),
        *("growth MiB, one read", f"growth MiB, {AT_ONCE} reads"),
    )
    return table(headers, [_listing_row(name, each) for name, each in results.items()])


def prices(results: Rounds) -> str:
    """The table of what each guarantee costs: the first row is what the others are held against."""
    base = next(iter(results.values()))
    rows = [
        [
            name,
            spread(map(rate, rounds)).text(),
            over(rate, rounds, base).text(2),
            over(cpu, rounds, base).text(2),
        ]
        for name, rounds in results.items()
    ]
    return table(("", "a second", "rate, ratio", "CPU each, ratio"), rows)


def summary(results: Results) -> str:
    """Medians alone, a line a contender."""
    parts = [*results.post.values(), *results.get.values(), results.listing]
    names = dict.fromkeys(name for part in parts for name in part)
    busy = max(results.post, key=lambda each: each == _USUAL, default=_USUAL)
    headers = [
        "",
        *(f"`POST`/s, {each} conn." for each in sorted(results.post)),
        *(f"{what}, {busy} conn." for what in ("p99 ms", "CPU µs")),
        *(f"`GET` by id/s, {each} conn." for each in sorted(results.get)),
        *("all out: ms (first byte)", f"MiB for 1, {AT_ONCE} full reads"),
    ]
    return table(headers, [_summary_row(results, name, busy) for name in names])


_USUAL = 16
"""Connections whose latency and CPU time the summary gives."""


def _load_row(name: str, rounds: Sequence[Round], ours: Sequence[Round]) -> list[str]:
    new = sum(each.count.new for each in rounds)
    acknowledged = sum(each.count.acknowledged for each in rounds)
    verdict = "" if all_right(rounds) else " WRONG"
    refused = sum(each.load.refused for each in rounds)
    broken = sum(each.load.broken + each.load.connect_errors for each in rounds)
    return [
        name,
        spread(map(rate, rounds)).text(),
        spread(map(p50, rounds)).text(1),
        spread(map(p99, rounds)).text(1),
        spread(map(cpu, rounds)).text(),
        f"{over(rate, ours, rounds).median:.2f}",
        f"{over(cpu, rounds, ours).median:.2f}",
        f"{new:,} / {acknowledged:,}{verdict}",
        f"{refused:,}, {broken:,}",
    ]


def _listing_row(name: str, listing: Listing) -> list[str]:
    answers = listing.answers
    return [
        name,
        spread(each.total_ms for each in answers).text(),
        spread(each.first_ms for each in answers).text(1),
        spread(map(megabytes, answers)).text(1),
        f"{listing.growth / MIB:.1f}",
        f"{listing.growth_at_once / MIB:.1f}",
    ]


def _summary_row(results: Results, name: str, busy: int) -> list[str]:
    def median(rounds: Sequence[Round], figure: Figure, digits: int = 0) -> str:
        return f"{spread(map(figure, rounds)).median:,.{digits}f}" if rounds else NONE

    usual = results.post.get(busy, {}).get(name, [])
    return [
        name,
        *(median(results.post[each].get(name, []), rate) for each in sorted(results.post)),
        median(usual, p99, 1),
        median(usual, cpu),
        *(median(results.get[each].get(name, []), rate) for each in sorted(results.get)),
        *_listed(results.listing.get(name)),
    ]


def _listed(listing: Listing | None) -> list[str]:
    if listing is None:
        return [NONE, NONE]
    total = spread(each.total_ms for each in listing.answers).median
    first = spread(each.first_ms for each in listing.answers).median
    memory = f"{listing.growth / MIB:.0f}, {listing.growth_at_once / MIB:.0f}"
    return [f"{total:.0f} ({first:.0f})", memory]
