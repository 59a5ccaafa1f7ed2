"""Where a client goes on in the changes: everything once, in order, however the threads interleave.

A small world stands in for the database: changes in one order, and streams that look at them one by
one. The backlog, the feed and the way of one into the other are the real ones.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import bson
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.documents.backlog import Backlog, Mark, Position, Told
from demijohn.documents.change_events import Shape, read_id
from demijohn.documents.feed import Behind, Feed, Reader
from demijohn.documents.followed import Followed
from demijohn.formats.spelling import Spelling
from demijohn.store.changes import Change, Stream, has_passed

COLLECTION = "things"
SHAPE = Shape(Spelling.PLAIN)
_EVENT = re.compile(rb"id: (\S+)\n(?:event: (\w+)\n)?")
MakeBehind = Callable[[Callable[[bytes], Stream], Position, Mark], Behind]


def mongodb(passed: int) -> str:
    """A position as MongoDB spells it: they compare as texts do."""
    return f"82{passed:08X}"


def embedded(passed: int) -> str:
    """A position as the embedded database spells it: they do not compare."""
    return bson.encode({"s": passed}).hex()


class World:
    """Changes in the order in which they happened; those of a transaction at one time."""

    def __init__(self, times: list[int], spelling: Callable[[int], str]) -> None:
        """`times` says how much later than the one before each of the changes happens."""
        self._spelling = spelling
        self._rest = list(times)
        self._time = 0
        self.changes: list[Change] = []

    def happen(self) -> None:
        """One more change, if there is one left."""
        if self._rest:
            self._time += self._rest.pop()
            key = bson.encode({"_id": len(self.changes)})
            token = self.token(len(self.changes) + 1)
            self.changes.append(Change(token, self._time, "insert", key, None))

    def finish(self) -> None:
        """All that is left."""
        while self._rest:
            self.happen()

    def token(self, passed: int) -> bytes:
        """The position after so many changes."""
        return bson.encode({"_data": self._spelling(passed)})

    def passed(self, token: bytes) -> int:
        """How many changes a position is after."""
        return next(at for at in range(len(self.changes) + 1) if self.token(at) == token)


class Look:
    """A stream: it sees the changes that its filter lets through when it passes them."""

    def __init__(
        self,
        world: World,
        at: int,
        missed: frozenset[int],
        pauses: frozenset[int] = frozenset(),
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """At a position; without the changes `missed`, and with a wait in vain before `pauses`.

        `meanwhile` happens at each look.
        """
        self._world = world
        self._at = at
        self._missed = missed
        self._pauses = set(pauses)
        self._meanwhile = meanwhile

    @property
    def token(self) -> bytes:
        """Where it is."""
        return self._world.token(self._at)

    def next(self) -> Change | None:
        """As `Stream.next`."""
        self._meanwhile()
        while self._at < len(self._world.changes):
            if self._at in self._pauses:
                self._pauses.discard(self._at)
                return None
            self._at += 1
            if self._at - 1 not in self._missed:
                return self._world.changes[self._at - 1]
        return None

    def close(self) -> None:
        """As `Stream.close`."""


@dataclass(frozen=True)
class Story:
    """What happens in which order.

    Of the steps `w` is a change, `s` a look of the shared stream, `r` one of the client, `b` a sign
    of life to it, and `l` means that it leaves and comes back. The shared stream does not let
    through the changes `missed_by_all`, the client's own not those `missed_alone`.
    """

    times: list[int]
    spelling: Callable[[int], str]
    before: int
    start: int
    steps: str
    most: int
    missed_by_all: frozenset[int]
    missed_alone: frozenset[int]
    pauses: frozenset[int]


_SOME = st.frozensets(st.integers(0, 19), max_size=4)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Any story; the client begins anywhere before the place where the shared stream is opened."""
    times = draw(st.lists(st.sampled_from([0, 1, 1, 2]), min_size=1, max_size=20))
    spelling = draw(st.sampled_from([mongodb, embedded]))
    before = draw(st.integers(0, len(times)))
    missed = draw(_SOME)
    return Story(
        times,
        spelling,
        before,
        draw(st.integers(0, before)),
        draw(st.text("wsrbl", max_size=60)),
        draw(st.integers(1, 6)),
        missed,
        # Of one transaction the two let through the same, or there is no saying what is what.
        missed if 0 in times else draw(_SOME),
        # Only MongoDB waits in vain before it has looked at everything.
        draw(_SOME) if spelling is mongodb else frozenset(),
    )


