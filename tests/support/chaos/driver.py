"""One run: clients send, a killer kills, and at the end the checker judges what is stored."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.chaos.account import Account
from tests.support.chaos.checker import Report, check
from tests.support.chaos.clients import PATIENCE, WEIGHTS, Client, Ways
from tests.support.chaos.history import Effect, History
from tests.support.chaos.notebook import Notebook
from tests.support.chaos.stage import Stage

PROGRESS = 12
"""Attempts that are decided between one kill and the next: each is to meet clients at work."""
ENOUGH = 10.0
"""Seconds to wait for them. Longer would be to no purpose: a transaction that a killed worker has
left open holds its documents for a minute, or until the database is killed too."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is sent and killed."""

    kills: Sequence[str]
    """What is killed, or harmed in another of the stage's ways, in this order."""
    keyed: int = 7
    """Clients with keys."""
    unkeyed: int = 2
    pause: float = 0.5
    """Seconds between two kills, at most."""
    weights: Mapping[Effect, int] = field(default_factory=lambda: WEIGHTS)
    matching: float = 0.25
    """The share of If-Match where it can be."""
    least: int = 0
    """Writes in flight without which nothing is killed or harmed."""


def run(stage: Stage, size: Size, seed: int) -> Report:
    """Play a run to its end, and judge it. Raises what a client met that it could not note down."""
    return account(stage, size, seed).report


def account(stage: Stage, size: Size, seed: int) -> Account:
    """The same, with all that was sent and heard."""
    history = _play(stage, size, seed)
    return Account(history, check(history, stage.documents()))


def _play(stage: Stage, size: Size, seed: int) -> History:
    notebook = Notebook(size.keyed + size.unkeyed)
    chooser = random.Random(seed)
    clients = [
        Client(
            f"c{number}",
            stage,
            notebook,
            Ways(chooser.getrandbits(32), size.weights, size.matching),
            keyed=number < size.keyed,
        )
        for number in range(size.keyed + size.unkeyed)
    ]
    for client in clients:
        client.start()
    try:
        _kill_all(stage, notebook, size, chooser)
        _wait_for_progress(notebook)
    finally:
        _end(clients)
    return History(notebook.entries(), tuple(notebook.blows), tuple(notebook.sightings))


def _kill_all(stage: Stage, notebook: Notebook, size: Size, chooser: random.Random) -> None:
    for what in size.kills:
        notebook.begin()
        _wait_for_progress(notebook)
        time.sleep(chooser.uniform(0, size.pause))
        stage.kill(what, lambda struck: notebook.strike(struck, size.least))


def _wait_for_progress(notebook: Notebook) -> None:
    goal = notebook.decided + PROGRESS
    deadline = time.monotonic() + ENOUGH
    while notebook.decided < goal and time.monotonic() < deadline:
        time.sleep(0.02)


def _end(clients: Sequence[Client]) -> None:
    """Have all finish what they began, so that every key is answered."""
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(2 * PATIENCE)
    for client in clients:
        if client.failure is not None:
            raise client.failure
        if client.is_alive():
            raise TimeoutError(f"{client.name} hangs")
