"""How drills end: signals, logs that break off, reports that can't be written, Jobs' deadlines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from demijohn.drill import autoscale, job, rollout
from demijohn.drill.cluster import Deployment
from demijohn.drill.errors import DrillError
from demijohn.drill.generator import Generator, LoadOver
from demijohn.drill.http import Target
from demijohn.drill.kubectl import Kubectl
from demijohn.drill.outcomes import Failure, Line, Result, Second, StreamUse
from demijohn.drill.report import check
from demijohn.drill.run import Ending, Sample, Setup, Watch
from demijohn.drill.signals import ENDS, as_interrupts
from demijohn.drill.streams import Streams
from demijohn.settings import load
from tests.support.processes import wait_until

RESULT = Result(
    run="run", seconds=2, full_load=2, offered=0, offered_at_full=0, done=0, done_at_full=0, late=0,
    unsent=0, failures=[], statuses={}, acknowledged=[], unknown=[], lanes=[], streams=[],
    ballast=0, latency={}, idle_closes=0,
)  # fmt: skip


@pytest.mark.parametrize("number", ENDS)
def test_a_signal_ends_a_drill_as_an_interrupt_does(number: signal.Signals) -> None:
    """So that the load and the documents are taken away; the next one disturbs nothing."""
    before = signal.getsignal(number)
    with as_interrupts():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        for each in ENDS:
            os.kill(os.getpid(), each)

    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As below nohup: a terminal that closes ends nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


KUBECTL = r"""
import json, pathlib, sys

turn = pathlib.Path(__file__).with_name("turn")
match sys.argv[1:]:
    case ["get", "--raw", path]:
        print("demijohn_streams 3.0" if ":9090/" in path else "")
    case ["config", *_]:
        print("default")
    case ["get", "pods", *_]:
        states = json.loads(turn.read_text())
        turn.write_text(json.dumps(states[1:]))
        marked = {"deletionTimestamp": "now"}
        items = [
            {"metadata": {"name": name, "uid": name, **(marked if is_ending else {})}}
            for name, is_ending in states[0].items()
        ]
        print(json.dumps({"items": items}))
