"""The embedded database: first start, next start, and every way in which it can be killed."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.documents import get, post, stored
from tests.support.processes import freeze, is_alive, wait_until
from tests.support.service import Service, serving

WRITERS = 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that is not there yet."""
    return tmp_path / "data"


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as a service has left it that was killed; Ada is in it."""
    data = tmp_path_factory.mktemp("killed") / "data"
    with serving(data.parent, {"DEMIJOHN_WORKERS": "1", **within(data)}) as service:
        assert post(service.url, {"name": "Ada"}).status == 201
    return data


@pytest.fixture
def used(_killed: Path, data: Path) -> Path:
    """A copy of it, for one test."""
    shutil.copytree(_killed, data)
    return data


def within(data: Path) -> dict[str, str]:
    """Settings for a service with its embedded database in `data`."""
    return {"DEMIJOHN_DATA_DIR": str(data)}


def is_writing(service: Service) -> bool:
    """Whether a document can be written."""
    return post(service.url, {"probe": True}).status == 201


def test_from_nothing(own_service: Starter, data: Path) -> None:
    """One command with nothing installed or set up keeps documents, over a stop and a start."""
    service = own_service(within(data))
    assert post(service.url, {"name": "Ada"}).status == 201
    assert stored(service.url) == [{"name": "Ada"}]
    assert service.stop() == Exit.OK
    assert service.everything() == []
    again = own_service(within(data))
    assert stored(again.url) == [{"name": "Ada"}]
    assert again.stop() == Exit.OK


def test_log_says_what_it_is(own_service: Starter, data: Path) -> None:
    """The log says that the database is a beta, where it lies, and how to use another."""
    service = own_service(within(data))
    (said,) = service.events("embedded database")
    assert said["data_dir"] == str(data)
    assert "MONGODB_URI" in str(said["note"])
    assert "beta" in str(said["note"])


def test_secrets_stay_secret(own_service: Starter, data: Path) -> None:
    """The password is in a file that its owner alone can read, on no command line, in no log."""
    service = own_service(within(data))
    assert is_writing(service)
    password = (data / "password").read_text(encoding="utf-8")
    assert len(password) == 48
    assert (data / "password").stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    words = [word for each in service.everything() for word in each.cmdline()]
    assert words
    assert not [word for word in words if password in word]
    service.stop()
    assert password not in service.log()
    assert password not in (data / "database.log").read_text(encoding="utf-8")


def write_until_cut(service: Service, first: int, acknowledged: list[int]) -> None:
    """Write documents `n` = first, first + WRITERS, … until the connection fails; note the 201s."""
    number = first
    try:
        while post(service.url, {"n": number}).status == 201:
            acknowledged.append(number)
            number += WRITERS
    except (OSError, http.client.HTTPException):
        return


def kill_while_writing(service: Service, least: int) -> list[int]:
    """SIGKILL to everything while documents are written; the numbers acknowledged before."""
    acknowledged: list[int] = []
    threads = [
        threading.Thread(target=write_until_cut, args=(service, first, acknowledged))
        for first in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(acknowledged) >= least, f"{least} documents are written")
    service.kill()
    for thread in threads:
        thread.join()
    return acknowledged


def lost_or_double(url: str, acknowledged: list[int]) -> tuple[set[int], set[int]]:
    """The acknowledged numbers that are not there, and the numbers that are there twice."""
    found = Counter(int(str(each["n"])) for each in stored(url) if "n" in each)
    return set(acknowledged) - set(found), {number for number, times in found.items() if times > 1}


def test_nothing_acknowledged_is_lost(own_service: Starter, data: Path) -> None:
    """After SIGKILL to everything in mid-write, each acknowledged document is there, once."""
    service = own_service(within(data))
    acknowledged = kill_while_writing(service, least=random.randint(50, 200))
    again = own_service(within(data))
    assert lost_or_double(again.url, acknowledged) == (set(), set())


def test_the_check_for_losses_can_fail(own_service: Starter, used: Path, tmp_path: Path) -> None:
    """The control to the test above: with an older copy of the files it does find losses."""
    shutil.copytree(used / "database", tmp_path / "older")
    acknowledged = kill_while_writing(own_service(within(used)), least=20)
    shutil.rmtree(used / "database")
    (tmp_path / "older").rename(used / "database")
    again = own_service(within(used))
    assert lost_or_double(again.url, acknowledged) == (set(acknowledged), set())


def test_launcher_killed(own_service: Starter, data: Path) -> None:
    """When the launcher alone is killed, workers and database end, and the next start works."""
    service = own_service(within(data))
    assert post(service.url, {"name": "Ada"}).status == 201
    rest = [*service.workers(), service.database_pid() or 0]
    assert all(map(is_alive, rest))
    os.kill(service.process.pid, signal.SIGKILL)
    # At once: the next start ends the old database if it is still about to end.
    again = own_service(within(data))
    wait_until(lambda: not any(map(is_alive, rest)), "they have ended")
    assert stored(again.url) == [{"name": "Ada"}]


def kill_database(service: Service) -> None:
    """SIGKILL to the database, once there is one."""
    has_database(service)
    pid = service.database_pid()
    assert pid  # or all of this test's own processes would be killed
    os.kill(pid, signal.SIGKILL)


def has_database(service: Service) -> None:
    """Wait until its database has been started."""
    wait_until(lambda: service.database_pid() is not None, "a database process")


def test_database_killed(own_service: Starter, data: Path) -> None:
    """A killed database gives 503 with Retry-After until it is back, by itself, with its data."""
    service = own_service(within(data))
    assert post(service.url, {"name": "Ada"}).status == 201
    kill_database(service)
    answer = post(service.url, {"name": "Bob"})
    assert answer.status in (201, 503)
    assert answer.status == 201 or int(answer.headers["retry-after"]) > 0
    wait_until(lambda: is_writing(service), "the database is back")
    assert {"name": "Ada"} in stored(service.url)
    assert service.events("database died")
    assert service.stop() == Exit.OK


def test_database_killed_again_and_again(own_service: Starter, data: Path) -> None:
    """It comes back after every death, and never is there anything but 201 and 503."""
    service = own_service(within(data))
    seen = set()
    for _ in range(2):
        kill_database(service)
        for _ in range(3):
            seen.add(post(service.url, {"probe": True}).status)
        wait_until(lambda: is_writing(service), "the database is back")
    assert seen <= {201, 503}


def test_directory_in_use(own_service: Starter, data: Path) -> None:
    """A second service on the same directory does not start, and names the first one's process."""
    service = own_service(within(data))
    second = own_service(within(data), wait=False)
    assert second.wait() == Exit.DATA_DIR
    assert f"process {service.process.pid}" in second.log()
    assert is_writing(service)


