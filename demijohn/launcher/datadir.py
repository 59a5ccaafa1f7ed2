"""The data directory: its lock, the database's password, and the files of the database.

::

    demijohn-data/            0700
    ├── lock                  held (flock) by the launcher that uses it; its process id
    ├── password              0600; the password of the database's only user
    ├── making                there from before the database's first start until it has its user
    ├── ready                 digest of the password that the database knows; written last
    ├── secantusd.toml        empty, so that no other configuration is found
    ├── database/             the documents
    ├── database.pid          process id of the database
    ├── database.port         port of it, on 127.0.0.1; for commands beside the service
    └── database.log          what it printed

Every file can be missing or stale after a crash; the next start makes it good.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from demijohn.exits import Exit
from demijohn.launcher.failure import LaunchError

PASSWORD = re.compile(r"[0-9a-f]{48}")
LEAST_FREE = 32 * 1024 * 1024
"""Bytes: what the database's own journal and files take before the first document."""
PASSWORD_FILE, PORT_FILE = "password", "database.port"
LARGEST_LOG = 8 * 1024 * 1024


class DataDir:
    """A data directory that this process alone uses, until `close`."""

    def __init__(self, path: Path) -> None:
        """Create the directory if need be and lock it. Raises LaunchError."""
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - keeps symbolic links as given
        self.database = self.path / "database"
        self.config = self.path / "secantusd.toml"
        self.log = self.path / "database.log"
        self.pid_file = self.path / "database.pid"
        self._port_file = self.path / PORT_FILE
        self._ready = self.path / "ready"
        self._making = self.path / "making"
        self._password_file = self.path / PASSWORD_FILE
        with self._explained():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._take_lock()
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process use the directory."""
        os.close(self._lock)

    def is_provisioned(self) -> bool:
        """Whether the database is there and knows the user with the present password."""
        known = self._read(self._ready)
        there = (self.database / "WiredTiger").exists()
        return there and known == _digest(self.password)

    def set_provisioned(self) -> None:
        """Note that the database knows the user with the present password."""
        with self._explained():
            _write_atomically(self._ready, _digest(self.password))
        self.keep()

    def make_room(self) -> None:
        """Remove what a first start has left that was killed, before a database is started.

        Killed while it makes its first files it never starts again. In a directory that had no
        database before there are no documents either until it has its user.
        """
        with self._explained():
            if self._making.exists():
                shutil.rmtree(self.database, ignore_errors=True)
            elif not self.database.exists() or not any(self.database.iterdir()):
                _write_atomically(self._making, "")

    def keep(self) -> None:
        """Note that from now on there may be documents."""
        with self._explained():
            self._making.unlink(missing_ok=True)

    def note_database(self, pid: int) -> None:
        """Remember the database's process, for a next start after this process was killed."""
        with self._explained():
            _write_atomically(self.pid_file, str(pid))

    def note_port(self, port: int) -> None:
        """Say where the database answers those who know its password."""
        with self._explained():
            _write_atomically(self._port_file, str(port))

    def former_database(self) -> int | None:
        """The process noted last, None if there is no such note."""
        text = self._read(self.pid_file)
        return int(text) if re.fullmatch(r"[1-9][0-9]{0,9}", text) else None

    def forget_database(self) -> None:
        """Note that no database runs."""
        for note in (self.pid_file, self._port_file):
            with contextlib.suppress(OSError):
                note.unlink()

    def open_log(self) -> BinaryIO:
        """The database's log, to append to; a long log is put aside first."""
        with self._explained():
            with contextlib.suppress(FileNotFoundError):
                if self.log.stat().st_size > LARGEST_LOG:
                    self.log.replace(self.log.with_suffix(".log.1"))
            return self.log.open("ab")

    def open_password(self) -> BinaryIO:
        """The file that holds the password."""
        with self._explained():
            return self._password_file.open("rb")

    def log_tail(self, lines: int = 8) -> list[str]:
        """The last lines that the database printed."""
        return self._read(self.log)[-16_384:].splitlines()[-lines:]

    def _prepare(self) -> None:
        with self._explained():
            if shutil.disk_usage(self.path).free < LEAST_FREE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            if self.database.exists() and not self.database.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.database)
                )
            self.config.write_bytes(b"")
            self.password = self._password()

    def _take_lock(self) -> int:
        import fcntl  # noqa: PLC0415 - not there on Windows, where `serve` has said so by now

        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
            os.close(lock)
            raise LaunchError(Exit.DATA_DIR, self._in_use(holder)) from None
        except OSError:
            os.close(lock)
            raise
        return lock

    def _in_use(self, holder: str) -> str:
        who = f"process {holder}" if holder.isdigit() else "another process"
        return (
            f"The data directory {self.path} is in use by {who}. Stop that one first, "
            "or give this one a directory of its own with --data-dir."
        )

    def _password(self) -> str:
        kept = self._read(self._password_file)
        if PASSWORD.fullmatch(kept):
            return kept
        fresh = secrets.token_hex(24)
        _write_atomically(self._password_file, fresh)
        return fresh

    def _read(self, path: Path) -> str:
        """The file's text, "" where there is none. Raises LaunchError where it is unreadable."""
        with self._explained():
            try:
                return path.read_text(encoding="utf-8", errors="replace").strip()
            except FileNotFoundError:
                return ""

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self.path
            reason = os.strerror(error.errno) if error.errno else str(error)
            if isinstance(error, FileExistsError | NotADirectoryError):
                reason = "a file is where a directory should be"
            raise LaunchError(
                Exit.DATA_DIR, f"The data directory {self.path} cannot be used: {where}: {reason}."
            ) from None


def _digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def _write_atomically(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that after any crash it is the old or the new, whole."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
