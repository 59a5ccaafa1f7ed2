"""`demijohn configure-database`: beside a mongod, for as long as that lives."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import structlog

from demijohn.cli.saying import complain
from demijohn.exits import Exit
from demijohn.settings import Settings, SettingsError, load_here
from demijohn.telemetry import logs

if TYPE_CHECKING:
    from demijohn.store.configure import Configurator, Wanted

MISSING_EVERY = 1.0
"""Seconds between two tries while it is not done."""
CHECK_EVERY = 5.0
"""Seconds between two looks once it is."""
PATIENCE = 60.0
"""Seconds that `--once` goes on trying."""

log = structlog.get_logger()


@click.command("configure-database")
@click.option(
    "--secrets",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="A directory with the files uri, root-password and drill-password.",
)
@click.option(
    "--member",
    metavar="HOST:PORT",
    help="The set's one member.  [default: this host's full name, and the port]",
)
@click.option("--set", "set_name", default="rs0", show_default=True, help="The replica set.")
@click.option("--port", type=click.IntRange(1, 65535), default=27017, show_default=True)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    help="A file that is there exactly while the database is configured and takes writes.",
)
@click.option("--once", is_flag=True, help="End when it is done, or can't be within a minute.")
def configure_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    secrets: Path,
    member: str | None,
    set_name: str,
    port: int,
    ready_file: Path | None,
    once: bool,
) -> NoReturn:
    """Make the mongod on this machine what the service needs, and keep it so.

    It initiates the replica set, makes the first user by MongoDB's localhost exception, and gives
    the users of the Secret exactly the rights that they need: docs/reference/database.md. Beside
    mongod in its pod, since the first user can be made from the same host alone. Again at any
    time, with the same result.
    """
    # What a supervisor sends at the end. Nothing here has to be finished: the next one would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
    from demijohn.store.configure import Configurator, ConfigureError  # noqa: PLC0415

    try:
        settings = load_here()
        # In a StatefulSet's pod the kubelet writes the full name into /etc/hosts, beside the pod's
        # own address: mongod finds itself by it at each start, whatever DNS still remembers.
        member = member or f"{socket.getfqdn()}:{port}"
        wanted = _wanted(secrets, member, set_name, settings)
    except (SettingsError, ConfigureError) as error:
        complain(f"Error: {error}")
        sys.exit(Exit.USAGE)
    logs.configure(settings)
    if ready_file is not None:
        # Of a predecessor that was killed.
        ready_file.unlink(missing_ok=True)
    configurator = Configurator(wanted, port)
    if once:
        sys.exit(Exit.OK if _until_done(configurator, PATIENCE) else Exit.FAILED)
    while True:
        _until_done(configurator)
        with _ready(ready_file):
            _while_right(configurator)


def _wanted(secrets: Path, member: str, set_name: str, settings: Settings) -> Wanted:
    from demijohn.store.configure import ConfigureError, Wanted, service_user  # noqa: PLC0415

    try:
        uri, root, drill = (
            (secrets / name).read_text(encoding="utf-8").strip()
            for name in ("uri", "root-password", "drill-password")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigureError(f"{secrets}: {error}") from None
    user, password = service_user(uri)
    return Wanted(set_name, member, settings.database, user, password, root, drill)


def _until_done(configurator: Configurator, patience: float | None = None) -> bool:
    """Try until it is done; False where that takes longer than `patience`, or can't succeed."""
    from demijohn.store.configure import ConfigureError, NotYetError  # noqa: PLC0415

    began, said = time.monotonic(), ""
    while True:
        try:
            configurator.configure()
        except (NotYetError, ConfigureError) as error:
            is_hopeless = isinstance(error, ConfigureError)
            if str(error) != said:
                said = str(error)
                say = log.error if is_hopeless else log.info
                say("the database is not configured yet", reason=said)
            if patience is not None and (is_hopeless or time.monotonic() - began > patience):
                return False
            time.sleep(MISSING_EVERY)
        else:
            log.info("database configured", seconds=round(time.monotonic() - began, 1))
            return True


def _while_right(configurator: Configurator) -> None:
    """Look again and again; return when it is no longer as it was left."""
    from demijohn.store.configure import ConfigureError, NotYetError  # noqa: PLC0415

    while True:
        time.sleep(CHECK_EVERY)
        try:
            configurator.check()
        except (NotYetError, ConfigureError) as error:
            log.warning("the database is not as it was left", reason=str(error))
            return


@contextmanager
def _ready(path: Path | None) -> Iterator[None]:
    """Have the file there for the context's time."""
    try:
        if path is not None:
            path.touch()  # in here: the signal that ends this may come right behind it
        yield
    finally:
        if path is not None:
            path.unlink(missing_ok=True)
