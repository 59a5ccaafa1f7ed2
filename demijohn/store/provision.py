"""Make the user of the embedded database: `python -m demijohn.store.provision PORT USER`.

A process of its own, so that the launcher has neither the driver nor its threads. The password
comes on standard input, where no other user of the machine can see it.
"""

from __future__ import annotations

import sys

import pymongo
from pymongo import errors as driver

ROLES = ("readWriteAnyDatabase", "dbAdminAnyDatabase")
"""Any database, since `DEMIJOHN_DATABASE` may change; not users, roles or shutdown (MongoDB
manual, "Built-In Roles")."""
TIMEOUT_MS = 60_000
"""For a database that is still starting; its end ends this process before that."""
DUPLICATE_USER = 51003


def create_user(port: int, user: str, password: str) -> None:
    """Have the database on `port` of this machine, which asks for no login yet, know `user`.

    A user of that name gets the password and the roles anew. Raises pymongo's errors.
    """
    with pymongo.MongoClient[dict[str, object]](
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=TIMEOUT_MS,
        socketTimeoutMS=TIMEOUT_MS,
    ) as client:
        try:
            client.admin.command("createUser", user, pwd=password, roles=list(ROLES))
        except driver.OperationFailure as error:
            if error.code != DUPLICATE_USER:
                raise
            client.admin.command("updateUser", user, pwd=password, roles=list(ROLES))


if __name__ == "__main__":
    create_user(int(sys.argv[1]), sys.argv[2], sys.stdin.read().strip())
