"""The drills' pure parts: ranges, the pace, the account of markers, what kubectl says."""

from __future__ import annotations

import json
from itertools import pairwise
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.drill.account import settle
from demijohn.drill.autoscale import burst_remark, had_time_to_start, wants_more, was_pressed
from demijohn.drill.behavior import MARGIN, scale_down_seconds
from demijohn.drill.cluster import (
    Hpa,
    Pod,
    Rescale,
    is_no_such_api,
    parse_deployment,
    parse_hpa,
    parse_pod,
    parse_pods,
    parse_rescales,
    parse_streams,
    since,
)
from demijohn.drill.errors import DrillError
from demijohn.drill.job import manifest
from demijohn.drill.kubectl import KubectlError
from demijohn.drill.outcomes import Burst, Failure
from demijohn.drill.pace import Pace
from demijohn.drill.ranges import Ranges
from demijohn.drill.run import Sample, newly_ending
from demijohn.drill.tally import LaneTally, quantile

NUMBERS = st.lists(st.integers(0, 60))


@given(NUMBERS)
def test_ranges_are_the_set_of_what_was_put_in(numbers: list[int]) -> None:
    """Whatever comes in whatever order is in, once, and nothing else is."""
    ranges = Ranges.of(numbers)

    assert list(ranges) == sorted(set(numbers))
    assert len(ranges) == len(set(numbers))
    assert [number for number in range(-1, 62) if number in ranges] == sorted(set(numbers))


@given(NUMBERS)
def test_ranges_survive_being_written_down(numbers: list[int]) -> None:
    """The pairs that go over the wire make the same set, and none of them touch."""
    ranges = Ranges.of(numbers)
    pairs = ranges.pairs()

    assert Ranges(pairs) == ranges
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(pairs))


@given(NUMBERS, st.integers(0, 60), st.integers(0, 60))
def test_ranges_know_what_they_overlap(numbers: list[int], low: int, high: int) -> None:
    """A span overlaps where any of its numbers is in."""
    expected = any(low <= number <= high for number in numbers)

    assert Ranges.of(numbers).overlaps(low, high) == expected


def test_ranges_are_readable() -> None:
    """A report names them as a person would."""
    assert str(Ranges.of([1, 2, 3, 7])) == "1-3, 7"
    assert str(Ranges()) == "none"


@given(NUMBERS, NUMBERS, NUMBERS)
def test_every_marker_is_accounted_for(good: list[int], bad: list[int], found: list[int]) -> None:
    """Lost, doubled, unknown and unexplained are exactly what the sets say."""
    account = settle(Ranges.of(good), Ranges.of(bad), found)
    others = set(found) - set(good)

    assert set(account.lost) == set(good) - set(found)
    assert set(account.doubled) == {each for each in found if found.count(each) > 1}
    assert set(account.unknown_found) == others & set(bad)
    assert set(account.unexplained) == others - set(bad)
    assert account.holds == (sorted(found) == sorted(set(good) | (others & set(bad))))


def test_requests_are_due_by_the_clock() -> None:
    """A pause of the generator takes no request away: all that became due meanwhile come."""
    pace = Pace(10, 10, 1)

    *moments, following = pace.due(0.0, 1.04)

    assert [round(each, 3) for each in moments] == [each / 10 for each in range(11)]
    assert round(following, 3) == 1.1


def test_the_pace_stays_within_its_limits() -> None:
    """Steps up end at the highest, relief at the first rate, and a fall is for good."""
    pace = Pace(200, 400, 20)

    rates = []
    for act, late in (
        (pace.step_up, 0.0),
        (pace.step_up, 0.0),
        (pace.relieve, 2.0),
        (pace.relieve, 3.0),
        (pace.relieve, 4.0),
    ):
        act(late)
        rates.append(round(pace.rate))
    pace.fall()
    pace.step_up(0.0)

    assert rates == [300, 400, 267, 200, 200]
    assert pace.rate == 20


def test_a_backlog_that_shrinks_is_left_to_shrink() -> None:
    """One step down is enough where what waits becomes less; where it grows, another follows."""
    pace = Pace(200, 900, 20)
    pace.step_up(0.0)
    pace.step_up(0.0)

    rates = []
    for late in (1.5, 1.4, 1.2, 1.3):
        pace.relieve(late)
        rates.append(round(pace.rate))

    assert rates == [300, 300, 300, 200]


def test_a_strained_generator_is_not_asked_for_more() -> None:
    """A rate that is already sent late is not raised."""
    pace = Pace(200, 300, 20)

    pace.step_up(0.8)

    assert pace.rate == 200


@pytest.mark.parametrize(
    ("cpu", "pressed"), [([90, 90], True), ([90, 76], False), ([None, 90], False)]
)
def test_an_autoscaler_is_pressed_while_the_cpu_is_above_its_target(
    cpu: list[int | None], *, pressed: bool
) -> None:
    """Above target and tolerance at every look of the last minute; older looks don't count."""
    limits = Hpa(2, 5, 70, 2, None)
    samples = [Sample(0, (), limits)]
    samples += [Sample(100 + at, (), Hpa(2, 5, 70, 3, each)) for at, each in enumerate(cpu)]

    assert was_pressed(limits, samples) == pressed


