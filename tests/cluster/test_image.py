"""The image in a real Docker engine: its user, what is in it, how it starts, serves and stops."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from demijohn import __version__
from demijohn.exits import Exit
from demijohn.launcher.cpu import usable_cores
from tests.support.containers import IMAGE, SAFE, Ended, docker, inspect, run, run_python, service
from tests.support.database import Database, free_port
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _engine() -> None:
    assert shutil.which("docker"), "docker is needed: `make test-cluster` brings its own"
    assert inspect(IMAGE), f"{IMAGE} is not there: `make cluster` builds it"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database beside the containers."""
    database = Database(tmp_path_factory.mktemp("database")).start()
    yield database
    database.stop()


@pytest.fixture
def settings(database: Database) -> dict[str, str]:
    """What a container needs to be told, with no delay when it stops."""
    return {
        "MONGODB_URI": database.uri,
        "DEMIJOHN_AUTH": "open",
        "DEMIJOHN_DRAIN_DELAY": "0",
    }


def test_the_entry_point_is_the_service_itself() -> None:
    """Exec form: no shell stands between a signal and the service; a command can be given."""
    config = inspect(IMAGE)["Config"]

    assert (config["Entrypoint"], config["Cmd"]) == (["demijohn"], ["serve"])
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__


def test_any_command_can_be_run() -> None:
    """`docker run IMAGE --version` prints this version."""
    assert run("--version").out.strip() == f"demijohn {__version__}"


def test_its_user_is_a_number_and_owns_nothing() -> None:
    """10001, so that Kubernetes can tell that it is not root; its own code is not its to change."""
    found = run_python(
        "import os, json\n"
        "mine = [path for path, _, names in os.walk('/opt/demijohn') for each in ('', *names)\n"
        "        if os.access(os.path.join(path, each), os.W_OK)]\n"
        "hidden = [path for path, _, names in os.walk('/opt/demijohn') for each in ('', *names)\n"
        "          if not os.access(os.path.join(path, each), os.R_OK)]\n"
        "print(json.dumps([os.getuid(), os.getgid(), mine, hidden]))"
    )

    assert inspect(IMAGE)["Config"]["User"] == "10001:10001"
    assert json.loads(found) == [10001, 10001, [], []]


def test_it_holds_the_pinned_requirements_and_nothing_else() -> None:
    """Version by version those of requirements.txt: no test tools, no embedded database, no pip."""
    installed = run_python(
        "import importlib.metadata as m, json\n"
        "print(json.dumps([f'{d.name}=={d.version}' for d in m.distributions(\n"
        "    path=[p for p in __import__('sys').path if p.startswith('/opt/demijohn')])]))"
    )
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line.rstrip("\\ ")) for line in lines if re.match(r"[a-z]", line)]
    # Windows' own are in the file, too; the image is for Linux.
    wanted = {f"{each.name}{each.specifier}" for each in pins if _is_for_linux(each)}

    assert {_canonical(each) for each in json.loads(installed)} == wanted


def _is_for_linux(pin: Requirement) -> bool:
    return pin.marker is None or pin.marker.evaluate({"sys_platform": "linux"})


def _canonical(pin: str) -> str:
    name, _, version = pin.partition("==")
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def test_no_tool_to_build_or_install_is_left() -> None:
    """No pip for either Python, no setuptools, no compiler, no package manager of the base's."""
    left = run_python(
        "import glob, importlib.util as u, shutil, json, subprocess, sys\n"
        "names = [n for n in ('pip', 'setuptools', 'pkg_resources', 'wheel') if u.find_spec(n)]\n"
        "unwanted = 'cc gcc g++ clang make ld apt apt-get dpkg apk pip pip3 curl wget nc ssh'\n"
        "tools = [t for t in unwanted.split() if shutil.which(t)]\n"
        "base = [sys._base_executable, '-m', 'pip', '--version']\n"
        "tools += [base] if subprocess.run(base, capture_output=True).returncode == 0 else []\n"
        "files = [f for d in ('/opt/demijohn/bin/pip*', '/build', '/root/.cache/pip')\n"
        "         for f in glob.glob(d)]\n"
        "print(json.dumps([names, tools, files]))"
    )

    assert json.loads(left) == [[], [], []]


