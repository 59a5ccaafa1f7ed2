"""A database server that is no replica set, as the guide's `docker run mongo` starts one."""

from __future__ import annotations

import sys

from tests.support.database import Database


class Standalone(Database):
    """A standalone `mongod`, as far as the service can tell; see tests/support/standin."""

    @property
    def uri(self) -> str:
        """The connection string, as the guide has it."""
        return f"mongodb://127.0.0.1:{self.port}/"

    def _program(self) -> list[str]:
        return [sys.executable, "-m", "tests.support.standin.standalone"]
