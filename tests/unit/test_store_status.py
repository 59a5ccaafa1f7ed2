"""When a request waits for a lost database, and when it fails at once."""

from __future__ import annotations

from demijohn.store.status import GRACE, Status


class World:
    """A database that comes and goes, and a clock that is set by hand."""

    def __init__(self) -> None:
        """Begin without a database."""
        self.there = False
        self.now = 100.0
        self.status = Status(lambda: self.there, lambda: self.now)


def test_requests_wait_for_the_grace_and_then_fail_at_once() -> None:
    """The clock starts with the first request that misses the database, not before."""
    world = World()
    world.now += 1000
    assert not world.status.is_lost()
    world.now += GRACE
    assert not world.status.is_lost()
    world.now += 0.1
    assert world.status.is_lost()


def test_a_database_that_is_back_is_used_at_once() -> None:
    """And a second loss gets a grace of its own."""
    world = World()
    world.status.is_lost()
    world.now += GRACE + 1
    assert world.status.is_lost()
    world.there = True
    assert not world.status.is_lost()
    world.there = False
    assert not world.status.is_lost()


def test_up_needs_an_answer() -> None:
    """A server that is there but has answered nothing yet is not up; reached stays reached."""
    world = World()
    world.there = True
    seen = [world.status.up]
    world.status.answered()
    seen.append(world.status.up)
    world.there = False
    seen.append(world.status.up)
    assert seen == [False, True, False]
    assert world.status.reached


def test_a_loss_that_nobody_noticed_the_end_of() -> None:
    """Whoever looks at the database meanwhile ends the first loss; the next has its own grace."""
    world = World()
    world.status.is_lost()
    world.there = True
    world.now += 3600
    assert not world.status.up
    world.there = False
    assert not world.status.is_lost()