def test_nothing_in_it_raises_rights_or_can_be_changed() -> None:
    """No file runs as its owner or group; as the manifests start it, /tmp alone takes files."""
    found = run_python(
        "import os, stat, json\n"
        "system = ('proc', 'sys', 'dev')\n"
        "ours = [each for each in os.walk('/') if each[0].split('/')[1] not in system]\n"
        "files = [os.path.join(path, each) for path, _, names in ours for each in names]\n"
        "modes = {each: os.lstat(each).st_mode for each in files}\n"
        "raising = [each for each in files if stat.S_ISREG(modes[each]) and modes[each] & 0o6000]\n"
        "writable = [path for path, _, _ in ours if os.access(path, os.W_OK)]\n"
        "print(json.dumps([len(files) > 1000, raising, writable]))",
        options=SAFE,
    )

    assert json.loads(found) == [True, [], ["/tmp"]]


def test_its_bill_of_materials_is_in_it() -> None:
    """Each package of Python that is installed, by its purl; the base, its system, its Python."""
    bill = json.loads(run_python("print(open('/opt/demijohn/share/sbom.cdx.json').read())"))
    kinds = {each["type"] for each in bill["components"]}
    installed = run_python(
        "import importlib.metadata as m\n"
        "print(*(f'pkg:pypi/{d.name}@{d.version}' for d in m.distributions()))"
    )
    bought_in = {each["purl"] for each in bill["components"] if "pkg:pypi/" in each.get("purl", "")}

    assert kinds == {"container", "operating-system", "platform", "library"}
    assert {re.sub("[-_.]+", "-", each.lower()) for each in installed.split()} == {
        re.sub("[-_.]+", "-", each) for each in bought_in
    }


def test_its_own_code_is_compiled() -> None:
    """On a read-only root no start could keep what it compiles."""
    left = run_python(
        "import demijohn, pathlib, importlib.util as u\n"
        "files = pathlib.Path(demijohn.__file__).parent.rglob('*.py')\n"
        "print([str(f) for f in files if not pathlib.Path(u.cache_from_source(f)).exists()])"
    )

    assert left.strip() == "[]"


def test_it_serves_the_guides_requests(settings: dict[str, str]) -> None:
    """On a read-only root, with no capabilities: POST a document, and GET it."""
    with service(settings) as container:
        welcome = container.api.ask("GET", "/")
        written = container.api.post('{"name": "Alice", "age": 30}')
        listed = container.api.ask("GET", "/data").json()

        assert welcome.body.startswith(b"Welcome to the Flask app! The current time is: ")
        assert written.status == 201
        assert {"name": "Alice", "age": 30} in listed
        assert container.management.ask("GET", "/metrics").status == 200
        assert container.api.ask("GET", "/metrics").status == 404


def test_it_is_the_first_process(settings: dict[str, str]) -> None:
    """PID 1 is the service, and every process is of its user, with no capability."""
    with service(settings) as container:
        first = container.execute("cat", "/proc/1/cmdline").out.split("\0")
        status = container.execute("cat", "/proc/1/status").out

        assert first[:3] == ["/opt/demijohn/bin/python", "/opt/demijohn/bin/demijohn", "serve"]
        assert re.search(r"^Uid:\s+10001\s+10001\s+10001\s+10001$", status, re.MULTILINE)
        assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)


def test_it_drains_when_it_is_stopped(settings: dict[str, str]) -> None:
    """On SIGTERM: not ready, and still serving, each answer the last one; then exit code 0."""
    with service({**settings, "DEMIJOHN_DRAIN_DELAY": "10"}) as container:
        container.signal("TERM")

        wait_until(lambda: container.management.ask("GET", "/readyz").status == 503, "it drains")
        during = container.api.ask("GET", "/data")
        assert (during.status, during.headers.get("Connection")) == (200, "close")
        assert container.wait() == Exit.OK


def test_the_delay_is_set_in_the_image() -> None:
    """Ten seconds, unless told otherwise: what load balancers and Kubernetes need to look away."""
    assert "DEMIJOHN_DRAIN_DELAY=10" in inspect(IMAGE)["Config"]["Env"]


def test_its_health_check_turns_healthy(settings: dict[str, str]) -> None:
    """For plain Docker: the engine itself calls it healthy."""
    with service(settings) as container:
        wait_until(lambda: container.state()["Health"]["Status"] != "starting", "it is checked")

        assert container.state()["Health"]["Status"] == "healthy"


