"""kubectl, run as a command: the only way in which drills speak to a cluster."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import Any

import orjson

from demijohn.drill.errors import DrillError

TIMEOUT = 30.0
"""Seconds for one call; `kubectl rollout status` and its like are given their own."""
_SERVER_TIMEOUT = "--request-timeout=20s"


class KubectlError(DrillError):
    """A call of kubectl failed; `message` is what it said, in one line."""

    def __init__(self, message: str) -> None:
        """Take kubectl's own words."""
        super().__init__(f"kubectl: {message}")
        self.message = message

    @property
    def is_not_found(self) -> bool:
        """Whether the object asked for is not there."""
        return "(NotFound)" in self.message


@dataclass(frozen=True, slots=True)
class Kubectl:
    """A command prefix, and the context and namespace that all calls are made in."""

    command: tuple[str, ...] = ("kubectl",)
    context: str | None = None
    namespace: str | None = None
    _options: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Spell the options once."""
        given = (("--context", self.context), ("--namespace", self.namespace))
        options = tuple(f"{name}={value}" for name, value in given if value)
        object.__setattr__(self, "_options", options)

    def words(self, *arguments: str) -> list[str]:
        """The whole command line of a call."""
        return [*self.command, *self._options, *arguments]

    def run(self, *arguments: str, feed: bytes = b"", timeout: float = TIMEOUT) -> bytes:
        """Call it and return its standard output. Raises KubectlError where it fails."""
        try:
            done = subprocess.run(  # noqa: S603 (the words are this program's own)
                self.words(*arguments),
                input=feed,
                capture_output=True,
                check=False,
                timeout=timeout,
                # Ctrl-C is ours, as below: it must not end the calls that clear up.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _missing(self.command[0]) from None
        except subprocess.TimeoutExpired:
            raise KubectlError(f"no answer within {timeout:.0f} s: is the cluster up?") from None
        if done.returncode:
            raise KubectlError(_last_line(done.stderr) or f"it ended with {done.returncode}")
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """What `kubectl get … -o json` says. Raises KubectlError."""
        said = self.run("get", *arguments, "-o", "json", _SERVER_TIMEOUT)
        try:
            value = orjson.loads(said)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise KubectlError("its answer is not the JSON that was asked for")
        return value

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a call that goes on, its output in pipes. Raises KubectlError without kubectl."""
        try:
            return subprocess.Popen(  # noqa: S603 (the words are this program's own)
                self.words(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Ctrl-C is ours: what runs is ended in order.
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _missing(self.command[0]) from None


def _missing(command: str) -> KubectlError:
    return KubectlError(
        f"there is no command {command!r} here; https://kubernetes.io/docs/tasks/tools/ has it"
    )


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("error: ").removeprefix("Error from server ") if lines else ""
