"""Make a mongod what the service needs: a replica set of one, and users with the least rights.

Every step looks at what is there and does what is missing, so that it may be done at any time, by
several at once, and again after a crash anywhere::

    no set yet        replSetInitiate                          another did it first: code 23
    a set without us  replSetReconfig, by force                the volume knew another name
    set, no primary   wait                                     elections take a moment
    no users          createUser root, by the localhost exception   another did it first: 51003
    root logs in      roles, then users: update, or create     another created first: 51002, 51003

MongoDB manual: "Localhost Exception in Self-Managed Deployments", "replSetInitiate", "createRole",
"createUser", "Built-In Roles", "Error Codes".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pymongo
from pymongo import errors as driver
from pymongo.uri_parser import parse_uri

from demijohn.store.uri import check_uri

ROOT = "root"
DRILL = "demijohnDrill"
ADMIN = "admin"
DATA = "data"
_COLL_MOD = "demijohnCollMod"
_SELECTION_MS, _SOCKET_MS = 2_000, 20_000
_CHECK_S = 5.0
"""Seconds after which a mongod that is asked whether all is well counts as gone."""
_ALREADY_INITIALIZED = 23
_INVALID_CONFIG = 93
"""InvalidReplicaSetConfig: also what a mongod says that is not in the set that it has stored."""
_DUPLICATE = (51002, 51003)
"""Of a role, of a user."""
_UNKNOWN = (31, 11)
"""RoleNotFound, UserNotFound."""
_NO_LOGIN = (13, 18)
"""Unauthorized, AuthenticationFailed."""
_NOT_LET_IN = (
    "the database has users, and root's password is not the one in the Secret. The Secret was "
    "probably made anew over an old volume: put the old Secret back, or delete the volume claim "
    "with all its documents."
)

Client = pymongo.MongoClient[dict[str, Any]]
Command = Mapping[str, Any]


class NotYetError(Exception):
    """It can't be done at this moment; the text says why. Later it may."""


class ConfigureError(Exception):
    """It can't be done until somebody changes something; the text says what."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the database is to be."""

    set_name: str
    member: str
    """`host:port` by which everyone reaches the set's one member."""
    database: str
    user: str
    """The service's own."""
    password: str = field(repr=False)
    root_password: str = field(repr=False)
    drill_password: str = field(repr=False)


def service_user(uri: str) -> tuple[str, str]:
    """The user and password that a URI logs in with.

    Raises SettingsError for a URI that the service refuses, ConfigureError for one without them
    or with a login that is not this command's to make.
    """
    check_uri(uri)
    try:
        # Without the hosts: `mongodb+srv` would look them up.
        parts = parse_uri(uri.replace("+srv", "", 1), validate=False)
    except (driver.PyMongoError, ValueError):
        parts = {}
    user, password = parts.get("username"), parts.get("password")
    if not user or not password:
        raise ConfigureError("the Secret's `uri` names no user and password that can be read")
    if user in (ROOT, DRILL):
        raise ConfigureError(f"the Secret's `uri` logs in as {user}, who has other rights")
    if parts["options"].get("authSource", parts["database"]) not in (ADMIN, None):
        raise ConfigureError("the Secret's `uri` must have authSource=admin: its user is there")
    return user, password


def roles(wanted: Wanted) -> list[Command]:
    """The roles that no built-in one stands for, as commands without their verb."""
    everywhere = {"db": wanted.database, "collection": ""}
    data = {"db": wanted.database, "collection": DATA}
    return [
        # `readWrite` has no collMod, and without that a validator can't be changed.
        _role(_COLL_MOD, everywhere, "collMod"),
        _role(DRILL, data, "find", "remove"),
    ]


def users(wanted: Wanted) -> list[Command]:
    """The users beside root, as commands without their verb."""
    read_write = {"role": "readWrite", "db": wanted.database}
    coll_mod = {"role": _COLL_MOD, "db": ADMIN}
    return [
        {"name": wanted.user, "pwd": wanted.password, "roles": [read_write, coll_mod]},
        {"name": DRILL, "pwd": wanted.drill_password, "roles": [{"role": DRILL, "db": ADMIN}]},
    ]


