"""The embedded database: SecantusDB, a server that speaks MongoDB's protocol, as our child.

It is reached over a socket and never imported: its licence is the GPL, version 2. It listens on
127.0.0.1 with a login. On the very first start it runs once without one, on a port that nobody
was told, until it knows its only user; the note of that is written last, so a start that was
killed half-way is simply made again.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from demijohn.exits import Exit
from demijohn.launcher.backoff import Backoff
from demijohn.launcher.datadir import PASSWORD_FILE, PORT_FILE, DataDir
from demijohn.launcher.failure import LaunchError
from demijohn.launcher.loop import NEVER, Loop
from demijohn.launcher.output import Output
from demijohn.launcher.server import ON_LINUX, die_with_parent, end_former, find_command

USER = "demijohn"
REPLICA_SET = "secantus"
PAUSE = 0.05
"""Seconds between two looks at whether it accepts connections yet, or has ended."""
STOP_TIMEOUT = 10.0
ASK_AGAIN = 1.0
"""Seconds after which a server that shows no sign of ending is sent its signal again."""
CACHE = "256M"
"""Of the database's own default, 1 GiB, a laptop has other uses for most."""
log = structlog.get_logger()


def uri_beside(path: Path) -> str | None:
    """How to reach the database that a service runs in this data directory; None where none does.

    It holds the password. Raises OSError where the directory is not to be read.
    """
    try:
        port, password = ((path / name).read_text("ascii") for name in (PORT_FILE, PASSWORD_FILE))
    except FileNotFoundError:
        return None
    return _uri(password.strip(), int(port))


