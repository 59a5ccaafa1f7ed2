"""What the tests of this folder share: a run in a storm, printed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.chaos.account import Account
from tests.support.chaos.driver import Size, account
from tests.support.chaos.storm import Storm

Weather = Callable[[Size, Mapping[str, str]], Account]


@pytest.fixture(scope="session")
def seed() -> int:
    """Of what is sent and harmed. The instants are the scheduler's own."""
    return int(os.environ.get("CHAOS_SEED") or random.randrange(2**32))


@pytest.fixture
def weather(tmp_path: Path, seed: int) -> Iterator[Weather]:
    """Plays a run on a service with these settings; what came of it, printed."""
    with ExitStack() as stack:

        def play(size: Size, settings: Mapping[str, str]) -> Account:
            stage = Storm(tmp_path, settings, seed)
            stack.callback(stage.close)
            stage.start()
            found = account(stage, size, seed)
            print(f"\nseed {seed}\n{found.table()}")
            print("answers that acknowledge nothing:", dict(found.report.codes.most_common()))
            for kind, findings in found.report.faults().items():
                print(f"{len(findings)} {kind}:", *findings[:3], sep="\n  ")
            return found

        yield play
