"""What is kept of what is dear to make: no more than it may weigh, and of that what is wanted."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count

import pytest
from bson import ObjectId

from demijohn.documents.kept import Kept, Living
from demijohn.errors import Overloaded

ONE, OTHER = ObjectId(), ObjectId()


class Thing:
    """Something that can be gone."""


def kept(most: int, *names: str, weight: int = 10) -> Kept[str]:
    """So much room, and these in it; each is its own name."""
    all_ = Kept[str](most)
    for name in names:
        all_.keep(name, ONE, name, weight)
    return all_


def found(all_: Kept[str], names: str) -> str:
    """Those of these names that are there."""
    return "".join(name for name in names if all_.find(name, ONE) is not None)


def test_no_more_is_kept_than_there_is_room_for() -> None:
    """However many come, and whatever each weighs."""
    all_ = Kept[str](100)
    for at in range(1_000):
        weight = at % 37
        all_.keep(f"{at}", ONE, "", weight)
        assert all_.weight <= 100
        assert all_.find(f"{at}", ONE) is not None
    assert found(kept(30, *"abcde"), "abcde") == "cde"


def test_one_alone_may_weigh_more() -> None:
    """Or nothing could be done with it; the next takes its place."""
    all_ = kept(30, "a", "b")
    all_.keep("large", ONE, "large", 1_000)
    assert all_.find("large", ONE) == "large"
    assert found(all_, "ab") == ""
    all_.keep("a", ONE, "a", 10)
    assert all_.find("large", ONE) is None
    assert all_.weight == 10


def test_what_is_wanted_stays() -> None:
    """Those that are asked for again and again outlive any number that come once."""
    all_ = kept(100, "a", "b")
    for at in range(1_000):
        all_.keep(f"{at}", ONE, "", 10)
        if at % 5 == 0:
            assert found(all_, "ab") == "ab", at


def test_of_each_name_there_is_one_version() -> None:
    """That of before is not found, and weighs nothing once there is another."""
    all_ = kept(100, "a")
    assert all_.find("a", OTHER) is None
    all_.keep("a", OTHER, "new", 30)
    assert all_.find("a", ONE) is None
    assert all_.find("a", OTHER) == "new"
    assert all_.weight == 30


def test_finding_needs_no_lock() -> None:
    """While one thread keeps and lets go, the others find the right one or none."""
    all_ = Kept[str](100)
    hits = [threading.Event() for _ in range(3)]
    is_over = False

    def look(hit: threading.Event) -> None:
        while not is_over:
            for at in range(50):
                value = all_.find(f"{at}", ONE)
                assert value in {None, f"{at}"}
                if value is not None:
                    hit.set()

    with ThreadPoolExecutor(3) as pool:
        looking = [pool.submit(look, hit) for hit in hits]
        for at in count():
            all_.keep(f"{at % 50}", ONE, f"{at % 50}", 10)
            if at > 20_000 and (all(each.is_set() for each in hits) or _has_failed(looking)):
                break
        is_over = True
        for each in looking:
            each.result()
    assert all_.weight <= 100


def _has_failed(futures: list[Future[None]]) -> bool:
    return any(each.done() for each in futures)


def test_what_lives_is_weighed_until_it_is_gone() -> None:
    """Kept or not: refused is what there is no room for beside those that somebody has."""
    living, in_use = Living(100, 0), [Thing() for _ in range(10)]
    for each in in_use:
        living.take(each, 10)
    with pytest.raises(Overloaded):
        living.take(Thing(), 1)
    in_use.pop(0)
    in_use.append(thing := Thing())
    living.take(thing, 10)
    with pytest.raises(Overloaded):
        living.take(Thing(), 1)
    in_use.pop(0)
    for _ in range(1_000):
        living.take(Thing(), 10)


def test_one_more_waits_a_moment_for_room() -> None:
    """What others work with is soon gone, and nobody is refused for that."""
    living, in_use = Living(100, 10), [Thing()]
    living.take(in_use[0], 100)
    threading.Timer(0.05, in_use.clear).start()
    living.take(Thing(), 100)
    assert not in_use
