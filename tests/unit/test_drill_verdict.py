"""The verdict: what breaks a promise, and what was no test of it; and the report that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from demijohn.drill.account import Account, settle
from demijohn.drill.cluster import Hpa, Pod
from demijohn.drill.data import Compared, Step
from demijohn.drill.errors import DrillError
from demijohn.drill.outcomes import (
    TURNED_AWAY,
    Burst,
    Failed,
    Failure,
    Lane,
    LaneUse,
    Latency,
    Result,
    Second,
    StreamUse,
)
from demijohn.drill.plot import ceiling, render
from demijohn.drill.ranges import Ranges
from demijohn.drill.report import Report, as_json, failure_rows, markdown, write
from demijohn.drill.run import Ending, Mark, Run, Sample
from demijohn.drill.tally import LaneTally, Tally
from demijohn.drill.verdict import (
    Outcome,
    Scaling,
    Verdict,
    judge,
    judge_each,
    judge_load,
    judge_rollouts,
    judge_scaling,
)

SECONDS = 60
OFFERED = 200 * SECONDS
LANE = LaneUse(requests=600, connections=2, longest=300, seconds=[(0, 59)])
STREAMS = [
    StreamUse(began=begin, fast=begin + 8, ended=begin + 8.5, bytes=17_000_000)
    for begin in range(0, 50, 2)
]
RESULT = Result(
    run="run",
    seconds=SECONDS,
    full_load=SECONDS,
    offered=OFFERED,
    offered_at_full=OFFERED,
    done=OFFERED,
    done_at_full=OFFERED,
    late=0,
    unsent=0,
    failures=[],
    statuses={},
    acknowledged=[(0, 5999)],
    unknown=[],
    lanes=[LANE] * 16,
    streams=STREAMS,
    ballast=128,
    latency={Lane.KEEP_ALIVE: Latency(count=9600, p50=2, p99=9, longest=40)},
    idle_closes=0,
)
ACCOUNT = settle(Ranges(RESULT.acknowledged), Ranges(), range(6000))
OLD, NEW = (
    tuple(Pod(f"{age}-{at}", f"{age}{at}", is_ready=True, is_ending=False) for at in range(2))
    for age in ("old", "new")
)
SCALING = Scaling(
    2,
    5,
    70,
    240,
    5,
    pressed=False,
    back=True,
    had_time=True,
    sizes=(4, 5, 4, 3, 2),
    seconds_to_most=31.0,
)


def a_run() -> Run:
    """A rollout in which all went well."""
    return Run(
        result=RESULT,
        seconds=[
            Second(at=at, rate=200, offered=200, done=200, failed=0, late=1, p50=2, p99=9)
            for at in range(SECONDS)
        ],
        burst=None,
        samples=[Sample(1, OLD, None), Sample(59, NEW, Hpa(2, 5, 70, 2, 44))],
        endings=[Ending("old-0", "old0", 19, 20, 2, 31), Ending("old-1", "old1", 29, 30, 0, 41)],
        marks=[Mark(8, "rollout 1 of 1 begins <&>")],
        account=ACCOUNT,
    )


def with_result(**changes: object) -> Run:
    """The same run, its result changed."""
    return replace(a_run(), result=RESULT.model_copy(update=changes))


def used_once_each(requests: int) -> LaneUse:
    """A lane whose every connection carries one request, ten a second."""
    lane = LaneTally()
    for at in range(requests):
        lane.connects()
        lane.ended(at / 10, None)
    return LaneUse(
        requests=lane.requests,
        connections=lane.connections,
        longest=lane.longest,
        seconds=lane.seconds.pairs(),
    )


def with_failure(lane: Lane, kind: Failure) -> Run:
    """The same run with one failed request."""
    return with_result(failures=[Failed(second=20, lane=lane, kind=kind, count=1)])


def with_account(**changes: object) -> Run:
    """The same run, the account of its markers changed."""
    return replace(a_run(), account=replace(ACCOUNT, **changes))  # type: ignore[arg-type]


def test_verdicts_have_their_exit_codes() -> None:
    """0, 1 and 3, as the reference says."""
    assert {each.name: int(each) for each in Outcome} == {
        "HELD": 0,
        "BROKEN": 1,
        "INCONCLUSIVE": 3,
    }


def test_a_run_without_fault_holds() -> None:
    """The control of all that follows: nothing broken, no minimum missed."""
    verdict = judge(a_run())

    assert verdict == Verdict()
    assert verdict.outcome is Outcome.HELD


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("kind", sorted(set(Failure) - {Failure.LIMITED, Failure.EXHAUSTED}))
def test_one_failure_of_any_kind_breaks_the_promise(lane: Lane, kind: Failure) -> None:
    """A single failed request, in whichever lane, is exit code 1."""
    verdict = judge(with_failure(lane, kind))

    assert verdict.outcome is Outcome.BROKEN
    assert verdict.broken == (f"1 {lane} requests failed: {kind}",)


def test_what_could_not_be_reached_is_told_apart_by_the_reason() -> None:
    """Two that failed alike are one line, in the verdict and in the report's table; others not."""
    reasons = ((20, "no route"), (30, "no route"), (30, "no ports"))
    each = [
        Failed(second=at, lane=Lane.ONE_SHOT, kind=Failure.UNREACHABLE, count=1, fault=fault)
        for at, fault in reasons
    ]
    run = with_result(failures=each)

    assert judge(run).broken == (
        "2 one-shot requests failed: unreachable (no route)",
        "1 one-shot requests failed: unreachable (no ports)",
    )
    assert list(failure_rows(run)) == [
        ("one-shot", "unreachable (no route)", "2", "20, 30"),
        ("one-shot", "unreachable (no ports)", "1", "30, 30"),
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lost": Ranges([(7, 8)])}, "2 acknowledged documents are lost: 7-8"),
        ({"doubled": Ranges([(3, 3)])}, "more than once: 3"),
        ({"unexplained": Ranges([(6001, 6001)])}, "no answer speaks of"),
    ],
)
def test_a_marker_that_is_not_as_acknowledged_breaks_the_promise(
    change: dict[str, Ranges], word: str
) -> None:
    """Lost, doubled, or there without a reason."""
    verdict = judge(with_account(**change))

    assert verdict.outcome is Outcome.BROKEN
    assert word in verdict.broken[0]


