"""Every setting of the service, typed and documented, in one place.

Settings come from the environment and from a `.env` file in the working directory; the
environment wins. All are called ``DEMIJOHN_…`` but ``MONGODB_URI``, whose name is older than
this project. `docs/reference/settings.md` and `.env.example` list the same; a test holds the
three together.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError

PREFIX = "DEMIJOHN_"
URI_NAME = "MONGODB_URI"
GUIDE_URI = "mongodb://localhost:27017/"
"""Where the guide's `flask run` looks for MongoDB when nothing else is said."""
MIB = 1024 * 1024
BACKLOG = 2048
"""Connections that wait while all workers are busy; the kernel's own limit may be lower."""
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
"""Where worker processes add up their metrics; the name is prometheus_client's."""
LARGEST_DOCUMENT = 16 * MIB

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
Rate = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?(,[1-9][0-9]{0,8})?$")]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> list[Network]:
    """Addresses and networks, with commas between. Raises ValueError for anything else."""
    return [ipaddress.ip_network(each.strip()) for each in text.split(",")]


def _networks(text: str) -> str:
    networks(text)
    return text


Networks = Annotated[str, AfterValidator(_networks)]


class SettingsError(Exception):
    """Settings that cannot be used: a list of one-line messages, each naming its setting."""

    def __init__(self, messages: list[str]) -> None:
        """Take the messages, at least one."""
        super().__init__("\n".join(messages))
        self.messages = messages


class Settings(BaseModel):
    """What the service is told at its start; it does not change afterwards.

    A field `drain_delay` is the variable `DEMIJOHN_DRAIN_DELAY`. Times are in seconds; sizes are
    in bytes and may be written with a unit (`2MiB`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mongodb_uri: str | None = Field(
        default=None,
        description="The MongoDB to use. Unset: `demijohn serve` starts the embedded database; "
        f"`flask run` uses `{GUIDE_URI}`, as the guide does.",
    )
    database: Name = Field(default="flask_db", description="The database inside that MongoDB.")
    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on. Any but a loopback one needs `DEMIJOHN_AUTH`.",
    )
    port: Port = Field(default=5000, description="The port to listen on; 0 picks a free one.")
    management_port: Port | None = Field(
        default=None,
        description="A port of its own for `/metrics` and the probes; `/metrics` is then only "
        "there. Unset: they share the main port.",
    )
    auth: Literal["open", "keys"] | None = Field(
        default=None,
        description="`open`: whoever reaches the service may use it. `keys`: a request needs a key "
        "(`demijohn keys create`). Unset: this machine alone.",
    )
    keys_file: Path | None = Field(
        default=None,
        description="A file with further keys beside those in the database, such as a mounted "
        "Secret; it is read anew when it changes.",
    )
    workers: Positive | None = Field(
        default=None,
        description="Worker processes. Unset: as many as whole CPUs in the container's quota, at "
        "least 1; without a quota, the cores of the machine, at most 4.",
    )
    threads: Positive = Field(
        default=16, description="Threads a worker, each with at most one database operation."
    )
    express: Literal["on", "off"] = Field(
        default="on",
        description="`on`: plain requests, `POST` of one document, `PUT` and `GET` by "
        "id and `GET` of `/data`, are answered before Flask, to the same bytes. `off`: Flask "
        "answers all.",
    )
    data_dir: Path = Field(
        default=Path("demijohn-data"),
        description="Where the embedded database keeps documents, its password and its log.",
    )
    max_body: Annotated[ByteSize, Field(ge=1, le=LARGEST_DOCUMENT)] = Field(
        default=ByteSize(2 * MIB), description="The largest request body, at most 16 MiB."
    )
    max_bodies: Annotated[ByteSize, Field(ge=1)] = Field(
        default=ByteSize(64 * MIB),
        description="Bytes of request bodies that a worker holds at one time, and as many of large "
        "answers that are not read yet; past that 503. In a container at most an eighth of its "
        "memory limit, over all workers.",
    )
    max_connections: Positive = Field(
        default=10_000, description="Open connections a worker; past that 503."
    )
    max_waiting: Positive = Field(
        default=1_000, description="Requests a worker lets wait for a thread; past that 503."
    )
    max_streams: Positive = Field(
        default=128,
        description="Streamed answers under way at one time in a worker; past that 503.",
    )
    max_feeds: Positive = Field(
        default=2_000, description="Streams of live changes open in a worker; past that 503."
    )
    max_change_streams: Positive = Field(
        default=16,
        description="Different collections and filters whose changes a worker follows for them, "
        "each with a connection to the database; past that 503.",
    )
    feed_heartbeat: PositiveSeconds = Field(
        default=15, description="Time after which a stream of live changes says that it lives."
    )
    rate_per_key: Rate = Field(
        default="0",
        description="Requests a second that one key may make, and after a comma how many at one "
        "time: `50,200`; without a comma, those of two seconds. Past that 429. 0 for no limit.",
    )
    rate_per_address: Rate = Field(
        default="0",
        description="The same for each address that requests come from, a /64 of IPv6 as one.",
    )
    rate_failed_auth: Rate = Field(
        default="0.2,20",
        description="The same for requests with a key that is not valid, by address.",
    )
    replicas: Positive = Field(
        default=1,
        description="Copies of the service that clients are spread over. Each of their workers "
        "allows its part of the rates.",
    )
    trusted_proxies: Networks | None = Field(
        default=None,
        description="Addresses and networks, with commas between, of the proxies whose "
        "`Forwarded` or `X-Forwarded-For` says which address a request comes from. Unset: none.",
    )
    head_timeout: PositiveSeconds = Field(
        default=10, description="Time for a connection to send a whole request head."
    )
    body_timeout: PositiveSeconds = Field(
        default=60, description="Time for a whole request body to arrive."
    )
    body_min_rate: Annotated[ByteSize, Field(ge=0)] = Field(
        default=ByteSize(1024),
        description="Bytes a second that a body must come at, on average, after its first "
        "5 seconds; 0 asks for none. A pause of 10 seconds ends it in any case.",
    )
    keep_alive: PositiveSeconds = Field(
        default=75, description="Time that an idle connection stays open."
    )
    connection_max_age: Seconds = Field(
        default=0,
        description="Age at which a connection is closed after its current answer; 0 for never.",
    )
    queue_timeout: PositiveSeconds = Field(
        default=10,
        description="Time that a request whose body has arrived may wait for a thread; past that "
        "503.",
    )
    shed_after: Seconds = Field(
        default=1,
        description="Time after which, if every wait in it was longer than a fifth of it, new "
        "requests get 503 until waits are short again; 0 for never.",
    )
    database_timeout: PositiveSeconds = Field(
        default=10, description="Deadline of one database operation, or of one batch of a stream."
    )
    stall_timeout: PositiveSeconds = Field(
        default=60, description="Time that a client may leave an answer unread before it is cut."
    )
    drain_delay: Seconds = Field(
        default=0,
        description="Time after SIGTERM in which the service goes on serving, with `/readyz` "
        "503 and `Connection: close`, so that load balancers look elsewhere.",
    )
    drain_timeout: PositiveSeconds = Field(
        default=30, description="Time that work under way then gets to finish."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="`json`, `text`, or `auto`: text on a terminal, JSON elsewhere.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least severe level written: `debug`, `info`, `warning`, `error`.",
    )
    url: str = Field(
        default="http://127.0.0.1:5000",
        description="The service that `demijohn import`, `export` and `drill` speak to.",
    )
    key: str | None = Field(
        default=None,
        repr=False,
        description="The key that `import`, `export` and `drill` show it, where it asks for keys.",
    )
    drill_uri: str | None = Field(
        default=None,
        description="The database in which `demijohn drill` reads its own documents, past the "
        "service. Unset: the one in the cluster, through a forwarded port.",
    )

    def environ(self) -> dict[str, str]:
        """The same settings as environment variables, for a child process."""
        values = self.model_dump(mode="json", exclude_none=True)
        return {variable(name): str(value) for name, value in values.items()}


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return URI_NAME if field == "mongodb_uri" else PREFIX + field.upper()


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Read the settings from `environ` and, below it, from `env_file` if that is there.

    Raises SettingsError for a file that is no `.env`, an unknown `DEMIJOHN_…` name or a value
    that its setting does not take. An empty value means unset.
    """
    merged = {**(_read_env_file(env_file) if env_file else {}), **environ}
    fields = {variable(name): name for name in Settings.model_fields}
    given = {name: value for name, value in merged.items() if value and _is_ours(name)}
    unknown = [_unknown(name, fields) for name in given if name not in fields]
    if unknown:
        raise SettingsError(unknown)
    try:
        return Settings.model_validate({fields[name]: value for name, value in given.items()})
    except ValidationError as error:
        raise SettingsError([_wrong_value(dict(fault)) for fault in error.errors()]) from None