def test_stale_files_are_no_bar(own_service: Starter, used: Path) -> None:
    """A lock and a process id left by a crash stop nothing, and no stranger is ended for them."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (used / "lock").write_text(str(stranger.pid), encoding="utf-8")
        (used / "database.pid").write_text(str(stranger.pid), encoding="utf-8")
        assert is_writing(own_service(within(used)))
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("place", ["data", "parent", "database", "lock"])
def test_file_in_the_way(own_service: Starter, tmp_path: Path, place: str) -> None:
    """Where a directory cannot be made or a file not written, the message says which and why."""
    data = tmp_path / "parent" / "data"
    wrong = {"data": data, "parent": data.parent, "database": data / "database"}.get(place)
    if wrong is None:
        (data / "lock").mkdir(parents=True)
    else:
        wrong.parent.mkdir(parents=True, exist_ok=True)
        wrong.write_text("in the way", encoding="utf-8")
    service = own_service(within(data), wait=False)
    assert service.wait() == Exit.DATA_DIR
    assert str(wrong or data / "lock") in service.log()
    assert "Traceback" not in service.log()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for nothing much."""
    place = tmp_path / "small"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(options, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(own_service: Starter, small_disk: Path) -> None:
    """Without room for the database the start says so."""
    service = own_service(within(small_disk / "data"), wait=False)
    assert service.wait() == Exit.DATA_DIR
    assert "No space left" in service.log()


def test_first_start_killed_anywhere(own_service: Starter, data: Path) -> None:
    """A first start that is killed at any instant is made good by the next one."""
    for delay in (0.6, 1.1, 1.6, 2.1):
        service = own_service(within(data), wait=False)
        with pytest.raises(subprocess.TimeoutExpired):
            service.process.wait(timeout=delay + random.uniform(0, 0.5))
        service.kill()
        again = own_service(within(data))
        assert is_writing(again), f"killed after {delay} s"
        again.kill()
        data = data.with_name(f"after-{delay}")


def killed_half_made(own_service: Starter, data: Path) -> Path:
    """The directory of a first start that was killed while it made the database.

    Where this process stood still meanwhile it was too late, and another is begun.
    """
    for number in range(10):
        data = data.with_name(f"half-made-{number}")
        service = own_service(within(data), wait=False)
        wait_until((data / "making").exists, "its first note")
        has_database(service)
        freeze(service.process.pid)  # it notes nothing any more; the database goes on
        if is_half_made := (data / "making").exists():
            wait_until((data / "database" / "WiredTiger").exists, "its first files")
        service.kill()
        if is_half_made:
            return data
    raise AssertionError("it was always too late")


def test_files_that_a_killed_first_start_left_half_made(own_service: Starter, data: Path) -> None:
    """A database that would never start again is made anew: nobody's documents were in it."""
    data = killed_half_made(own_service, data)
    (data / "database" / "WiredTiger.turtle").write_bytes(b"half")
    (data / "database" / "WiredTiger.wt").write_bytes(b"half")

    again = own_service(within(data))
    assert is_writing(again)
    assert not (data / "making").exists()


@pytest.mark.parametrize("left", ["ready", "password"])
def test_a_used_database_is_never_made_anew(own_service: Starter, used: Path, left: str) -> None:
    """Whatever note is lost or left behind, documents stay."""
    (used / "making").touch()  # of a start that was killed between its last two notes
    own_service(within(used)).kill()
    (used / left).unlink()

    again = own_service(within(used))
    assert stored(again.url) == [{"name": "Ada"}]


@pytest.mark.parametrize(
    "lost", [["password"], ["ready", "lock", "secantusd.toml", "database.pid", "database.log"]]
)
def test_lost_files(own_service: Starter, used: Path, lost: list[str]) -> None:
    """Every file beside the documents can get lost: the next start makes a new one."""
    for name in lost:
        (used / name).unlink()
    again = own_service(within(used))
    assert stored(again.url) == [{"name": "Ada"}]


def test_lost_database(own_service: Starter, used: Path) -> None:
    """With the documents removed by hand, the service begins anew."""
    shutil.rmtree(used / "database")
    assert is_writing(own_service(within(used)))


def test_damaged_database(own_service: Starter, used: Path) -> None:
    """A database that does not start ends the command, with what the database itself says."""
    (used / "database" / "WiredTiger.turtle").write_bytes(os.urandom(2000))
    (used / "database" / "WiredTiger.wt").write_bytes(os.urandom(2000))
    service = own_service(within(used), wait=False)
    assert service.wait() == Exit.DATABASE
    assert str(used / "database.log") in service.log()
    assert "WiredTiger" in service.log()
    assert service.everything() == []


def test_no_other_configuration_is_read(own_service: Starter, data: Path, tmp_path: Path) -> None:
    """A configuration of another SecantusDB, in the working directory, has no effect."""
    (tmp_path / "secantusd.toml").write_text("this is no TOML [", encoding="utf-8")
    assert is_writing(own_service(within(data)))


def test_readiness_and_health(own_service: Starter, data: Path) -> None:
    """Once the service says that it listens, it becomes ready."""
    service = own_service(within(data))
    assert get(f"{service.url}/livez").status == 200
    wait_until(lambda: get(f"{service.url}/readyz").status == 200, "it is ready")


def test_database_not_installed(data: Path, tmp_path: Path) -> None:
    """Where the extra is not installed, the message says how to install it or do without."""
    python = _without_database(tmp_path / "venv")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [python, "-m", "demijohn", "serve", "--port", "0", "--data-dir", str(data)],
        cwd=root,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == Exit.DATABASE, done.stderr
    assert "demijohn[embedded]" in done.stderr
    assert "MONGODB_URI" in done.stderr


def _without_database(place: Path) -> Path:
    """A virtual environment with all that this one has, but for the database."""
    venv.create(place)
    here = next(Path(each) for each in sys.path if each.endswith("site-packages"))
    there = next(place.glob("lib/*/site-packages"))
    for entry in here.iterdir():
        if not entry.name.lower().startswith("secantus") and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    return place / "bin" / "python"