def test_what_the_services_own_limits_turn_away_is_no_fault() -> None:
    """It says nothing of how well the service serves: the promise was not put to the test."""
    verdict = judge(with_failure(Lane.KEEP_ALIVE, Failure.LIMITED))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "1 requests were more than the service's own limits let through" in verdict.missed[0]


def test_what_the_loads_machine_could_not_send_is_no_fault() -> None:
    """The service was never asked: nothing is broken, and nothing is shown."""
    lack = "[Errno 99] Cannot assign requested address"
    failed = Failed(second=20, lane=Lane.ONE_SHOT, kind=Failure.EXHAUSTED, count=3, fault=lack)

    verdict = judge(with_result(failures=[failed]))

    assert (verdict.outcome, verdict.broken) == (Outcome.INCONCLUSIVE, ())
    assert verdict.missed == (
        f"3 requests could not be sent, for want of what this machine has: {lack}",
    )


def of_a_revoked_key(*failures: tuple[int, Lane, Failure]) -> Run:
    """The same run with a key that was taken until second 20.4, and these failures."""
    each = [Failed(second=at, lane=lane, kind=kind, count=7) for at, lane, kind in failures]
    return with_result(failures=each, denied_from=20.4)


def test_a_key_that_is_taken_no_more_is_no_fault() -> None:
    """Requests that are refused from then on, and streams that are cut, break nothing."""
    run = of_a_revoked_key(
        (20, Lane.KEEP_ALIVE, Failure.DENIED),
        (25, Lane.ONE_SHOT, Failure.DENIED),
        (26, Lane.ONE_SHOT, Failure.LIMITED),
        (21, Lane.STREAM, Failure.DENIED),
        (19, Lane.STREAM, Failure.SHORT),
    )

    verdict = judge(run)

    assert (verdict.broken, run.result.excused()) == ((), 35)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert len(verdict.missed) == 1
    assert "from second 20 on the service did not take the key any more" in verdict.missed[0]


