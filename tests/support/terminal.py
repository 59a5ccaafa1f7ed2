"""A terminal with one command in it, as a person has it: a tty, and Ctrl-C that works."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_ERASED = re.compile(r"[^\n]*\n(?:\x1b\[\?25h)?\r?\x1b\[1A\x1b\[2K")
_OVERWRITTEN = re.compile(r"[^\n]*\r(?!\Z)")
_ROWS, _COLUMNS = 50, 250


class Terminal:
    """Runs `command` in bash on a tty of its own."""

    def __init__(self, command: str, *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start the command."""
        self._ours, self._its = pty.openpty()
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(self._its, termios.TIOCSWINSZ, size)
        self._output = bytearray()
        # A session leader without a tty gets the first that it opens as its own: with it, Ctrl-C.
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec <"$0" >"$0" 2>&1; {command}', os.ttyname(self._its)],
            cwd=cwd,
            env={**environ, "TERM": "xterm"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """What can be read on it so far: without colours, and without what was written over."""
        text = re.sub(r"\r+\n", "\n", bytes(self._output).decode("utf-8", "replace"))
        for pattern in (_ERASED, _COLOURS, _OVERWRITTEN):
            text = pattern.sub("", text)
        return text

    @property
    def raw(self) -> bytes:
        """All that was written to it so far, as a terminal would have to obey it."""
        return bytes(self._output)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, expected: re.Pattern[str], seconds: float) -> None:
        """Return once the output begins as expected; AssertionError when it does not."""
        deadline = time.monotonic() + seconds
        while not expected.match(self.output):
            ended = self._process.poll() is not None
            late = time.monotonic() > deadline
            assert not ended, f"it ended:\n{self.output}"
            assert not late, f"not seen: {expected.pattern}\n{self.output}"
            time.sleep(0.05)

    def finish(self, seconds: float) -> tuple[int, str]:
        """Wait for the command's end; its exit code and its whole output."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end:\n{self.output}") from None
        self._close()
        return code, self.output

    def kill(self) -> None:
        """End the command and what it started in this terminal."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._its >= 0:
            os.close(self._its)
            self._its = -1
            self._reader.join(10)
            os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65_536)
            except OSError:  # EIO: nobody has the other end open any more
                return
            if not chunk:
                return
            self._output += chunk
