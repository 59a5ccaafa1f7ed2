"""What a member of a replica set knows of itself, and its answers before the first user is there.

The states, each kept over restarts: not initiated; initiated, without users (the localhost
exception is open); with users (everything goes to the backend, which demands a login).
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, NoReturn

import pymongo
from pymongo import errors as driver

from . import wire
from .backend import Backend
from .wire import Body, Message

ELECTION = 0.3
"""Seconds between the initiation and the time that the only member is elected."""
HELLO = frozenset({"hello", "ismaster", "isMaster"})
FREE = frozenset({"ping", "buildInfo", "buildinfo", "endSessions", "logout"})
"""Commands that need no login."""
BYPASS = frozenset({"createUser", "replSetInitiate", "replSetGetStatus", "replSetGetConfig"})
"""What the localhost exception lets a client of the same machine do, of what is known here."""
SET_COMMANDS = frozenset(
    {"replSetInitiate", "replSetGetStatus", "replSetGetConfig", "replSetReconfig"}
)
NO_CONFIG = {"isreplicaset": True, "info": "Does not have a valid replica set config"}
_OF_THE_SESSION = frozenset({"lsid", "writeConcern", "comment", "maxTimeMS"})
UNAUTHORIZED, AUTHENTICATION_FAILED, ALREADY_INITIALIZED = 13, 18, 23
INVALID_SET, NOT_YET_INITIALIZED, NOT_WRITABLE_PRIMARY, DUPLICATE_USER = 93, 94, 10107, 51003


class CommandError(Exception):
    """A command's refusal, as mongod words it."""

    def __init__(self, code: int, name: str, message: str) -> None:
        """Take the code, its name, and the text."""
        super().__init__(message)
        self.body: Body = {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}