def load_here(**overrides: object) -> Settings:
    """The settings of this process: its environment, `./.env`, and options given on top.

    An override of None is as if it were not given.
    """
    given = {variable(name): str(value) for name, value in overrides.items() if value is not None}
    return load({**os.environ, **given}, Path(".env"))


def _is_ours(name: str) -> bool:
    return name == URI_NAME or name.startswith(PREFIX)


def _unknown(name: str, known: Mapping[str, str]) -> str:
    # Without the prefix, which would make all of them look alike.
    names = [each.removeprefix(PREFIX) for each in known]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=0.6)
    hint = f"did you mean {PREFIX}{near[0]}?" if near else "docs/reference/settings.md lists all."
    return f"{name}: there is no such setting; {hint}"


def _wrong_value(fault: dict[str, object]) -> str:
    location = fault["loc"]
    assert isinstance(location, tuple)
    # The value itself stays out of the message: it may be a URI with a password.
    return f"{variable(str(location[0]))}: {fault['msg']}"


def _read_env_file(path: Path) -> dict[str, str]:
    """The assignments of a `.env` file, none where there is no such file."""
    if not path.is_file():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError([f"{path}: cannot be read: {reason}"]) from None
    bindings = list(parse_stream(StringIO(text)))
    wrong = [
        each.original.line for each in bindings if each.error or (each.key and each.value is None)
    ]
    if "\0" in text or wrong:
        where = f"line {wrong[0]}" if wrong else "a NUL byte"
        raise SettingsError([f"{path}: not of the form NAME=value: {where}"])
    return {each.key: each.value for each in bindings if each.key and each.value is not None}