def test_a_short_while_is_not_a_minute() -> None:
    """A drill whose time is over in seconds has not seen an autoscaler that stays pressed."""
    limits = Hpa(2, 5, 70, 2, 90)

    assert not was_pressed(limits, [Sample(at, (), limits) for at in range(10)])


@pytest.mark.parametrize(("cpu", "wants"), [(None, False), (0, True), (77, True), (78, False)])
def test_more_load_is_asked_for_while_the_cpu_is_known_to_be_low(
    cpu: int | None, *, wants: bool
) -> None:
    """Up to the target and its tolerance of a tenth; what is not known yet is not taken for 0."""
    limits = Hpa(2, 5, 70, 2, None)

    assert wants_more(limits, Hpa(2, 5, 70, 2, cpu)) == wants
    assert not wants_more(limits, None)


@pytest.mark.parametrize(("seconds", "had_time"), [(30, False), (150, True)])
def test_pods_that_were_asked_for_late_had_no_time(seconds: int, *, had_time: bool) -> None:
    """All five are there, not all ready: two minutes are enough, half a minute is not."""
    limits = Hpa(2, 5, 70, 2, None)
    pods = tuple(Pod(str(at), str(at), is_ready=at < 4, is_ending=False) for at in range(5))
    samples = [Sample(0, pods[:2], limits), Sample(10, pods, limits)]

    assert had_time_to_start(limits, [*samples, Sample(10 + seconds, pods, limits)]) == had_time
    assert had_time_to_start(limits, samples[:1])


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        (None, 315),
        ({"stabilizationWindowSeconds": 0}, 15),
        ({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}, 480),
        ({"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}, 420),
        ({"policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}]}, 330),
        ({"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60},
                       {"type": "Percent", "value": 100, "periodSeconds": 10}]}, 310),
        ({"selectPolicy": "Min",
          "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60},
                       {"type": "Percent", "value": 100, "periodSeconds": 10}]}, 480),
        ({"selectPolicy": "Disabled"}, inf),
    ],
)  # fmt: skip
def test_an_autoscaler_says_how_long_it_takes_down(
    rules: dict[str, Any] | None, seconds: float
) -> None:
    """By its window and policies, from five to two, and a margin."""
    assert scale_down_seconds({"scaleDown": rules}, 5, 2) == seconds + MARGIN


@pytest.mark.parametrize(("seconds", "short"), [(0.4, True), (21.0, False)])
def test_only_a_short_burst_is_said_to_go_unseen(seconds: float, *, short: bool) -> None:
    """One that lasted longer than the autoscaler looks away is only reported."""
    remark = burst_remark(Burst(requests=1000, clients=10, seconds=seconds, failed=0))

    assert f"over in {seconds:.2f} s" in remark
    assert ("never sees" in remark) == short


@pytest.mark.parametrize(
    ("said", "is_missing"),
    [
        ('the server doesn\'t have a resource type "pods"', True),
        ("(NotFound): the server could not find the requested resource", True),
        ("(ServiceUnavailable): the server is currently unable to handle the request", False),
        ("no answer within 30 s: is the cluster up?", False),
    ],
)
def test_a_missing_api_is_told_from_one_out_of_order(said: str, *, is_missing: bool) -> None:
    """How to install the metrics API is said only where it is not there."""
    assert is_no_such_api(KubectlError(said)) == is_missing


def test_a_lane_is_in_use_on_connections_that_are_kept() -> None:
    """The first answer on a connection is no sign of keep-alive; a failure is no use at all."""
    lane = LaneTally()
    lane.connects()
    for at, failure in ((0, None), (1, None), (2, Failure.RESET)):
        lane.ended(at, failure)
    lane.connects()
    for at in (3, 4):
        lane.ended(at, None)

    assert (lane.requests, lane.connections, lane.longest) == (5, 2, 3)
    assert list(lane.seconds) == [1, 4]


def test_quantiles() -> None:
    """They are values that were there; of nothing there is none."""
    values = [float(each) for each in range(1, 101)]

    assert (quantile(values, 0.5), quantile(values, 0.99)) == (51.0, 100.0)
    assert quantile([7.0], 0.99) == 7.0
    assert quantile([], 0.5) is None


def _hpa(**status: Any) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    return {"spec": {"minReplicas": 2, "maxReplicas": 5, "metrics": [metric]}, "status": status}


TAKES = 300 + 15 + MARGIN
"""Seconds down by Kubernetes' defaults: five minutes, and all at once."""


def test_the_autoscaler_is_read() -> None:
    """Limits, target, replicas, and what it measures; what it does not know yet is None."""
    current = {"averageUtilization": 93, "averageValue": "186m"}
    seen = [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]

    assert parse_hpa(_hpa(currentReplicas=3, currentMetrics=seen)) == Hpa(2, 5, 70, 3, 93, TAKES)
    assert parse_hpa(_hpa(currentMetrics=None)) == Hpa(2, 5, 70, 0, None, TAKES)


