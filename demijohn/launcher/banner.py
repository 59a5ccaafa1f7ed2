"""What is said once the service runs: a few lines for a person, the same facts for a log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

VENDOR = "The embedded database is a beta; its maker says to keep no production data in it."


@dataclass(frozen=True, slots=True)
class Facts:
    """What the service is and where."""

    url: str
    management_url: str | None
    workers: int
    data_dir: Path | None
    """None where MONGODB_URI names the database."""
    database_host: str | None
    """The hosts of MONGODB_URI, without user and password."""
    auth: str | None
    """The setting of that name."""


def uri_hosts(uri: str) -> str:
    """The hosts of a MongoDB URI, and nothing else of it."""
    authority = uri.partition("://")[2].partition("/")[0].partition("?")[0]
    return authority.rpartition("@")[2]


def announce(facts: Facts, *, terminal: bool) -> None:
    """Say it, to stderr: as a banner on a terminal, else as lines of the log."""
    if terminal:
        _print(facts)
    else:
        _log(facts)


def _print(facts: Facts) -> None:
    # Loaded after the service is up: it costs a tenth of a second.
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"\n[bold]demijohn[/] listens on [bold green]{facts.url}[/]")
    for label, text in _rows(facts):
        console.print(f"  [dim]{label:<10}[/] {text}", markup=True)
    console.print()


def _rows(facts: Facts) -> list[tuple[str, str]]:
    from rich.markup import escape  # noqa: PLC0415 - see above

    rows = []
    if facts.management_url:
        rows.append(("probes", f"{facts.management_url}/metrics, /livez, /readyz"))
    if facts.data_dir is not None:
        rows.append(("data", escape(str(facts.data_dir))))
        rows.append(("", f"[yellow]{VENDOR}[/]"))
        rows.append(
            ("", "Your own MongoDB: start it again with MONGODB_URI=mongodb://localhost:27017/ set")
        )
    if facts.database_host is not None:
        rows.append(("database", escape(facts.database_host)))
    if facts.auth == "open":
        rows.append(("access", "[yellow]open: whoever reaches this address may use it[/]"))
    shown = ""
    if facts.auth == "keys":
        rows.append(("access", "with a key: export KEY=$(demijohn keys create --scope data:write)"))
        shown = '-H "Authorization: Bearer $KEY" '
    body = escape("""-H 'Content-Type: application/json' -d '{"name": "Ada"}'""")
    rows.append(("try", f"curl {shown}{facts.url}/data {body}"))
    rows.append(("", f"curl {shown}{facts.url}/data"))
    rows.append(("stop", "Ctrl-C"))
    return rows


def _log(facts: Facts) -> None:
    log = structlog.get_logger()
    database = "embedded" if facts.data_dir is not None else facts.database_host
    log.info(
        "listening",
        url=facts.url,
        management_url=facts.management_url,
        workers=facts.workers,
        database=database,
        auth=facts.auth or "this machine only",
    )
    if facts.data_dir is not None:
        log.warning(
            "embedded database",
            data_dir=str(facts.data_dir),
            note=f"{VENDOR} Set MONGODB_URI to use a MongoDB of yours.",
        )
    if facts.auth == "open":
        log.warning("access is open: whoever reaches the address may use the service")