class Database:
    """The database process: a part of the launcher's loop (see demijohn.launcher.loop)."""

    def __init__(self, data: DataDir, loop: Loop) -> None:
        """Find the server and a port; end what a killed launcher left. Raises LaunchError."""
        self.has_user = False
        """Whether it starts with its login: what uses it can start too."""
        self.is_ready = False
        """Whether it has accepted connections, at least once."""
        self.is_stopped = False
        self._data = data
        self._output = Output(data, loop)
        self._command = find_command()
        end_former(data)
        self._reserved, self._port = _reserve_port()
        self._reserved_first: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._provision: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff(first=0.2, most=10.0)
        self._since = 0.0
        self._due = 0.0
        self._ask_again = 0.0
        self._step: Callable[[float], float] = self._begin

    def uri(self) -> str:
        """What a worker connects to; it holds the password."""
        return _uri(self._data.password, self._port)

    def tick(self, now: float) -> float:
        """Do what is due. Raises LaunchError where it has never been ready and cannot be."""
        return self._step(now)

    def stop(self, now: float) -> None:
        """Begin to stop; `is_stopped` says when it has."""
        if self._provision is not None and self._provision.poll() is None:
            self._provision.kill()
            self._provision.wait()
        self._end(now, self._stopping)

    def close(self) -> None:
        """Let go of the port, and keep what was printed last."""
        self._output.close()
        for each in (self._reserved, self._reserved_first):
            if each is not None:
                each.close()

    def _begin(self, now: float) -> float:
        if self._data.is_provisioned():
            self._data.keep()
            self._spawn(self._port, "--auth")
            self._data.note_port(self._port)
            self.has_user = True
            self._step = self._starting
        else:
            self._data.make_room()
            self._reserved_first, self._open_port = _reserve_port()
            self._spawn(self._open_port)
            self._provision = self._make_user()
            self._step = self._provisioning
        return now + PAUSE

    def _make_user(self) -> subprocess.Popen[bytes]:
        """Start the process that has the driver; it waits for the database to accept it.

        It reads the password from its input.
        """
        command = [sys.executable, "-m", "demijohn.store.provision", str(self._open_port), USER]
        with self._data.open_password() as password, self._data.open_log() as output:
            return subprocess.Popen(  # noqa: S603
                command,
                stdin=password,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
            )

    def _provisioning(self, now: float) -> float:
        """Without a login, until its user is made."""
        self._check_alive()
        code = self._provision.poll() if self._provision else None
        if code is None:
            return NEVER
        if code != 0:
            raise self._failure("The user of the embedded database could not be made")
        self._end(now, self._closing)
        return now + PAUSE

    def _closing(self, now: float) -> float:
        """Ending, so that it can start with a login."""
        code = self._code()
        if code is None and now < self._due:
            self._ask_to_end(self._open_port, now)
            return now + PAUSE
        if code != 0:
            # It does not flush a new user before it closes: after a kill there may be none.
            raise self._failure("The embedded database did not stop after its user was made")
        self._data.set_provisioned()
        if self._reserved_first is not None:
            self._reserved_first.close()
        self._step = self._begin
        return now

    def _starting(self, now: float) -> float:
        if self._code() is not None:
            if not self.is_ready:
                self._check_alive()
            return self._died(now, 0.0)
        if not _accepts(self._port):
            return now + PAUSE
        if self.is_ready:
            log.info("database is back")
        self.is_ready = True
        self._since = now
        self._step = self._running
        return now

    def _running(self, now: float) -> float:
        if self._code() is not None or self._process is None:
            return self._died(now, now - self._since)
        if self._output.has_panicked(self._process.pid):
            log.error("database has given up", pid=self._process.pid, log=str(self._data.log))
            self._process.kill()  # its end wakes the loop
        return NEVER

    def _died(self, now: float, served: float) -> float:
        delay = self._backoff.delay(served)
        log.error("database died", code=self._code(), again_in=delay, log=str(self._data.log))
        self._due = now + delay
        self._step = self._waiting
        return self._due

    def _waiting(self, now: float) -> float:
        if now < self._due:
            return self._due
        try:
            self._spawn(self._port, "--auth")
        except (LaunchError, OSError) as error:
            log.error("database not started", reason=str(error))  # noqa: TRY400
            return self._died(now, 0.0)
        self._step = self._starting
        return now + PAUSE

    def _stopping(self, now: float) -> float:
        if self._process is not None and self._process.poll() is None:
            if now < self._due:
                self._ask_to_end(self._port, now)
                return now + PAUSE
            log.error("database did not stop and was killed", pid=self._process.pid)
            self._process.kill()
            self._process.wait()
        self._data.forget_database()
        self.is_stopped = True
        return NEVER

    def _spawn(self, port: int, *options: str) -> None:
        command = [
            *(self._command, "--host", "127.0.0.1", "--port", str(port)),
            *("--storage-path", str(self._data.database), "--log-level", "WARNING"),
            *("--config", str(self._data.config), "--cache-size", CACHE),
            # Else it does not journal the commit of a transaction, whatever `j` it is sent with,
            # and a kill loses what was acknowledged in the 50 ms before.
            *("--sync-on-commit", *options),
        ]
        with self._output.of_another() as output:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                cwd=self._data.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
            )
        try:
            self._data.note_database(self._process.pid)
        except LaunchError:  # on a full disk; nobody must be left on the files unnoticed
            self._process.kill()
            self._process.wait()
            raise

    def _code(self) -> int | None:
        """The exit code of the server; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def _end(self, now: float, step: Callable[[float], float]) -> None:
        """Ask the server to end, within STOP_TIMEOUT, and wait for that in `step`."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
        self._due = now + STOP_TIMEOUT
        self._ask_again = now + ASK_AGAIN
        self._step = step

    def _ask_to_end(self, port: int, now: float) -> None:
        """Wake a server that is to end.

        It waits in accept(), two seconds long unless somebody connects, and where its main thread
        sleeps just then the first signal may be lost on it. Once it accepts nobody any more it has
        heard, and another signal would kill it in its last moments, when it handles none.
        """
        listens = _accepts(port)
        if listens and now >= self._ask_again and self._process is not None:
            self._process.terminate()
            self._ask_again = now + ASK_AGAIN

    def _check_alive(self) -> None:
        if self._code() is not None:
            raise self._failure("The embedded database does not start")

    def _failure(self, what: str) -> LaunchError:
        self._output.drain()
        tail = "".join(f"\n  {line}" for line in self._data.log_tail())
        return LaunchError(Exit.DATABASE, f"{what}. The end of {self._data.log}:{tail}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _uri(password: str, port: int) -> str:
    # A write that is not journaled is lost when this server is killed.
    # No retries by the driver: the server keeps its records of them in memory, so that they
    # are gone when it has crashed, and past 10,000 sorts them at each write, which made a
    # write ten times as dear.
    options = f"authSource=admin&replicaSet={REPLICA_SET}&journal=true&retryWrites=false"
    return f"mongodb://{USER}:{password}@127.0.0.1:{port}/?{options}"


def _reserve_port() -> tuple[socket.socket | None, int]:
    """A port for as long as its socket is open, so that workers find the database again.

    Nor does another program get it in the second before the database listens on it.
    On Linux a bound socket that does not listen keeps every other program off the port, while
    the database, which sets SO_REUSEADDR too, can still listen on it.
    """
    if not ON_LINUX:
        return None, _free_port()
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved, int(reserved.getsockname()[1])