class Stage:
    """A story as it is played: the world, the shared stream, and one client."""

    def __init__(self, story: Story, behind: MakeBehind) -> None:
        """Begin: so many changes have happened, and the client has a position among them."""
        self._story = story
        self._behind = behind
        self._steps = deque(story.steps)
        self.world = World(story.times, story.spelling)
        for _ in range(story.before):
            self.world.happen()
        self._shared = Look(self.world, story.before, story.missed_by_all)
        self._backlog = Backlog(self._shared.token, story.most, 1_000_000)
        self._followed = Followed(COLLECTION, _nothing, lambda _: None)
        self._last = Position(self.world.token(story.start))
        if story.start:
            last = self.world.changes[story.start - 1]
            self._last = Position(last.token, last.time)
        self._feed: Feed | None = None
        self.told: list[bytes] = []

    def play(self) -> None:
        """All steps; then the rest happens, and everyone reads to the end."""
        acts = {"w": self.world.happen, "s": self._keep, "r": self._read, "l": self._come}
        acts["b"] = self._beat
        while self._steps:
            acts[self._steps.popleft()]()
        self.world.finish()
        for _ in range(10 * len(self._story.times) + 10):
            self._keep()
            self._read()

    def _keep(self) -> None:
        change = self._shared.next()
        if change is None:
            self._backlog.passed(self._shared.token)
        else:
            self._backlog.append(change, {})

    def _meanwhile(self) -> None:
        """Of what happens to others, the next step."""
        if self._steps and self._steps[0] in "ws":
            (self.world.happen if self._steps.popleft() == "w" else self._keep)()

    def _come(self) -> None:
        """Go on after the last position, as the hub lets one do."""
        number = self._backlog.after(self._last.token)
        behind = None
        if number is None:
            behind = self._behind(self._open, self._last, self._backlog.end)
        reader = Reader(SHAPE, lambda _: b"{}", lambda _: None, lambda: None)
        start = Mark(number or 0, self._last)
        self._feed = Feed(self._followed, self._backlog, reader, start, behind)

    def _read(self) -> None:
        """What one look tells."""
        if self._feed is None:
            self._come()
            return
        text = self._feed.take()
        if text is None:
            self._come()  # there was an overflow
        elif not text and self._feed.is_behind:
            text = self._feed.catch_up()
        self._hear(text or b"")

    def _beat(self) -> None:
        """What is said while there is nothing to tell, as a shell does."""
        if self._feed is not None:
            text = self._feed.take()
            self._hear(self._feed.beat() if text == b"" else text or b"")

    def _hear(self, text: bytes) -> None:
        for token, name in _EVENT.findall(text):
            self._last = read_id(COLLECTION, token.decode())
            if name == b"insert":
                self.told.append(self._last.token)

    def _open(self, token: bytes) -> Stream:
        story, at = self._story, self.world.passed(token)
        missed, pauses = story.missed_alone, story.pauses
        return Look(self.world, at, missed, pauses, self._meanwhile)  # type: ignore[return-value]


def _nothing(_after: bytes | None) -> Stream:
    raise NotImplementedError


def is_right(story: Story, behind: MakeBehind = Behind) -> bool:
    """Whether all is told once, in order: all but what one of the streams has not let through."""
    stage = Stage(story, behind)
    stage.play()
    there = [change.token for change in stage.world.changes[story.start :]]
    missed = story.missed_by_all | story.missed_alone
    due = {each for at, each in enumerate(there, story.start) if at not in missed}
    places = [there.index(token) for token in stage.told]
    return places == sorted(set(places)) and due <= set(stage.told)


@given(stories())
@hypothesis.settings(max_examples=500)
def test_everything_is_told_once_in_order(story: Story) -> None:
    """Whatever happens in whatever order, nothing is lost and nothing told twice."""
    assert is_right(story)


class _Forgetful(Behind):
    """Goes over without knowing what it has told."""

    def joins(self, backlog: Backlog) -> int | None:
        """As `Behind`, but with nothing told."""
        self.told = Told(Position(b"", -1))
        return super().joins(backlog)


class _Hasty(Behind):
    """Goes over at the first wait in vain, to wherever the others are."""

    def joins(self, backlog: Backlog) -> int | None:
        """As `Behind`, but at once."""
        return backlog.end.number


@pytest.mark.parametrize("wrong", [_Forgetful, _Hasty])
def test_the_property_can_fail(wrong: type[Behind]) -> None:
    """A way over that ignores what was told, or what the others had, is found out."""
    search = hypothesis.settings(max_examples=5_000, database=None)
    hypothesis.find(stories(), lambda story: not is_right(story, wrong), settings=search)


def test_a_position_is_found_among_what_is_kept() -> None:
    """After the last position that it was told a client goes on, and after no other."""
    world = World([1] * 4, mongodb)
    world.finish()
    backlog = Backlog(world.token(0), 6, 1_000_000)
    for change in world.changes:
        backlog.append(change, {})
    assert [backlog.after(world.token(at)) for at in range(5)] == [0, 1, 2, 3, 4]
    assert backlog.after(b"foreign") is None


def test_the_backlog_is_bounded() -> None:
    """It keeps so many changes and so many bytes, and the newest however large it is."""
    world = World([1] * 30, mongodb)
    world.finish()
    backlog = Backlog(world.token(0), 20, 100_000)
    for change in world.changes:
        backlog.append(change, {})
    assert (backlog.first, backlog.end.number) == (10, 30)
    backlog.append(world.changes[0], {"shape": bytes(1_000_000)})
    assert (backlog.first, backlog.end.number) == (30, 31)


def test_a_position_between_two_changes_is_known() -> None:
    """A place that was only passed, as a comment's `id`, is found again while it is kept."""
    world = World([1, 1], embedded)
    world.finish()
    backlog = Backlog(b"opened", 5, 100_000)
    backlog.passed(b"quiet")
    assert backlog.after(b"quiet") == 0
    backlog.append(world.changes[0], {})
    backlog.passed(b"quiet again")
    backlog.append(world.changes[1], {})
    assert [backlog.after(each) for each in (b"quiet", b"quiet again")] == [0, 1]


def test_positions_compare_as_the_databases_do() -> None:
    """MongoDB's positions are compared; where they do not compare, a wait in vain says enough."""
    low, high = (bson.encode({"_data": each}) for each in ("820000000A", "820000000B"))
    assert has_passed(high, low)
    assert has_passed(low, low)
    assert not has_passed(low, high)
    one, other = (bson.encode({"_data": embedded(each)}) for each in (1, 2))
    assert has_passed(one, other)
    assert has_passed(other, one)
