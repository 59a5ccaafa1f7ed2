"""Load by wrk, a Debian package: the same question on so many connections for so long."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked again and again: a small document is taken, or one of many given.

    By `POST`, unless it says otherwise.
    """

    path: str = "/data"
    """Of a `GET`, without the document's id at its end."""
    ids: int = 0
    """A `GET` of one of the first so many documents that `database.fill` put there; 0: none."""
    padding: int = 0
    """Bytes by which the document is larger."""
    is_keyed: bool = False
    """Whether each `POST` has an Idempotency-Key of its own."""
    is_put: bool = False
    """Whether each is a `PUT` under an id of its own, behind the path."""
    authorization: str = ""
    """The header of that name, where there is one."""

    @property
    def method(self) -> str:
        """What is asked by."""
        return "GET" if self.ids else "PUT" if self.is_put else "POST"

    def place(self) -> str:
        """Where a document goes: each `PUT` of this has another path."""
        return f"{self.path}/{uuid.uuid4().hex}" if self.is_put else self.path

    @property
    def headers(self) -> dict[str, str]:
        """Those of what takes a document."""
        shown = {"Authorization": self.authorization} if self.authorization else {}
        return {"Content-Type": "application/json", **shown}

    @property
    def body(self) -> bytes:
        """The document that is taken."""
        padded = {**small(), "fill": "x" * self.padding} if self.padding else small()
        return json.dumps(padded, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw. It cuts what is in flight at the end, so as much again may have been kept.

    Latencies are as wrk gives them, corrected for coordinated omission: answers that a slow one
    held up on its connection count as slow too.
    """

    connections: int
    seconds: float
    answers: int
    refused: int
    """Answers with a status of 400 or more."""
    connect_errors: int
    broken: int
    """Connections that broke while something was sent or read on them."""
    p50_ms: float
    p99_ms: float

    @property
    def acknowledged(self) -> int:
        """Answers that say that a document is kept, or what it is."""
        return self.answers - self.refused

    @property
    def rate(self) -> float:
        """Acknowledged documents a second."""
        return self.acknowledged / self.seconds


def small() -> dict[str, object]:
    """The document that is inserted."""
    return {"name": "Ada Lovelace", "born": 1815, "fields": ["mathematics", "engines"]}


def require_wrk() -> str:
    """The path of wrk. Raises FileNotFoundError, which says where to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise FileNotFoundError("wrk is not on the PATH (on Debian: apt-get install wrk).")
    return found


def by_wrk(url: str, request: Request, connections: int, seconds: int) -> Load:
    """Load the service at `url`. Raises RuntimeError where wrk fails."""
    keys = uuid.uuid4().hex if request.is_keyed or request.is_put else ""
    sent = (request.path, request.body.decode(), str(request.ids), keys, request.authorization)
    done = subprocess.run(
        [
            *(require_wrk(), "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", "30s", "--script", str(SCRIPT)),
            *(url, "--", request.method, *sent),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stdout}{done.stderr}")
    return parse(done.stdout, connections)


def parse(printed: str, connections: int) -> Load:
    """What wrk printed: its own report, which is for people, and our script's line under it."""
    said = json.loads(printed.splitlines()[-1])
    return Load(
        connections=connections,
        seconds=said["microseconds"] / 1e6,
        answers=said["answers"],
        refused=said["refused"],
        connect_errors=said["connect_errors"],
        broken=said["broken"],
        p50_ms=said["p50_us"] / 1e3,
        p99_ms=said["p99_us"] / 1e3,
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """Of sorted values, of which there is at least one."""
    return values[min(len(values) * percent // 100, len(values) - 1)]