"""


class Silent:
    """A view that nobody looks at."""

    def show(self, second: Second | None, sample: Sample | None) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""


def test_a_pods_end_lies_between_two_looks(tmp_path: Path) -> None:
    """From the beginning of the last look that did not see it to the end of the one that did."""
    states = [
        {"told": False, "goes": False, "was": True},
        {"told": True, "goes": False, "was": True},
        {"told": True, "new": False},
    ]
    (tmp_path / "turn").write_text(json.dumps(states))
    (tmp_path / "kubectl.py").write_text(KUBECTL)
    kubectl = Kubectl((sys.executable, str(tmp_path / "kubectl.py")))
    setup = Setup(kubectl, Deployment("d", "app=d", "i"), load({}), Silent())
    watch = Watch(setup, count(10.0).__next__)

    watch.look()
    watch.look()
    watch.last_look()

    # A look asks the clock twice: 10 and 11, 12 and 13, 14 and 15.
    assert list(watch.endings.values()) == [
        Ending("told", "told", since=10, at=13, streams=3, gone=None),
        Ending("goes", "goes", since=12, at=15, streams=None, gone=15),
    ]


def a_log(path: Path, *lines: Line) -> Callable[[], subprocess.Popen[bytes]]:
    """A process that prints these lines and ends, like a log that is followed for so long."""
    path.write_text("".join(f"{each.model_dump_json(exclude_none=True)}\n" for each in lines))

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    return start


def a_second(at: int) -> Line:
    """One second of a load."""
    return Line(second=Second(at=at, rate=200, offered=200, done=200, failed=0, late=0))


def test_a_log_that_breaks_off_is_read_again(tmp_path: Path) -> None:
    """The load goes on below it: its run is not thrown away, and each second is there once."""
    steered: list[signal.Signals] = []
    seconds = [a_second(at) for at in range(3)]
    first = a_log(tmp_path / "first", *seconds[:2])
    whole = a_log(tmp_path / "whole", *seconds, Line(result=RESULT))
    generator = Generator(first(), steered.append, whole)

    assert generator.finish() == RESULT
    assert [each.at for each in generator.seconds] == [0, 1, 2]
    assert set(steered) == {signal.SIGTERM}
    generator.kill()


def test_a_load_that_says_why_it_ended_is_believed(tmp_path: Path) -> None:
    """Its log is over, and not read again."""
    log = a_log(tmp_path / "log", Line(error="no way"))
    generator = Generator(log(), lambda _: None, log)

    with pytest.raises(DrillError, match=r"^no way$"):
        generator.finish()
    generator.kill()


def test_a_load_that_ends_under_a_drill_stops_it(tmp_path: Path) -> None:
    """Nothing more is done to a cluster on which nobody counts any more; what was counted stays."""
    log = a_log(tmp_path / "log", a_second(0), Line(result=RESULT))
    generator = Generator(log(), lambda _: None, log)
    generator.wait_for_load()
    wait_until(lambda: generator.is_over, "its result is read")

    with pytest.raises(LoadOver):
        generator.check()
    assert generator.finish() == RESULT
    generator.kill()


def test_a_load_that_can_no_longer_be_told_to_end_is_read_to_its_end(tmp_path: Path) -> None:
    """A Job that has ended by itself takes no signal; what it gave counts."""

    def refuse(_number: signal.Signals) -> None:
        raise DrillError("no such pod")

    log = a_log(tmp_path / "log", a_second(0), Line(result=RESULT))
    generator = Generator(log(), refuse, log)

    assert generator.finish() == RESULT
    generator.kill()


def test_a_report_that_cannot_be_written_is_known_beforehand(tmp_path: Path) -> None:
    """A file in the way is named before there is any load, and nothing is made meanwhile."""
    (tmp_path / "taken").write_bytes(b"")

    check(tmp_path / "new" / "one")
    check(tmp_path)
    for path in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(DrillError, match="taken"):
            check(path)
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


PENDING = r"""
import json, os, sys

match sys.argv[1:]:
    case ["get", "pods", *_]:
        print(json.dumps({"items": json.loads(os.environ["PODS"])}))
    case ["get", "events", *_]:
        print(json.dumps({"items": json.loads(os.environ["EVENTS"])}))
"""
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu."}
QUOTA = {"message": "exceeded quota"}


@pytest.mark.parametrize(
    ("pods", "events", "said"),
    [
        ([{"status": {"conditions": [UNSCHEDULED]}}], [], "Insufficient cpu."),
        ([], [QUOTA], "exceeded quota"),
        ([{"status": {}}], [], "the cluster does not say why"),
    ],
)
def test_a_job_that_does_not_start_is_said_to_why(
    pods: list[object],
    events: list[object],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here, since the Job is gone when somebody would ask the cluster."""
    (tmp_path / "kubectl.py").write_text(PENDING)
    kubectl = Kubectl((sys.executable, str(tmp_path / "kubectl.py")))
    monkeypatch.setenv("PODS", json.dumps(pods))
    monkeypatch.setenv("EVENTS", json.dumps(events))

    with pytest.raises(DrillError, match=said):
        job.create(kubectl, job.manifest("name", "image", [], 60), patience=0)


def test_a_job_outlives_its_drill_by_little() -> None:
    """The most that the load may last follows from the drill's own timeouts."""
    assert autoscale.longest(1800) - 1800 < 60
    assert 600 < rollout.longest(2, 300) < 2 * rollout.longest(1, 300)


def test_a_stream_that_is_cut_off_at_the_end_is_counted() -> None:
    """One that never ends is cancelled, and is a stream that timed out: never unmentioned."""
    uses: list[StreamUse] = []

    async def run() -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()
            writer.close()
            left.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        streams = Streams(await Target.resolve(f"http://127.0.0.1:{port}"), "run", lambda: 1.0)
        task = asyncio.create_task(streams.keep_open(0, uses.append))
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await left.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(run())

    assert [each.failure for each in uses] == [Failure.TIMED_OUT]
