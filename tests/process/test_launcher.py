"""`demijohn serve` as a process: its start, its signals, its workers, its exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from demijohn.exits import Exit
from demijohn.launcher.workers import SERVING
from tests.conftest import Starter
from tests.support.database import Database, free_port
from tests.support.documents import get, post, stored
from tests.support.processes import freeze, is_alive, wait_until
from tests.support.service import ROOT, Service, clean_environ
from tests.support.terminal import Terminal


def on(database: Database, **settings: str) -> dict[str, str]:
    """Settings for a service on the database, in a MongoDB database of its own."""
    name = f"t{os.urandom(6).hex()}"
    return {"MONGODB_URI": database.uri, "DEMIJOHN_DATABASE": name, **settings}


def is_up(service: Service) -> bool:
    """Whether the service answers."""
    try:
        return get(f"{service.url}/livez").status == 200
    except OSError:
        return False


def test_serves_and_stops(database: Database, own_service: Starter) -> None:
    """One command serves; SIGTERM ends it with exit code 0 and leaves no process."""
    service = own_service(on(database, DEMIJOHN_WORKERS="2"))
    assert post(service.url, {"a": 1}).status == 201
    assert stored(service.url) == [{"a": 1}]
    assert len(service.workers()) == 2
    everything = service.everything()
    assert service.stop() == Exit.OK
    assert [each for each in everything if is_alive(each.pid)] == []


def test_leaves_no_temporary_files(
    database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """The directory for the workers' metrics is there while the service runs, and not after."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    service = own_service(on(database, TMPDIR=str(temporary)))
    assert len(list(temporary.iterdir())) == 1
    service.stop()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ends_when_the_terminal_says_so(
    database: Database, own_service: Starter, number: signal.Signals
) -> None:
    """Ctrl-C, a closed terminal and SIGTERM to the whole process group end it cleanly."""
    service = own_service(on(database))
    os.killpg(service.process.pid, number)
    assert service.wait() == Exit.OK
    assert service.events("stopped")


@pytest.mark.parametrize("delay", [0.1, 0.7, 1.3])
def test_stop_while_starting(own_service: Starter, tmp_path: Path, delay: float) -> None:
    """A stop that comes before the service is up ends it soon, and leaves no process."""
    service = own_service({"DEMIJOHN_DATA_DIR": str(tmp_path / "data")}, wait=False)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(timeout=delay)
    service.process.terminate()
    # Before Python has set its handlers, the signal itself ends it.
    assert service.wait() in (Exit.OK, -signal.SIGTERM)
    wait_until(lambda: not service.everything(), "all processes end")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, Exit.OK)]
)
def test_worker_that_ends_is_replaced(
    database: Database, own_service: Starter, number: signal.Signals, code: int
) -> None:
    """A worker that is killed, or told to stop, is replaced, and the service answers again."""
    service = own_service(on(database))
    (old,) = service.workers()
    os.kill(old, number)
    wait_until(lambda: service.workers() not in ([], [old]), "a new worker")
    wait_until(lambda: is_up(service), "the new worker serves")
    assert post(service.url, {"a": 1}).status == 201
    assert [each["code"] for each in service.events("worker died")] == [code]
    assert service.stop() == Exit.OK


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_other_workers_go_on(
    database: Database, own_service: Starter, number: signal.Signals
) -> None:
    """While one of two workers is away, killed or told to stop, the other goes on serving."""
    service = own_service(on(database, DEMIJOHN_WORKERS="2"))
    wait_until(lambda: len(service.workers()) == 2, "both workers")
    first, second = service.workers()
    os.kill(first, number)
    wait_until(lambda: not is_alive(first), "it has ended")
    assert is_up(service)
    wait_until(lambda: len(service.workers()) == 2, "two workers again")
    assert second in service.workers()


def test_workers_do_not_outlive_the_launcher(database: Database, own_service: Starter) -> None:
    """When the launcher is killed, its workers end by themselves and the port is free."""
    port = str(free_port())  # one that the system gives to nobody in between
    service = own_service(on(database, DEMIJOHN_WORKERS="2"), "--port", port)
    workers = service.workers()
    os.kill(service.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, workers)), "the workers end")
    again = own_service(on(database), "--port", port)
    assert str(again.port) == port
    assert is_up(again)


def test_a_worker_ends_whose_launcher_never_read_its_word(database: Database) -> None:
    """A launcher that is killed with a word of its worker unread resets their connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listener:
        worker = subprocess.Popen(
            [
                *(sys.executable, "-m", "demijohn.launcher.worker"),
                *("--listen-fd", str(listener.fileno()), "--launcher-fd", str(theirs.fileno())),
            ],
            cwd=ROOT,
            env=clean_environ(on(database)),
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno(), theirs.fileno()],
        )
        theirs.close()
        assert ours.recv(1, socket.MSG_PEEK) == SERVING
        ours.close()
        try:
            assert worker.wait(30) == Exit.FAILED
        finally:
            worker.kill()


def test_worker_that_does_not_end_is_killed(database: Database, own_service: Starter) -> None:
    """A worker that hangs is killed after its deadline; the exit code says that work was cut."""
    service = own_service(on(database, DEMIJOHN_DRAIN_TIMEOUT="0.1"))
    (worker,) = service.workers()
    freeze(worker)
    assert service.stop() == Exit.CUT_SHORT
    assert not is_alive(worker)


def test_port_in_use(database: Database, own_service: Starter) -> None:
    """A port that is taken is named, with the option for another; nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        service = own_service(on(database), "--port", port, wait=False)
        assert service.wait() == Exit.ADDRESS
    assert port in service.log()
    assert "--port" in service.log()
    assert service.everything() == []