@pytest.mark.parametrize(
    "failure",
    [
        (19, Lane.KEEP_ALIVE, Failure.DENIED),
        (21, Lane.KEEP_ALIVE, Failure.SHORT),
        (21, Lane.STREAM, Failure.RESET),
        (18, Lane.STREAM, Failure.SHORT),
        (30, Lane.ONE_SHOT, Failure.SERVER_ERROR),
    ],
)
def test_a_revoked_key_excuses_nothing_else(failure: tuple[int, Lane, Failure]) -> None:
    """What broke before, or in a way that a revocation has no part in, stays broken."""
    assert judge(of_a_revoked_key(failure)).outcome is Outcome.BROKEN


def test_a_load_that_ends_by_itself_proves_nothing() -> None:
    """As where the pod that makes it is moved elsewhere; the reason is said."""
    verdict = judge(replace(a_run(), is_cut=True))

    assert verdict == Verdict(missed=("the load ended by itself after 60 s",))


@pytest.mark.parametrize("kind", sorted(TURNED_AWAY))
def test_what_was_turned_away_and_is_there_breaks_the_promise(kind: Failure) -> None:
    """401, 403 and 429 say that nothing was done: a marker that is there all the same is found."""
    tally = Tally("run", 1)
    tally.marker(0, None)
    tally.marker(1, kind)
    result = tally.result(1, 0)
    account = settle(Ranges(result.acknowledged), Ranges(result.unknown), [0, 1])

    assert list(account.unexplained) == [1]
    assert judge(replace(a_run(), account=account)).outcome is Outcome.BROKEN


def test_a_marker_of_a_failed_request_breaks_nothing_more() -> None:
    """It may be there: nobody was told either way."""
    assert judge(with_account(unknown_found=Ranges([(9, 9)]))).outcome is Outcome.HELD


def test_a_failure_in_the_guides_burst_counts() -> None:
    """The burst before the load is part of the drill."""
    burst = Burst(requests=1000, clients=10, seconds=0.4, failed=1)

    assert judge(replace(a_run(), burst=burst)).outcome is Outcome.BROKEN


