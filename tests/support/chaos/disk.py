"""A small file system of its own, which can be full."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

MIB = 1024 * 1024
SIZE = 768 * MIB
"""Bytes. They are memory, and taken only as far as they are used."""
MOST_FILLERS = 200
"""Documents of a MiB: more than any log file that a database has made beforehand."""
DATABASE = "filler"
PATIENCE = 6_000
"""Milliseconds in which a database that runs answers."""


class SmallDisk:
    """A tmpfs on a directory. Needs root: without it, it fails, as the tests that need it do."""

    def __init__(self, place: Path) -> None:
        """Take the directory, which is made."""
        self._place = place
        self._is_mounted = False

    def mount(self) -> None:
        """Begin. Raises CalledProcessError where it is not allowed."""
        self._place.mkdir(parents=True)
        _as_root("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(self._place))
        self._is_mounted = True

    def fill(self) -> None:
        """Leave no room beside what is stored."""
        found = os.statvfs(self._place)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self._resize(max(used, found.f_frsize))

    def free(self) -> None:
        """Give the room back."""
        self._resize(SIZE)

    def unmount(self) -> None:
        """End, with all that is stored."""
        if self._is_mounted:
            _as_root("umount", "-l", str(self._place))
            self._is_mounted = False

    def _resize(self, size: int) -> None:
        _as_root("mount", "-o", f"remount,size={size}", str(self._place))


def lay_in(uri: str) -> None:
    """Make what `use_up` writes into: where there is no room, a new collection fails by itself."""
    with _opened(uri) as client:
        client[DATABASE]["filler"].insert_one({})


def use_up(uri: str) -> None:
    """Write into the database until it finds no room: it has laid in some in its log.

    Raises RuntimeError where that never comes.
    """
    with _opened(uri) as client:
        try:
            for _ in range(MOST_FILLERS):
                client[DATABASE]["filler"].insert_one({"filler": b"\xff" * MIB})
        except PyMongoError:
            return
    raise RuntimeError("the disk is never full")


def _opened(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    # Patient: a database that is slow is not full. One that ends breaks the connection, and nothing
    # is sent a second time, which would only wait for it to come back.
    return pymongo.MongoClient(
        uri, retryWrites=False, serverSelectionTimeoutMS=PATIENCE, socketTimeoutMS=PATIENCE
    )


def _as_root(*words: str) -> None:
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    subprocess.run([*sudo, *words], check=True)