def test_management_port_in_use(database: Database, own_service: Starter) -> None:
    """The message names the option of the port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        service = own_service(on(database, DEMIJOHN_MANAGEMENT_PORT=port), wait=False)
        assert service.wait() == Exit.ADDRESS
    assert "--management-port" in service.log()


def test_port_zero_is_told(database: Database, own_service: Starter) -> None:
    """With port 0 the log says the real ports, and they answer."""
    service = own_service(on(database), "--management-port", "0")
    assert service.port != 0
    assert is_up(service)
    assert get(f"{service.management_url}/metrics").status == 200


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DEMIJOHN_PROT", "5000", "DEMIJOHN_PORT"),
        ("DEMIJOHN_THREADS", "many", "DEMIJOHN_THREADS"),
        ("DEMIJOHN_MAX_BODY", "17MiB", "DEMIJOHN_MAX_BODY"),
        ("DEMIJOHN_AUTH", "secret", "DEMIJOHN_AUTH"),
    ],
)
def test_settings_that_are_wrong(own_service: Starter, name: str, value: str, words: str) -> None:
    """A misspelt or unusable setting stops the start; the message names the right one."""
    service = own_service({name: value}, wait=False)
    assert service.wait() == Exit.USAGE
    assert words in service.log()
    assert "Traceback" not in service.log()


def test_uri_that_asks_for_less(own_service: Starter) -> None:
    """A URI that asks for a weaker write concern stops the start with the reason."""
    uri = "mongodb://127.0.0.1:9/?w=0"
    service = own_service({"MONGODB_URI": uri, "DEMIJOHN_WORKERS": "2"}, wait=False)
    assert service.wait() == Exit.USAGE
    assert "MONGODB_URI" in service.log()
    assert "Traceback" not in service.log()
    assert service.everything() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_reachable_by_others_without_auth(own_service: Starter, host: str) -> None:
    """Listening for other machines with no word on access does not start; it says what to set."""
    service = own_service({}, "--host", host, wait=False)
    assert service.wait() == Exit.USAGE
    assert "DEMIJOHN_AUTH=open" in service.log()


def test_open_to_others(database: Database, own_service: Starter) -> None:
    """With `DEMIJOHN_AUTH=open` it listens for other machines, and the log says that it is open."""
    service = own_service(on(database, DEMIJOHN_AUTH="open"), "--host", "0.0.0.0")
    assert get(f"http://127.0.0.1:{service.port}/livez").status == 200
    assert [each["auth"] for each in service.events("listening")] == ["open"]


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_address_of_another_machine(own_service: Starter, host: str) -> None:
    """An address that this machine does not have is named."""
    service = own_service({"DEMIJOHN_AUTH": "open"}, "--host", host, wait=False)
    assert service.wait() == Exit.ADDRESS
    assert host in service.log()


def test_password_of_the_uri_is_not_told(own_service: Starter) -> None:
    """The log names the database's host, never the user's password; a dead database is no bar."""
    host = f"127.0.0.1:{free_port()}"
    service = own_service({"MONGODB_URI": f"mongodb://ada:lovelace@{host}/?authSource=admin"})
    assert post(service.url, {"a": 1}).status == 503
    assert [each["database"] for each in service.events("listening")] == [host]
    assert "lovelace" not in service.log()
    words = [word for each in service.everything() for word in each.cmdline()]
    assert not [word for word in words if "lovelace" in word]


def test_ctrl_c_reaches_the_launcher_alone(database: Database, own_service: Starter) -> None:
    """No child is in the launcher's process group, so that Ctrl-C cannot end one in mid-request."""
    service = own_service(on(database))
    children = psutil.Process(service.process.pid).children(recursive=True)
    assert children
    assert service.process.pid not in {os.getpgid(each.pid) for each in children}


def test_launcher_is_light() -> None:
    """The launcher, which lives as long as the service, loads no web server and no driver."""
    heavy = {"flask", "werkzeug", "pymongo", "bson", "uvicorn", "uvloop", "prometheus_client"}
    code = "import demijohn.launcher.serve, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environ({}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy & set(done.stdout.split()) == set()


def test_banner_for_a_person(database: Database, tmp_path: Path) -> None:
    """On a terminal a few readable lines say where it is, how to try it and how to stop it."""
    terminal = Terminal(
        f"{sys.executable} -m demijohn serve --port 0",
        cwd=tmp_path,
        environ=clean_environ(on(database, DEMIJOHN_WORKERS="1")),
    )
    try:
        wait_until(lambda: "Ctrl-C" in terminal.output, "the banner")
        terminal.type("\x03")
        code, output = terminal.finish(60)
    finally:
        terminal.kill()
    assert code == Exit.OK
    assert "demijohn listens on http://127.0.0.1:" in output
    assert f"127.0.0.1:{database.port}" in output
    assert "curl http://127.0.0.1:" in output
    assert '"event"' not in output


def test_what_a_killed_launcher_left_in_tmp_is_removed(
    database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """SIGKILL leaves a directory of metrics; the next start removes it, and no other's."""
    settings = {"MONGODB_URI": database.uri, "TMPDIR": str(tmp_path)}
    killed = own_service(settings)
    killed.kill()
    (left,) = tmp_path.glob("demijohn-metrics-*")
    running = own_service(settings)
    assert not left.exists()
    (its_own,) = tmp_path.glob("demijohn-metrics-*")
    other = own_service(settings)
    assert its_own.exists()
    assert running.stop() == other.stop() == Exit.OK
    assert not list(tmp_path.glob("demijohn-metrics-*"))
