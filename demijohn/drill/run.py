"""Load, and something that happens meanwhile: the part that every drill under load shares."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from demijohn.drill import access, database
from demijohn.drill.account import Account, settle
from demijohn.drill.cluster import Deployment, Hpa, Pod, read_hpa, read_pods, streams_on
from demijohn.drill.errors import DrillError
from demijohn.drill.generator import INTERRUPTED, Generator, InCluster, LoadOver, generating
from demijohn.drill.kubectl import Kubectl, KubectlError
from demijohn.drill.load import Plan
from demijohn.drill.outcomes import Burst, Result, Second
from demijohn.drill.ranges import Ranges
from demijohn.settings import Settings

LOOK_EVERY = 1.0
"""Seconds between two looks at the cluster."""
_MISSES = 15
"""Looks that may fail in a row: an API server may be busy, or be restarted."""
_TICK = 0.2
_READERS = 4
"""Pods whose metrics are read at one time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the cluster, `at` seconds after the load began."""

    at: float
    pods: tuple[Pod, ...]
    hpa: Hpa | None

    @property
    def ready(self) -> int:
        """Pods that are ready and have not been told to end."""
        return sum(pod.is_ready and not pod.is_ending for pod in self.pods)

    @property
    def wanted(self) -> int:
        """Pods that have not been told to end, ready or not."""
        return sum(not pod.is_ending for pod in self.pods)


@dataclass(slots=True)
class Ending:
    """A pod that was told to end while there was load."""

    name: str
    uid: str
    since: float
    """When the look before began: it had not been told then."""
    at: float
    """When it was first seen: it was told in between."""
    streams: int | None = None
    """Streams that it had under way then, by its own metrics; None where they can't be read."""
    gone: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the drill did or saw."""

    at: float
    text: str


class View(Protocol):
    """Who is shown how it goes."""

    def show(self, second: Second | None, sample: Sample | None) -> None:
        """A second of the load, each once, and the cluster as it was seen last."""

    def say(self, text: str) -> None:
        """One line that stays."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a drill works with."""

    kubectl: Kubectl
    deployment: Deployment
    settings: Settings
    view: View
    inside: InCluster | None = None
    has_hpa: bool = False
    keeps: bool = False
    """Whether the run's documents stay in the database."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that a run under load gave."""

    result: Result
    seconds: list[Second]
    burst: Burst | None
    samples: list[Sample]
    endings: list[Ending]
    marks: list[Mark]
    account: Account | None
    """None where the database could not be read afterwards; `notes` says why."""
    notes: list[str] = field(default_factory=list)
    is_cut: bool = False
    """Whether the load ended by itself, and so what was to happen under it was broken off."""

    @property
    def uids_before(self) -> set[str]:
        """The pods at the first look."""
        return {pod.uid for pod in self.samples[0].pods}

    @property
    def uids_after(self) -> set[str]:
        """The pods at the last look, those that were still ending left out."""
        return {pod.uid for pod in self.samples[-1].pods if not pod.is_ending}


class Watch:
    """Looks at the cluster once a second, in a thread of its own."""

    def __init__(self, setup: Setup, clock: Callable[[], float]) -> None:
        """Take the clock of the load."""
        self.samples: list[Sample] = []
        self.endings: dict[str, Ending] = {}
        self._setup = setup
        self._clock = clock
        self._stopped = threading.Event()
        self._misses = 0
        self._fault: Exception | None = None
        self._began = 0.0
        self._readers = ThreadPoolExecutor(_READERS)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Take the first look here, so that what is wrong is known at once, then go on."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def last_look(self) -> None:
        """Look once more, after the end, and wait for what is still being read."""
        for _ in range(_MISSES):
            try:
                self.look()
                break
            except KubectlError:  # no reason to throw the load's result away
                time.sleep(LOOK_EVERY)
        self._readers.shutdown()

    def check(self) -> None:
        """Raise what ended the looking, if anything did."""
        if self._fault is not None:
            raise self._fault

    def look(self) -> None:
        """Take one look. Raises DrillError."""
        kubectl = self._setup.kubectl
        since, began = self._began, self._clock()
        pods = tuple(read_pods(kubectl, self._setup.deployment.selector))
        at = self._clock()
        hpa = read_hpa(kubectl) if self._setup.has_hpa else None
        before = self.samples[-1].pods if self.samples else pods
        self.samples.append(Sample(at, pods, hpa))
        self._began = began
        self._note_endings(before, pods, (since, at))

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            # From one beginning to the next, however long a look takes: it dates the endings.
            due = max(due + LOOK_EVERY, time.monotonic())
            if self._stopped.wait(due - time.monotonic()):
                return
            try:
                self.look()
                self._misses = 0
            except KubectlError as error:
                self._misses += 1
                if self._misses >= _MISSES:
                    self._fault = error
                    return
            except Exception as error:  # noqa: BLE001 (handed to the thread that waits)
                self._fault = error
                return

    def _note_endings(
        self, before: tuple[Pod, ...], pods: tuple[Pod, ...], span: tuple[float, float]
    ) -> None:
        """Note who was told to end within `span`, from the look before to this one."""
        for pod in newly_ending(before, pods):
            ending = self.endings.setdefault(pod.uid, Ending(pod.name, pod.uid, *span))
            if pod.is_ending:
                self._readers.submit(self._read_streams, ending)
        there = {pod.uid for pod in pods}
        for uid, ending in self.endings.items():
            if uid not in there and ending.gone is None:
                ending.gone = span[1]

    def _read_streams(self, ending: Ending) -> None:
        """Beside the looks, which would otherwise date what ends next too late."""
        ending.streams = streams_on(self._setup.kubectl, ending.name)