MISSED: dict[str, Callable[[], Run]] = {
    "were offered": lambda: with_result(offered_at_full=OFFERED - 200),
    "were achieved": lambda: with_result(done_at_full=OFFERED - 200),
    "fell behind": lambda: with_result(late=OFFERED // 10),
    "of 12000 requests late": lambda: with_result(unsent=OFFERED // 10),
    "15 keep-alive lanes": lambda: with_result(lanes=[LANE] * 15),
    "fewer than 100": lambda: with_result(
        lanes=[LANE] * 15 + [LANE.model_copy(update={"longest": 99})]
    ),
    "16 lanes carried fewer than 100 requests over one connection": lambda: with_result(
        lanes=[used_once_each(600)] * 16
    ),
    "16 lanes were not in use across the end of old-0": lambda: with_result(
        lanes=[used_once_each(600)] * 16
    ),
    "markers could not be read": lambda: replace(a_run(), account=None, notes=["gone"]),
    "when old-1 was told to end: looks were 4.0 s apart": lambda: replace(
        a_run(), endings=[Ending("old-1", "old1", 26, 30, 2, 41)]
    ),
    "no stream was open when old-2": lambda: replace(
        with_result(streams=[StreamUse(began=19.5, fast=27.5, ended=28, bytes=9)]),
        endings=[Ending("old-2", "old2", 19, 20, 2, 31)],
    ),
    "16 lanes were not in use across the end of old-3": lambda: replace(
        with_result(lanes=[LANE.model_copy(update={"seconds": [(20, 59)]})] * 16),
        endings=[Ending("old-3", "old3", 19, 20, 2, 31)],
    ),
    "no pod was told to end": lambda: replace(a_run(), endings=[]),
    "1 lanes were not in use across the end of old-1": lambda: with_result(
        lanes=[LANE] * 15 + [LANE.model_copy(update={"seconds": [(0, 24), (40, 59)]})]
    ),
    "no stream was open when old-0": lambda: with_result(streams=STREAMS[10:]),
    "no pod had a stream": lambda: replace(
        a_run(), endings=[replace(each, streams=0) for each in a_run().endings]
    ),
}


@pytest.mark.parametrize("word", list(MISSED))
def test_a_minimum_that_is_missed_proves_nothing(word: str) -> None:
    """Each minimum by itself makes the verdict inconclusive, and is named."""
    verdict = judge(MISSED[word]())

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert any(word in each for each in verdict.missed), verdict.missed
    assert verdict.broken == ()


def test_a_stream_that_is_read_quickly_is_not_open() -> None:
    """At the pod's end the stream has to be in its slow part, with most of it still to come."""
    hasty = [each.model_copy(update={"fast": each.began + 0.5}) for each in STREAMS]
    short = [each.model_copy(update={"ended": each.began + 4}) for each in STREAMS]

    assert judge(with_result(streams=hasty)).outcome is Outcome.INCONCLUSIVE
    assert judge(with_result(streams=short)).outcome is Outcome.INCONCLUSIVE


def test_metrics_that_cannot_be_read_are_no_fault() -> None:
    """A cluster that does not let its pods' metrics be read is judged by the client's side."""
    unknown = [replace(each, streams=None) for each in a_run().endings]

    assert judge(replace(a_run(), endings=unknown)).outcome is Outcome.HELD


def test_what_is_broken_stays_broken() -> None:
    """A failure under too weak a load is still a failure."""
    failure = [Failed(second=1, lane=Lane.STREAM, kind=Failure.SHORT, count=1)]

    verdict = judge(with_result(failures=failure, offered_at_full=10, done_at_full=9))

    assert verdict.outcome is Outcome.BROKEN
    assert verdict.missed


def test_each_rollout_has_to_end_pods_with_streams() -> None:
    """One rollout whose pods had streams does not speak for the next one."""
    run = a_run()

    assert judge_each(run, [8.0]) == judge_each(run, []) == Verdict()
    assert judge_each(run, [8.0, 25.0]).missed[0].startswith("in rollout 2 no pod had a stream")


@pytest.mark.parametrize(
    ("done", "before", "after", "outcome"),
    [
        (2, {"a", "b"}, {"c", "d"}, Outcome.HELD),
        (1, {"a", "b"}, {"c", "d"}, Outcome.BROKEN),
        (2, {"a", "b"}, {"b", "c"}, Outcome.BROKEN),
        (2, {"a"}, set(), Outcome.INCONCLUSIVE),
    ],
)
def test_a_rollout_leaves_none_of_its_pods(
    done: int, before: set[str], after: set[str], outcome: Outcome
) -> None:
    """The pods' UIDs before and after are disjoint, and each rollout came to its end."""
    assert judge_rollouts(done, 2, before, after).outcome is outcome


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, Outcome.HELD),
        ({"sizes": (5, 2)}, Outcome.HELD),
        ({"peak_utilization": 70}, Outcome.INCONCLUSIVE),
        ({"peak_ready": 3, "sizes": (3,)}, Outcome.INCONCLUSIVE),
        ({"peak_ready": 3, "sizes": (3,), "pressed": True}, Outcome.BROKEN),
        ({"peak_ready": 4}, Outcome.BROKEN),
        ({"peak_ready": 4, "pressed": True, "had_time": False}, Outcome.INCONCLUSIVE),
        ({"back": False}, Outcome.BROKEN),
        ({"back": False, "had_time": False}, Outcome.INCONCLUSIVE),
        ({"sizes": (4, 3, 2)}, Outcome.BROKEN),
        ({"sizes": (4, 5)}, Outcome.BROKEN),
        ({"sizes": ()}, Outcome.BROKEN),
    ],
)
def test_the_autoscaler_goes_to_the_most_and_back(
    change: dict[str, object], outcome: Outcome
) -> None:
    """By the pods and by its own events; a load that never passed the target proves nothing."""
    assert judge_scaling(replace(SCALING, **change)).outcome is outcome  # type: ignore[arg-type]