def test_an_autoscaler_without_cpu_is_no_use() -> None:
    """It is said, and not taken for one that never scales."""
    value = _hpa()
    value["spec"]["metrics"] = []

    with pytest.raises(DrillError, match="CPU"):
        parse_hpa(value)


@pytest.mark.parametrize(
    ("metadata", "ready", "expected"),
    [
        ({}, "True", Pod("a", "u", is_ready=True, is_ending=False)),
        ({}, "False", Pod("a", "u", is_ready=False, is_ending=False)),
        ({"deletionTimestamp": "2026-11-25T10:00:00Z"}, "True",
         Pod("a", "u", is_ready=True, is_ending=True)),
    ],
)  # fmt: skip
def test_a_pod_is_read(metadata: dict[str, str], ready: str, expected: Pod) -> None:
    """Whether it is ready, and whether it has been told to end."""
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
    value = {
        "metadata": {"name": "a", "uid": "u", **metadata},
        "status": {"conditions": conditions},
    }

    assert parse_pod(value) == expected


def test_a_pod_that_has_hardly_begun_is_read() -> None:
    """No conditions yet: not ready."""
    assert not parse_pod({"metadata": {"name": "a", "uid": "u"}, "status": {}}).is_ready


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_is_over_is_no_pod(phase: str) -> None:
    """What an eviction leaves behind is neither a replica nor a pod that ends."""
    items = [
        {"metadata": {"name": name, "uid": name}, "status": {"phase": each}}
        for name, each in (("a", "Running"), ("b", phase), ("c", "Pending"))
    ]

    assert [pod.name for pod in parse_pods(items)] == ["a", "c"]


def test_a_pod_ends_once_and_between_two_looks() -> None:
    """Told to end or gone since the look before; one that was ending then is known already."""

    def pod(name: str, *, is_ending: bool = False) -> Pod:
        return Pod(name, name, is_ready=True, is_ending=is_ending)

    before = (pod("stays"), pod("told"), pod("gone"), pod("was", is_ending=True))
    after = (pod("stays"), pod("told", is_ending=True), pod("new"), pod("was", is_ending=True))

    assert [each.name for each in newly_ending(before, after)] == ["told", "gone"]
    assert newly_ending(after, after) == []


def test_the_deployment_is_read() -> None:
    """Its selector as kubectl takes it, and the image of our container among others."""
    containers = [{"name": "proxy", "image": "p:1"}, {"name": "flask-app", "image": "app:2"}]
    value = {
        "metadata": {"name": "flask-deployment"},
        "spec": {
            "selector": {"matchLabels": {"app": "flask-app", "tier": "web"}},
            "template": {"spec": {"containers": containers}},
        },
    }

    deployment = parse_deployment(value)

    assert (deployment.selector, deployment.image) == ("app=flask-app,tier=web", "app:2")


def _event(uid: str, size: int, when: str, count: int = 1) -> dict[str, Any]:
    message = f"New size: {size}; reason: cpu resource utilization above target"
    return {
        "metadata": {"uid": uid},
        "message": message,
        "lastTimestamp": when,
        "count": count,
    }


def test_the_autoscalers_events_are_read_in_order() -> None:
    """Oldest first, with the size; an event without one is none."""
    events = [
        _event("b", 2, "2026-11-25T10:05:00Z"),
        _event("a", 5, "2026-11-25T10:00:00Z"),
        {"metadata": {"uid": "c"}, "message": "something else"},
    ]

    rescales = parse_rescales(events)

    assert [each.size for each in rescales] == [5, 2]


def test_only_new_events_count() -> None:
    """One of before counts where it has happened again since, by its count and not by a clock."""
    before = parse_rescales([_event("a", 5, "1"), _event("b", 2, "2")])
    after = parse_rescales([_event("a", 5, "3", count=2), _event("b", 2, "2"), _event("c", 4, "9")])

    new = since(before, after)

    assert [(each.uid, each.size) for each in new] == [("a", 5), ("c", 4)]
    assert all(isinstance(each, Rescale) for each in new)


def test_streams_under_way_are_read_from_the_metrics() -> None:
    """All workers' together; None where there is no such metric."""
    text = b"# HELP demijohn_streams x\n# TYPE demijohn_streams gauge\ndemijohn_streams 3.0\n"

    assert parse_streams(text) == 3
    assert parse_streams(b"demijohn_streams_cut_total 4.0\n") is None


def test_the_job_passes_restricted() -> None:
    """Every field that Pod Security's `restricted` asks for, limits, and no credential at all."""
    job = manifest("demijohn-drill-x", "app:1", ["drill", "load"], 60)
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    assert job["spec"]["template"]["metadata"]["labels"] == {"app": "demijohn-drill"}
    assert "env" not in container
    assert json.dumps(job)