def newly_ending(before: tuple[Pod, ...], pods: tuple[Pod, ...]) -> list[Pod]:
    """Those told to end between two looks: they are ending now, or are not there any more."""
    known = {pod.uid for pod in before if pod.is_ending}
    there = {pod.uid for pod in pods}
    gone = [pod for pod in before if pod.uid not in there]
    return [
        pod for pod in [*pods, *gone] if pod.uid not in known and (pod.is_ending or pod in gone)
    ]


class Scene:
    """What an action under load can see and do."""

    def __init__(self, setup: Setup, generator: Generator, watch: Watch) -> None:
        """Take the parts."""
        self.setup = setup
        self.generator = generator
        self.watch = watch
        self.marks: list[Mark] = []
        self._shown = 0

    @property
    def now(self) -> Sample:
        """The newest look at the cluster."""
        return self.watch.samples[-1]

    def mark(self, text: str) -> None:
        """Note what happens now, for the report and for who looks on."""
        at = self.generator.clock()
        self.marks.append(Mark(at, text))
        self.setup.view.say(f"{at:5.0f} s  {text}")

    def wait(self, seconds: float) -> None:
        """Let the load go on for so long."""
        deadline = time.monotonic() + seconds
        self.wait_until(lambda: time.monotonic() >= deadline, seconds + 60)

    def wait_until(self, met: Callable[[], bool], seconds: float) -> bool:
        """Let the load go on until `met` is true; False if that takes more than `seconds`."""
        deadline = time.monotonic() + seconds
        while not met():
            if time.monotonic() >= deadline:
                return False
            self.generator.check()
            self.watch.check()
            self._show_new()
            time.sleep(_TICK)
        return True

    def _show_new(self) -> None:
        """Show each second once, so that who looks on can add them up."""
        seen = len(self.generator.seconds)
        for second in self.generator.seconds[self._shown : seen]:
            self.setup.view.show(second, self.now)
        self._shown = seen


def under_load(setup: Setup, plan: Plan, action: Callable[[Scene], None]) -> Run:
    """Make the load, have the action happen, and account for every request afterwards.

    The action gets the scene once the load runs; when it returns, the load ends. The documents
    of the run are deleted unless they are to be kept. Raises DrillError where anything but the
    service stands in the way.
    """
    # Before any load: a drill that can't count its markers afterwards need not begin.
    with database.opened(setup.kubectl, setup.settings) as markers:
        markers.check()
    try:
        run = _accounted(setup, _loaded(setup, plan, action))
        return replace(run, notes=[*run.notes, *_clean_up(setup, plan.run)])
    except BaseException:
        for line in _clean_up(setup, plan.run):
            setup.view.say(line)
        raise


def ask_first(setup: Setup, plan: Plan) -> None:
    """Before a long wait, find out whether the service will take the load that is to follow.

    Raises DrillError where it will not. A Job's load asks by itself, from where it is.
    """
    if setup.inside is not None:
        return

    async def ask() -> None:
        target = await access.resolved(plan.url, plan.key)
        await access.check(target, plan.url, plan.run)

    try:
        asyncio.run(ask())
    finally:
        for line in _clean_up(setup, plan.run):
            setup.view.say(line)


def _loaded(setup: Setup, plan: Plan, action: Callable[[Scene], None]) -> Run:
    with generating(plan, setup.inside, setup.view.say) as generator:
        watch = Watch(setup, generator.clock)
        try:
            generator.wait_for_load()
            database.check_arrival(setup.kubectl, setup.settings, plan.run)
            watch.start()
            scene = Scene(setup, generator, watch)
            is_cut = _broken_off(action, scene)
        finally:
            watch.stop()
        result = generator.finish()
        watch.last_look()
    return Run(
        result=result,
        seconds=generator.seconds,
        burst=generator.burst,
        samples=watch.samples,
        endings=list(watch.endings.values()),
        marks=scene.marks,
        account=None,
        notes=[_NO_METRICS] if plan.has_streams and not _knows_streams(watch) else [],
        is_cut=is_cut,
    )


def _broken_off(action: Callable[[Scene], None], scene: Scene) -> bool:
    """Have it happen; whether the load ended under it, which is for the verdict to explain."""
    try:
        action(scene)
    except LoadOver:
        scene.mark("the load has ended by itself; nothing more is done")
        return True
    return False


_NO_METRICS = (
    "No pod's own metrics could be read when it was told to end: that streams were open on it is "
    "known from the client's side alone."
)


def _knows_streams(watch: Watch) -> bool:
    endings = watch.endings.values()
    return not endings or any(each.streams is not None for each in endings)


def _accounted(setup: Setup, run: Run) -> Run:
    result = run.result
    try:
        with database.opened(setup.kubectl, setup.settings) as markers:
            acknowledged, unknown = Ranges(result.acknowledged), Ranges(result.unknown)
            account = settle(acknowledged, unknown, markers.numbers(result.run))
    except DrillError as error:
        return replace(run, notes=[*run.notes, f"The markers: {error}"])
    return replace(run, account=account)


def _clean_up(setup: Setup, run: str) -> list[str]:
    """Take away what a run has left in the database; the line that says so where that fails.

    Another Ctrl-C ends this too: who sends it is told what is left.
    """
    if setup.keeps:
        return []
    try:
        with database.opened(setup.kubectl, setup.settings) as markers:
            markers.delete(run)
    except (DrillError, KeyboardInterrupt) as error:
        return [
            f"The documents of run {run} are still in the database: {str(error) or INTERRUPTED}"
        ]
    return []
