"""The entry point of a worker process: `python -m demijohn.launcher.worker`, by the launcher."""

from __future__ import annotations

import os
import socket
import sys

import click

from demijohn.exits import Exit
from demijohn.settings import SettingsError, load

LEFT_OUT = ("rich",)
"""For terminals. structlog imports it where it finds it, and Pygments and attrs with it: 4 MiB."""


@click.command(hidden=True)
@click.option("--listen-fd", type=int, required=True)
@click.option("--management-fd", type=int)
@click.option("--launcher-fd", type=int, required=True)
def main(listen_fd: int, management_fd: int | None, launcher_fd: int) -> None:
    """Serve on inherited sockets until told to stop or the launcher is gone."""
    leave_out()
    # Not above: what serves imports structlog.
    from demijohn.launcher.serving import serve  # noqa: PLC0415

    management = None if management_fd is None else socket.socket(fileno=management_fd)
    try:
        code = serve(load(os.environ), socket.socket(fileno=listen_fd), management, launcher_fd)
    except SettingsError as error:
        for message in error.messages:
            click.echo(f"Error: {message}", err=True)
        code = Exit.USAGE
    sys.exit(code)


def leave_out() -> None:
    """Have libraries that no worker needs not found from now on (Python reference, 5.3.1)."""
    for name in LEFT_OUT:
        sys.modules[name] = None  # type: ignore[assignment]


if __name__ == "__main__":
    main()
