"""`demijohn keys`: the keys of a service that asks for them (`DEMIJOHN_AUTH=keys`).

They are made and revoked beside the service, in its database or in a file; over HTTP nobody can.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click
import orjson

from demijohn.cli.saying import fail
from demijohn.errors import BadParameter, NotFound, Problem
from demijohn.exits import Exit
from demijohn.settings import Settings, SettingsError, load_here

if TYPE_CHECKING:
    from demijohn.auth.keys import Key

_LIFETIME = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Lifetime(click.ParamType[float]):
    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        found = _LIFETIME.fullmatch(value)
        if found is None:
            self.fail("a number and s, m, h or d, as in 90d.", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


class _Keys(Protocol):
    """Where keys are kept."""

    def add(self, key: Key) -> None:
        """Keep a new one."""
        ...

    def remove(self, id_: str) -> None:
        """Forget one. Raises NotFound."""
        ...

    def all(self) -> Mapping[str, Key]:
        """All of them, by their ids."""
        ...


class _InFile:
    """Keys in a file, which is written anew at each change."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, key: Key) -> None:
        self._write({**self.all(), key.caller.id: key})

    def remove(self, id_: str) -> None:
        keys = self.all()
        if keys.pop(id_, None) is None:
            raise NotFound(f"There is no key {id_[:100]} in {self._path}.")
        self._write(keys)

    def all(self) -> dict[str, Key]:
        from demijohn.auth.keyring import read_file  # noqa: PLC0415

        return read_file(self._path) if self._path.exists() else {}

    def _write(self, keys: Mapping[str, Key]) -> None:
        """Write all of them, so that whoever reads meanwhile has the old file or the new one."""
        from demijohn.auth.keys import to_record  # noqa: PLC0415

        records = [to_record(key) for key in keys.values()]
        draft = self._path.with_name(self._path.name + ".new")
        draft.write_bytes(orjson.dumps(records, option=orjson.OPT_INDENT_2) + b"\n")
        draft.replace(self._path)


file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file of keys in place of the database, for DEMIJOHN_KEYS_FILE; it holds no secrets.",
)


@click.group("keys")
def keys_command() -> None:
    """Keys of a service that asks for them (DEMIJOHN_AUTH=keys).

    They are kept in the database that MONGODB_URI names, or in the embedded one of the service
    that runs in DEMIJOHN_DATA_DIR; or in a file. Of a key's secret only a digest is kept.
    """


@keys_command.command("create")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="COLLECTION:LEVEL",
    help="What it may do: read, write or admin, in a collection or in all (*). May be repeated.",
)
@click.option(
    "--rows",
    metavar="JSON",
    help="""The only documents that there are to it, by what is equal: '{"owner":"ada"}'.""",
)
@click.option("--name", default="", help="What it is for; shown in lists.")
@click.option("--lifetime", type=_Lifetime(), help="After which it is no key any more: 12h, 90d.")
@file_option
def create_command(
    *,
    scopes: tuple[str, ...],
    rows: str | None,
    name: str,
    lifetime: float | None,
    path: Path | None,
) -> None:
    """Make a key and print it; it is shown this once."""
    from demijohn.auth.keys import make_key  # noqa: PLC0415
    from demijohn.query.rows import read_rows  # noqa: PLC0415

    with _told():
        filter_ = None if rows is None else read_rows(os.fsencode(rows))
        key, text = make_key(scopes, filter_, name, time.time(), lifetime)
        with _kept(path) as keys:
            keys.add(key)
    click.echo(text)
    if sys.stdout.isatty():
        click.echo(f"It is not shown again. To revoke it: demijohn keys revoke {key.caller.id}")


@keys_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@file_option
def list_command(*, as_json: bool, path: Path | None) -> None:
    """Show the keys that there are, without their secrets."""
    with _told(), _kept(path) as keys:
        found = sorted(keys.all().values(), key=lambda key: (key.created, key.caller.id))
    if as_json:
        for key in found:
            click.echo(orjson.dumps(_shown(key)))
    else:
        _show(found)


@keys_command.command("revoke")
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@file_option
def revoke_command(*, ids: tuple[str, ...], path: Path | None) -> None:
    """Make keys useless, everywhere within five seconds."""
    with _told(), _kept(path) as keys:
        for id_ in ids:
            # A whole key names itself too: who wants to revoke one may have nothing else of it.
            keys.remove(id_.removeprefix("dj_").partition("_")[0])


@contextmanager
def _kept(path: Path | None) -> Iterator[_Keys]:
    """The keys in a file, or in the database that the settings name."""
    if path is not None:
        yield _InFile(path)
        return
    from demijohn.auth.keyring import Kept  # noqa: PLC0415
    from demijohn.store.documents import Store  # noqa: PLC0415
    from demijohn.telemetry.metrics import Metrics  # noqa: PLC0415

    settings = load_here()
    store = Store(_uri(settings), settings, Metrics())
    try:
        yield Kept(store)
    finally:
        store.close()


def _uri(settings: Settings) -> str:
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri
    from demijohn.launcher.embedded import uri_beside  # noqa: PLC0415

    uri = uri_beside(settings.data_dir)
    if uri is None:
        raise NotFound(
            f"No embedded database runs in {settings.data_dir}. Start the service first, or set "
            "MONGODB_URI, or keep the keys in a file (--file)."
        )
    return uri


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong, in a line, and end."""
    try:
        yield
    except SettingsError as error:
        fail(Exit.USAGE, *error.messages)
    except BadParameter as problem:
        fail(Exit.USAGE, problem.detail)
    except Problem as problem:
        fail(Exit.FAILED, problem.detail)
    except OSError as error:
        fail(Exit.FAILED, f"{error.filename}: {error.strerror}")


def _shown(key: Key) -> dict[str, object]:
    from demijohn.auth.keys import to_record  # noqa: PLC0415

    record = to_record(key)
    del record["digest"]
    return record


def _show(keys: list[Key]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    columns: dict[str, Callable[[dict[str, object]], str]] = {
        "id": lambda shown: str(shown["id"]),
        "name": lambda shown: str(shown.get("name", "")),
        "scopes": lambda shown: "\n".join(map(str, shown["scopes"])),  # type: ignore[call-overload]
        "rows": lambda shown: orjson.dumps(shown["rows"]).decode() if "rows" in shown else "",
        "created": lambda shown: str(shown["created"]),
        "expires": lambda shown: str(shown.get("expires", "never")),
    }
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    now = time.time()
    for key in keys:
        style = "dim" if key.expires is not None and key.expires <= now else None
        table.add_row(*(Text(show(_shown(key))) for show in columns.values()), style=style)
    console = Console()
    # Whoever reads it by a program gets it whole.
    console.print(table, width=None if console.is_terminal else 10_000)