class Node:
    """One mongod: its state below `directory`, and the backend where it needs one."""

    def __init__(self, set_name: str, port: int, directory: Path, backend: Backend) -> None:
        """Read the state. Nothing runs yet."""
        self.backend = backend
        self.identity = os.urandom(12).hex()
        self._set_name = set_name
        self._port = port
        self._path = directory / "standin.json"
        self._state = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._changing = asyncio.Lock()
        self._begun: set[asyncio.Task[Body | None]] = set()
        self._elected = 0.0
        # As mongod: until it has found itself in its set it is of none, and it looks only once.
        self._is_member = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def has_users(self) -> bool:
        """Whether the first user is there, and with it the backend."""
        return bool(self._state.get("users"))

    async def start(self) -> None:
        """Be ready to serve. Raises BackendError."""
        if self.has_users:
            await self.backend.start(auth=True)

    async def find_itself(self) -> None:
        """Ask at the member's name, as mongod does at its start; once it accepts connections."""
        self._is_member = "config" in self._state and await self._is_self(self._host())

    async def answer(self, message: Message, *, local: bool) -> bytes | None:
        """The answer while there are no users; None where there are some by now."""
        try:
            body = await self._answer(message, local=local)
        except CommandError as error:
            body = error.body
        return None if body is None else wire.reply(message, body)

    async def _answer(self, message: Message, *, local: bool) -> Body | None:
        name = message.command
        if name in HELLO:
            return self._hello(message.body)
        if name in FREE:
            return {"ok": 1.0, "version": "8.0.0", "versionArray": [8, 0, 0, 0]}
        if name == "_isSelf":
            return {"ok": 1.0, "id": self.identity}
        if name == "saslStart":
            raise CommandError(
                AUTHENTICATION_FAILED, "AuthenticationFailed", "Authentication failed."
            )
        if not local or name not in BYPASS or message.body.get("$db") != "admin":
            raise CommandError(
                UNAUTHORIZED, "Unauthorized", f"Command {name} requires authentication"
            )
        # A client that goes away leaves behind what it has begun, as at mongod: half of it would
        # be a backend that nobody knows of.
        changing = asyncio.get_running_loop().create_task(self._change(message))
        self._begun.add(changing)
        changing.add_done_callback(self._begun.discard)
        return await asyncio.shield(changing)

    async def _change(self, message: Message) -> Body | None:
        async with self._changing:
            return None if self.has_users else await self._bypass(message)

    async def _bypass(self, message: Message) -> Body:
        if message.command != "createUser":
            if message.command == "replSetInitiate":
                await self._initiate(message.body["replSetInitiate"])
                return {"ok": 1.0}
            return self.of_set(message)
        if not self._is_primary():
            raise CommandError(NOT_WRITABLE_PRIMARY, "NotWritablePrimary", "not primary")
        await self._make_first_user(message.body)
        return {"ok": 1.0}

    def of_set(self, message: Message) -> Body:
        """The answer to one of SET_COMMANDS, for who may ask. Raises CommandError."""
        command = message.command
        config = self._state.get("config")
        if config is None:
            raise CommandError(
                NOT_YET_INITIALIZED, "NotYetInitialized", "no replset config has been received"
            )
        if command == "replSetInitiate":
            raise CommandError(ALREADY_INITIALIZED, "AlreadyInitialized", "already initialized")
        if command == "replSetGetConfig":
            return {"ok": 1.0, "config": config}
        if command == "replSetReconfig":
            return self._reconfigure(message.body)
        if not self._is_member:
            _refuse_set("Our replica set config is invalid or we are not a member of it")
        state = 1 if self._is_primary() else 2
        words = {1: "PRIMARY", 2: "SECONDARY"}[state]
        member = {"_id": 0, "name": self._host(), "self": True, "health": 1.0}
        members = [{**member, "state": state, "stateStr": words}]
        return {"ok": 1.0, "set": self._set_name, "myState": state, "members": members}

    def _reconfigure(self, body: Body) -> Body:
        if not body.get("force"):
            raise CommandError(NOT_WRITABLE_PRIMARY, "NotWritablePrimary", "not primary")
        self._save(config=body["replSetReconfig"])
        self._looking = asyncio.get_running_loop().create_task(self.find_itself())
        return {"ok": 1.0}

    def as_member(self, body: Body) -> Body:
        """The backend's answer to `hello`, as a member of the set gives it."""
        if not self._is_member:
            theirs = ("setName", "setVersion", "hosts", "me", "primary")
            rest = {name: value for name, value in body.items() if name not in theirs}
            return {**rest, "isWritablePrimary": False, "ismaster": False, **NO_CONFIG}
        host = self._host()
        ours = {"setName": self._set_name, "hosts": [host], "me": host}
        if "primary" in body:
            ours["primary"] = host
        body.pop("compression", None)
        return {**body, **ours}

    def _hello(self, asked: Body) -> Body:
        body: Body = {"helloOk": True} if asked.get("helloOk") else {}
        primary = self._is_primary()
        body |= {"isWritablePrimary": primary, "ismaster": primary, "secondary": False}
        body |= {"maxBsonObjectSize": 16 * 1024 * 1024, "maxMessageSizeBytes": 48_000_000}
        body |= {"maxWriteBatchSize": 100_000, "logicalSessionTimeoutMinutes": 30}
        body |= {"minWireVersion": 0, "maxWireVersion": 25, "readOnly": False, "ok": 1.0}
        if not self._is_member:
            return {**body, **NO_CONFIG}
        body |= {"secondary": not primary, "setVersion": 1}
        return self.as_member({**body, "primary": ""} if primary else body)

    def _is_primary(self) -> bool:
        return self._is_member and time.monotonic() >= self._elected

    def _host(self) -> str:
        return str(self._state["config"]["members"][0]["host"])

    async def _initiate(self, config: Any) -> None:
        if "config" in self._state:
            raise CommandError(ALREADY_INITIALIZED, "AlreadyInitialized", "already initialized")
        if not isinstance(config, dict) or config.get("_id") != self._set_name:
            _refuse_set(f"the set's name is {self._set_name} by the command line")
        members = config.get("members")
        if not isinstance(members, list) or len(members) != 1:
            _refuse_set("this stand-in is a set of exactly one member")
        host = members[0].get("host")
        if not isinstance(host, str) or not await self._is_self(host):
            _refuse_set("No host described in new configuration maps to this node")
        self._elected = time.monotonic() + ELECTION
        self._save(config={"version": 1, **config})
        self._is_member = True

    async def _is_self(self, host: str) -> bool:
        """Whether a connection to `host` ends here, as mongod finds it out: it asks."""
        name, _, port = host.rpartition(":")
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection(name, int(port))
                writer.write(wire.request(1, {"_isSelf": 1, "$db": "admin"}))
                head = await reader.readexactly(4)
                rest = await reader.readexactly((wire.message_length(head) or 4) - 4)
                writer.close()
            return wire.parse(head + rest).body.get("id") == self.identity
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            return False

    async def _make_first_user(self, body: Body) -> None:
        """Make the user while the backend asks for no login, then have it ask.

        The note that there are users is written when the user is certainly on the disk, and
        before anybody is told: whoever is killed in between begins again, or has the user.
        """
        await self.backend.start(auth=False)
        try:
            await asyncio.to_thread(_create_user, self.backend.port, body)
        except driver.OperationFailure as error:
            raise CommandError(error.code or 1, "Refused", str(error)) from error
        finally:
            await self.backend.stop()
        self._save(users=True)
        await self.backend.start(auth=True)

    def _save(self, **changes: object) -> None:
        self._state |= changes
        draft = self._path.with_suffix(".new")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(self._state, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def _create_user(port: int, body: Body) -> None:
    """As the client asked; one that a killed attempt left is made anew."""
    asked = {
        name: value
        for name, value in body.items()
        if not name.startswith("$") and name not in _OF_THE_SESSION
    }
    with pymongo.MongoClient[Body]("127.0.0.1", port, directConnection=True) as client:
        try:
            client.admin.command(asked)
        except driver.OperationFailure as error:
            if error.code != DUPLICATE_USER:
                raise
            client.admin.command("dropUser", asked["createUser"])
            client.admin.command(asked)


def _refuse_set(message: str) -> NoReturn:
    raise CommandError(INVALID_SET, "InvalidReplicaSetConfig", message)
