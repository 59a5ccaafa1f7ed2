"""Containers of the image in a real Docker engine, as `docker run` starts them.

They share the machine's network, since not every engine has one of its own: each gets free ports.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from demijohn import __version__
from tests.support.api import Api
from tests.support.database import free_port
from tests.support.processes import wait_until

IMAGE = f"flask-mongodb-app:{__version__}"
SAFE = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""What the manifests and compose.yaml ask for, as options of `docker run`."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and all that it printed."""

    code: int
    out: str


def docker(*arguments: str) -> Ended:
    """Run `docker` to its end; what it printed on either stream."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(done.returncode, done.stdout)


def inspect(what: str) -> dict[str, Any]:
    """What the engine knows of a container or an image."""
    done = docker("inspect", what)
    assert done.code == 0, done.out
    found: dict[str, Any] = json.loads(done.out)[0]
    return found


def run(*arguments: str, options: Sequence[str] = ()) -> Ended:
    """Run a command of the image to its end, and leave nothing of it."""
    return docker("run", "--rm", "--network=host", *options, IMAGE, *arguments)


def run_python(source: str, options: Sequence[str] = ()) -> str:
    """Run a script with the image's Python; what it printed."""
    done = run("-I", "-c", source, options=["--entrypoint=python", *options])
    assert done.code == 0, done.out
    return done.out


class Container:
    """A service in a container, on free ports of this machine."""

    def __init__(self, settings: Mapping[str, str], options: Sequence[str] = SAFE) -> None:
        """Start it with these settings; do not wait for it."""
        self.name = f"demijohn-test-{uuid.uuid4().hex[:12]}"
        ports = {
            "DEMIJOHN_PORT": str(free_port()),
            "DEMIJOHN_MANAGEMENT_PORT": str(free_port()),
        }
        given = [f"--env={name}={value}" for name, value in {**ports, **settings}.items()]
        done = docker(
            "run", "--detach", f"--name={self.name}", "--network=host", *options, *given, IMAGE
        )
        assert done.code == 0, done.out
        self.api = Api(f"http://127.0.0.1:{ports['DEMIJOHN_PORT']}")
        self.management = Api(f"http://127.0.0.1:{ports['DEMIJOHN_MANAGEMENT_PORT']}")

    def started(self) -> Self:
        """Wait until it listens; fails with its log where it ends instead."""
        wait_until(lambda: self.events("listening") or not self.runs(), "it listens")
        assert self.events("listening"), self.log()
        return self

    def log(self) -> str:
        """All that it has printed."""
        return docker("logs", self.name).out

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        parsed = (_parsed(line) for line in self.log().splitlines())
        return [each for each in parsed if each.get("event") == name]

    def state(self) -> dict[str, Any]:
        """What the engine says of it."""
        state: dict[str, Any] = inspect(self.name)["State"]
        return state

    def runs(self) -> bool:
        """Whether its first process is there."""
        return bool(self.state()["Running"])

    def execute(self, *command: str) -> Ended:
        """Run a command inside."""
        return docker("exec", self.name, *command)

    def signal(self, name: str) -> None:
        """Send a signal to its first process."""
        assert docker("kill", f"--signal={name}", self.name).code == 0

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        wait_until(lambda: not self.runs(), "it ends")
        return int(self.state()["ExitCode"])

    def remove(self) -> None:
        """End it and leave nothing of it."""
        docker("rm", "--force", "--volumes", self.name)


@contextmanager
def service(
    settings: Mapping[str, str], options: Sequence[str] = SAFE, ready: int = 200
) -> Iterator[Container]:
    """A service in a container, whose `/readyz` answers with `ready`; it is gone at the end."""
    container = Container(settings, options)
    try:
        container.started()
        wait_until(lambda: container.management.get("/readyz").status == ready, "readiness")
        yield container
    finally:
        container.remove()


def _parsed(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        value = json.loads(line)
        return value if isinstance(value, dict) else {}
    return {}
