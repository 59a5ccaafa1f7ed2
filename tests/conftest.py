"""Fixtures: a real database server, and the real command on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

from tests.support.database import Database
from tests.support.service import Service, running, serving
from tests.support.standalone import Standalone

Starter = Callable[..., Service]
# How long an example takes says nothing on a busy machine; and a run without `SCALE` tries what the
# last one has tried, as the fuzzers do, so that it says the same of the same code.
hypothesis.settings.register_profile(
    "no-deadline", deadline=None, derandomize="SCALE" not in os.environ
)
hypothesis.settings.load_profile("no-deadline")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the services that run at this time have said, and are at."""
    report = yield
    if report.failed and call.when == "call":
        for each in running():
            report.sections.append((f"service of {item.name}", each.last_words()))
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """No setting of whoever runs the tests gets into them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("DEMIJOHN_", "MONGODB_URI", "PROMETHEUS_MULTIPROC_DIR")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _signals_as_anywhere() -> Iterator[None]:
    """Below nohup a hangup is ignored, in a background job Ctrl-C, and by every child too."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, hangup)
    signal.signal(signal.SIGINT, interrupt)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database for all tests; a test that stops or pauses one takes `own_database`."""
    yield from _run(Database(tmp_path_factory.mktemp("database")))


@pytest.fixture
def own_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database for one test, which may do to it what it likes."""
    yield from _run(Database(tmp_path_factory.mktemp("own-database")))


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database without transactions and change streams, for all tests."""
    yield from _run(Standalone(tmp_path_factory.mktemp("standalone")))


def _run(database: Database) -> Iterator[Database]:
    try:
        yield database.start()
    finally:
        database.stop()


@pytest.fixture(scope="session")
def service(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service with one worker on `database`, for all tests."""
    settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "1"}
    with serving(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Starter]:
    """Start services for one test: `own_service({"DEMIJOHN_…": …}, "--option", …)`.

    One worker unless the settings say otherwise; started, unless `wait=False`.
    """
    begun: list[Service] = []

    def start(settings: dict[str, str], *arguments: str, wait: bool = True) -> Service:
        service = _begin(tmp_path, settings, arguments)
        begun.append(service)
        return service.started() if wait else service

    yield start
    for service in begun:
        service.kill()


def _begin(directory: Path, settings: dict[str, str], arguments: Sequence[str]) -> Service:
    return Service(directory, {"DEMIJOHN_WORKERS": "1", **settings}, arguments)