def test_its_health_check_is_of_readiness(settings: dict[str, str]) -> None:
    """The control: what Docker runs fails as long as the database has never been reached."""
    kind, *check = inspect(IMAGE)["Config"]["Healthcheck"]["Test"]
    nowhere = {"MONGODB_URI": f"mongodb://127.0.0.1:{free_port()}/"}
    assert kind == "CMD"
    with service(settings) as container:
        # Each of its workers reaches the database for itself.
        wait_until(lambda: container.execute(*check).code == 0, "every worker is ready")

    with service({**settings, **nowhere}, ready=503) as container:
        assert container.execute(*check).code == 1


@pytest.mark.parametrize("user", ["20002:20002", "20002:0"])
def test_it_runs_as_any_user(settings: dict[str, str], user: str) -> None:
    """Some clusters choose the number themselves; nothing in the image is its user's own."""
    with service(settings, [*SAFE, f"--user={user}"]) as container:
        assert container.api.ask("GET", "/data").status == 200


def test_it_does_not_start_on_a_network_unless_told() -> None:
    """Without DEMIJOHN_AUTH: exit code 2, and a message that names the setting and what it does."""
    done = run(options=["--env=MONGODB_URI=mongodb://127.0.0.1:27017/"])

    assert done.code == Exit.USAGE
    assert "DEMIJOHN_AUTH is not set" in done.out
    assert "DEMIJOHN_AUTH=open" in done.out


def test_a_misspelt_setting_stops_the_start() -> None:
    """In a container as anywhere else, with the nearest name."""
    done = run(options=["--env=DEMIJOHN_AUHT=open"])

    assert done.code == Exit.USAGE
    assert "DEMIJOHN_AUHT: there is no such setting; did you mean DEMIJOHN_AUTH?" in done.out


def test_without_a_database_it_says_what_to_set() -> None:
    """The image has no embedded database: exit code 5, and the setting that names another."""
    done = run(options=["--env=DEMIJOHN_AUTH=open"])

    assert done.code == Exit.DATABASE
    assert "MONGODB_URI" in done.out


def test_without_a_place_to_write_it_says_so() -> None:
    """The control of the read-only root: it needs /tmp, and names it."""
    given = ["--env=DEMIJOHN_AUTH=open", "--env=MONGODB_URI=mongodb://127.0.0.1:27017/"]

    done = run(options=["--read-only", *given])

    assert done.code == Exit.FAILED
    assert "/tmp" in done.out


@pytest.mark.parametrize("cpus", [0.5, 1, 2])
def test_it_starts_as_many_workers_as_its_quota_has_room_for(
    settings: dict[str, str], cpus: float
) -> None:
    """`--cpus 0.5` is the cluster's limit: one worker. Two CPUs are two, where there are two."""
    with service(settings, [*SAFE, f"--cpus={cpus}"]) as container:
        (listening,) = container.events("listening")

        assert listening["workers"] == max(1, min(int(cpus), usable_cores()))


STOPPED_AS_IT_LOADS = """
import os, runpy, signal, sys, types

class Loading(types.ModuleType):
    def __getattr__(self, name):
        os.kill(os.getpid(), signal.SIGTERM)
        return lambda: print("still here")

sys.modules["demijohn.cli"] = Loading("demijohn.cli")
{start}
"""


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("runpy.run_path('/opt/demijohn/bin/demijohn')", Ended(128 + signal.SIGTERM, "")),
        # The control: what the first process has no handler for does not reach it.
        ("from demijohn.cli import main; main()", Ended(0, "still here\n")),
    ],
)
def test_it_can_be_stopped_while_it_loads(start: str, expected: Ended) -> None:
    """A pod that is deleted while it starts is gone at once, not after its whole grace period."""
    script = STOPPED_AS_IT_LOADS.format(start=start)

    assert run("-c", script, options=["--entrypoint=python"]) == expected


def test_one_that_is_killed_can_be_started_again(settings: dict[str, str]) -> None:
    """Nothing that a kill leaves behind stands in the way of the next start."""
    with service(settings) as container:
        container.signal("KILL")
        assert container.wait() == 137

        assert docker("start", container.name).code == 0

        wait_until(lambda: len(container.events("listening")) == 2, "it listens again")
        assert container.api.ask("GET", "/data").status == 200


def test_what_it_weighs(settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, and held to nothing: the image's size, and how long a start takes."""
    began = time.monotonic()
    with service(settings, [*SAFE, "--cpus=0.5"]):
        took = time.monotonic() - began
    size = inspect(IMAGE)["Size"] / 1e6

    with capsys.disabled():
        print(f"\n{IMAGE}: {size:.0f} MB with its base, listens after {took:.1f} s")
    assert size > 0
