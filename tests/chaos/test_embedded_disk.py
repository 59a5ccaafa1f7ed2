"""The embedded database on a disk that is full for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demijohn.exits import Exit
from demijohn.launcher.embedded import uri_beside
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.chaos import disk
from tests.support.chaos.disk import SmallDisk
from tests.support.processes import wait_until

FULL_FOR = 1.5
"""Seconds: long enough for it to be started anew in vain."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk, mounted on `small` below the test's directory."""
    found = SmallDisk(tmp_path / "small")
    try:
        found.mount()
        yield found
    finally:
        found.unmount()


def test_it_comes_back_when_there_is_room(
    small: SmallDisk, own_service: Starter, tmp_path: Path
) -> None:
    """503 while the disk is full; then it serves again by itself, and nothing is missing."""
    data = tmp_path / "small" / "data"
    service = own_service({"DEMIJOHN_DATA_DIR": str(data)})
    api = Api(service.url)
    uri = uri_beside(data)
    assert uri is not None
    disk.lay_in(uri)
    acknowledged = [n for n in range(20) if api.insert({"n": n}).status == 201]
    small.fill()
    disk.use_up(uri)
    refused: list[tuple[int, str]] = []
    until = time.monotonic() + FULL_FOR
    while time.monotonic() < until or not refused:
        answer = api.insert({"n": "full"})
        refused.append((answer.status, answer.problem()))
    assert (503, "database-unavailable") in refused
    assert {status for status, _ in refused} == {503}
    small.free()
    wait_until(lambda: api.insert({"n": "after"}).status == 201, "it is back")
    there = [each["n"] for each in api.get("/data").json()]
    assert [n for n in there if isinstance(n, int)] == acknowledged == list(range(20))
    assert "after" in there
    assert service.stop() == Exit.OK