class Configurator:
    """Configures the mongod on `port` of this machine."""

    def __init__(self, wanted: Wanted, port: int) -> None:
        """Connect to nothing yet."""
        self._wanted = wanted
        self._port = port
        self._anyone = _client(port)
        self._root = self._root_client()

    def configure(self) -> None:
        """Do all that is missing. Raises NotYetError and ConfigureError."""
        _asked(self._configure)

    def check(self) -> None:
        """Return if it takes writes, lets root in, and has the users.

        Raises NotYetError and ConfigureError.
        """
        with pymongo.timeout(_CHECK_S):
            _asked(self._check)

    def close(self) -> None:
        """Close every connection."""
        self._anyone.close()
        self._root.close()

    def _configure(self) -> None:
        self._initiate()
        self._demand_primary()
        self._make_root()
        for role in roles(self._wanted):
            self._put("Role", role)
        for user in users(self._wanted):
            self._put("User", user)

    def _check(self) -> None:
        self._demand_primary()
        names = {ROOT, *(str(user["name"]) for user in users(self._wanted))}
        found = self._root.admin.command("usersInfo", sorted(names))["users"]
        if missing := names - {user["user"] for user in found}:
            raise NotYetError(f"users are missing: {', '.join(sorted(missing))}")

    def _initiate(self) -> None:
        hello = self._anyone.admin.command("hello")
        name = hello.get("setName", self._wanted.set_name)
        if name != self._wanted.set_name:
            raise ConfigureError(f"mongod is of the replica set {name}")
        if "setName" in hello:
            return
        if not hello.get("isreplicaset"):
            raise ConfigureError(f"mongod runs without --replSet {self._wanted.set_name}")
        member = {"_id": 0, "host": self._wanted.member}
        config = {"_id": self._wanted.set_name, "members": [member]}
        try:
            self._anyone.admin.command("replSetInitiate", config)
        except driver.OperationFailure as error:
            if error.code not in (_ALREADY_INITIALIZED, *_NO_LOGIN):
                raise NotYetError(f"the set can't be initiated: {_words(error)}") from None
            self._rejoin(has_users=error.code in _NO_LOGIN)

    def _rejoin(self, *, has_users: bool) -> None:
        """Put a mongod back into its set of one, if it looked at its start and did not find itself.

        It would wait for another member to tell it more, and there is none: its name has changed
        (the volume came from another namespace), or DNS did not know it in time.
        """
        if not self._root_logs_in():
            raise ConfigureError(_NOT_LET_IN) if has_users else NotYetError("the set is being made")
        run = self._root.admin.command
        try:
            run("replSetGetStatus")
        except driver.OperationFailure as error:
            if error.code != _INVALID_CONFIG:
                raise
        else:
            return
        config = run("replSetGetConfig")["config"]
        if len(config["members"]) != 1:
            raise ConfigureError("mongod is not a member of its own set, which has several others")
        config["members"][0]["host"] = self._wanted.member
        config["version"] += 1
        run({"replSetReconfig": config, "force": True})

    def _demand_primary(self) -> None:
        if not self._anyone.admin.command("hello").get("isWritablePrimary"):
            raise NotYetError("the set has no primary yet")

    def _make_root(self) -> None:
        """Let root log in, or be made. That only a first user can be is for mongod to see to."""
        if self._root_logs_in():
            return
        made = {"createUser": ROOT, "pwd": self._wanted.root_password, "roles": [ROOT]}
        try:
            self._anyone.admin.command(made)
        except driver.OperationFailure as error:
            if error.code not in (*_NO_LOGIN, *_DUPLICATE):
                raise
        if not self._root_logs_in():
            raise ConfigureError(_NOT_LET_IN)

    def _root_logs_in(self) -> bool:
        try:
            self._root.admin.command("usersInfo", ROOT)
        except driver.OperationFailure as error:
            if error.code not in _NO_LOGIN:
                raise
            # A client that failed to log in waits for better times at its next call: a new one.
            self._root.close()
            self._root = self._root_client()
            return False
        return True

    def _root_client(self) -> Client:
        return _client(self._port, ROOT, self._wanted.root_password)

    def _put(self, kind: str, what: Command) -> None:
        """Update the role or user to exactly this, or create it."""
        name, rest = what["name"], {key: what[key] for key in what if key != "name"}
        run = self._root.admin.command
        try:
            run({f"update{kind}": name, **rest})
        except driver.OperationFailure as error:
            if error.code not in _UNKNOWN:
                raise
            try:
                run({f"create{kind}": name, **rest})
            except driver.OperationFailure as race:
                if race.code not in _DUPLICATE:
                    raise
                run({f"update{kind}": name, **rest})


def _role(name: str, resource: Mapping[str, str], *actions: str) -> Command:
    privilege = {"resource": dict(resource), "actions": list(actions)}
    return {"name": name, "privileges": [privilege], "roles": []}


def _client(port: int, user: str | None = None, password: str | None = None) -> Client:
    return pymongo.MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        appname="demijohn-configurator",
        maxPoolSize=1,
        serverSelectionTimeoutMS=_SELECTION_MS,
        connectTimeoutMS=_SELECTION_MS,
        socketTimeoutMS=_SOCKET_MS,
        username=user,
        password=password,
    )


def _asked(action: Callable[[], None]) -> None:
    """Do it; what the driver raises means that mongod is not there, or not yet itself."""
    try:
        action()
    except driver.OperationFailure as error:
        raise NotYetError(_words(error)) from None
    except driver.PyMongoError as error:
        raise NotYetError(f"mongod does not answer ({type(error).__name__})") from None


def _words(error: driver.OperationFailure) -> str:
    """What the server said, without the command that it may quote."""
    details = error.details or {}
    return str(details.get("codeName") or f"error {error.code}")
