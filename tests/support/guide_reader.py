"""Somebody who follows the guide: a working copy, a shell, perhaps a second terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support.guide_script import Command, Part, commands, pattern
from tests.support.terminal import Terminal

StandIn = Callable[[Part], None]
"""What is done in place of a block that cannot be run here."""


class Reader:
    """Does what the guide's marked blocks say, and compares what comes out.

    `here` has what stands in the guide and what it is on this machine: a port that is free, say.
    """

    def __init__(
        self,
        copy: Path,
        environ: Mapping[str, str],
        *,
        here: Mapping[str, str],
        stand_ins: Mapping[str, StandIn],
        patience: float,
    ) -> None:
        """Take a copy of the checkout that nobody else uses.

        A command that needs more than `patience` seconds counts as hung.
        """
        self._copy = copy
        self._environ = environ
        self._here = here
        self._stand_ins = stand_ins
        self._patience = patience
        self._kept: Terminal | None = None
        self._state = copy.with_name(f"{copy.name}.shell")
        self._state.write_text("", encoding="utf-8")

    def follow_all(self, page: Path, parts: list[Part]) -> None:
        """Follow one part after another; AssertionError says where in the page it failed."""
        for part in parts:
            try:
                self.follow(part)
            except AssertionError as failure:
                message = f"{page.name}:{part.line}: {part.body or part.marker}\n{failure}"
                raise AssertionError(message) from failure

    def follow(self, part: Part) -> None:
        """Do what one part of the guide asks for; AssertionError where it does not come true."""
        action, _, rest = part.marker.partition(": ")
        if action == "Ctrl-C":
            self._interrupt()
        elif action == "file":
            self._file(rest, part.body)
        elif action == "run":
            *first, last = commands(part.body)
            for command in first:
                self.run(command)
            (self._keep if rest == "keep" else self.run)(last)
        elif action == "kept":
            self._await(part.body)
        elif "stand-in: " in rest:
            self._stand_ins[rest.rpartition("stand-in: ")[2]](part)

    def expected(self, shown: str) -> re.Pattern[str]:
        """What has to come out where the page shows this."""
        return pattern(shown)

    def leave(self) -> None:
        """End what was kept going."""
        if self._kept is not None:
            self._kept.kill()

    def run(self, command: Command) -> None:
        """Run a command to its end, which must be a good one, and compare what it printed."""
        # What a shell remembers from one command to the next: its environment.
        after = f'code=$?; export -p >"{self._state}"; exit "$code"'
        code, output = self._terminal(f"{command.text}\n{after}").finish(self._patience)
        assert code == 0, f"`{command.text}`: exit code {code}:\n{output}"
        expected = self.expected(self._as_here(command.shown))
        assert expected.fullmatch(output), (
            f"`{command.text}`: not {expected.pattern!r} but:\n{output}"
        )

    def _keep(self, command: Command) -> None:
        self._kept = self._terminal(command.text)
        self._await(command.shown)

    def _await(self, shown: str) -> None:
        assert self._kept is not None
        self._kept.wait_for(self.expected(self._as_here(shown)), self._patience)

    def _terminal(self, text: str) -> Terminal:
        script = f'. "{self._state}"; {self._as_here(text)}'
        return Terminal(script, cwd=self._copy, environ=self._environ)

    def _interrupt(self) -> None:
        assert self._kept is not None
        self._kept.type("\x03")
        self._kept.finish(60)
        self._kept = None

    def _file(self, name: str, body: str) -> None:
        name, _, as_it_is = name.partition(", ")
        path = self._copy / name
        if as_it_is:
            assert body == path.read_text(encoding="utf-8")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._as_here(body), encoding="utf-8")

    def _as_here(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text