def a_report(run: Run | None = None) -> Report:
    """A report of such a run."""
    run = run or a_run()
    began = datetime(2026, 11, 25, 10, tzinfo=UTC)
    return Report("rollout", "run", "http://127.0.0.1:30500", began, judge(run), run, SCALING)


def test_the_report_has_its_files(tmp_path: Path) -> None:
    """Markdown, JSON and the plot, in a directory that need not be there."""
    paths = write(a_report(), tmp_path / "new" / "one")

    assert [each.name for each in paths] == ["report.md", "report.json", "report.svg"]
    assert all(each.stat().st_size for each in paths)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """No traceback: the path and the reason."""
    (tmp_path / "taken").write_bytes(b"")

    with pytest.raises(DrillError, match="taken"):
        write(a_report(), tmp_path / "taken")


def test_the_plot_is_an_svg_that_a_parser_takes(tmp_path: Path) -> None:
    """Well-formed, whatever the marks say, with all its charts, axes and legends."""
    write(a_report(), tmp_path)

    root = ET.parse(tmp_path / "report.svg").getroot()
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]

    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for expected in ("Load", "Replicas", "CPU", "Latency", "Failures", "seconds since", "offered"):
        assert any(expected in text for text in texts), expected
    assert "1: 8 s, rollout 1 of 1 begins <&>" in "".join(root.itertext())


def test_a_plot_of_next_to_nothing_is_drawn() -> None:
    """A run that was broken off in its first second has a plot all the same."""
    run = replace(a_run(), seconds=[], samples=[Sample(0, (), None)], marks=[])

    assert ET.fromstring(render("a < b", run)).tag.endswith("svg")


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 1), (1, 1), (1.2, 2), (3, 3), (6.5, 8), (8.1, 10), (201, 300)]
)
def test_an_axis_ends_at_a_round_number(value: float, expected: float) -> None:
    """The next of 1, 2, 3, 4, 5, 6, 8, 10, 20, … that takes in every point."""
    assert ceiling(value) == expected


def test_the_report_says_what_failed() -> None:
    """Verdict, reason, lane and kind are in the text for people."""
    text = markdown(a_report(with_failure(Lane.ONE_SHOT, Failure.REFUSED)))

    assert text.startswith("# demijohn drill rollout: broken\n")
    assert "- Broken: 1 one-shot requests failed: refused." in text
    assert "| one-shot | refused | 1 | 20, 20 |" in text
    assert "2 → 4 → 5 → 4 → 3 → 2" in text
    assert "| old-0 | 20 | 31 | 3 | 2 |" in text


def test_the_report_for_programs_is_whole() -> None:
    """Verdict, markers, pods and every second can be read by a program."""
    value = json.loads(as_json(a_report()))

    assert value["verdict"] == "held"
    assert value["markers"]["acknowledged"] == value["markers"]["found"] == 6000
    assert (value["pods_before"], value["pods_after"]) == (["old0", "old1"], ["new0", "new1"])
    assert len(value["seconds"]) == SECONDS
    assert [each["name"] for each in value["endings"]] == ["old-0", "old-1"]


def test_a_step_that_does_not_hold_breaks_the_data_drill() -> None:
    """Every step counts, and the one at fault is named."""
    steps = [Step("POST /data", "201", holds=True), Step("GET /data", "4 of 5", holds=False)]

    verdict = Compared(steps).verdict

    assert (verdict.outcome, verdict.broken) == (Outcome.BROKEN, ("GET /data: 4 of 5",))


def test_the_load_alone_can_be_judged() -> None:
    """Where no pod was to end, as in a test of something else, its absence is no fault."""
    run = replace(a_run(), endings=[])

    assert judge(run, (judge_load,)).outcome is Outcome.HELD
    assert isinstance(run.account, Account)
