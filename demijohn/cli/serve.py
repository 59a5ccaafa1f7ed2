"""`demijohn serve`: run the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from demijohn.cli.saying import fail
from demijohn.exits import Exit
from demijohn.settings import SettingsError, load_here

PORT = click.IntRange(0, 65535)


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Address to listen on [DEMIJOHN_HOST; 127.0.0.1].")
@click.option("--port", type=PORT, help="Port; 0 picks a free one [DEMIJOHN_PORT; 5000].")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Worker processes [DEMIJOHN_WORKERS; by the CPUs there are].",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where the embedded database keeps its files [DEMIJOHN_DATA_DIR; ./demijohn-data].",
)
@click.option(
    "--management-port",
    type=PORT,
    help="A port of its own for /metrics and the probes [DEMIJOHN_MANAGEMENT_PORT].",
)
def serve_command(**options: object) -> NoReturn:
    """Run the service until Ctrl-C or SIGTERM.

    It keeps documents in the MongoDB that the environment variable MONGODB_URI names (there is
    no option for it: other users of the machine can read a command line). Without MONGODB_URI
    it starts an embedded database of its own.

    Each option stands above its environment variable, given in brackets with the default.
    """
    if os.name == "nt":
        fail(
            Exit.USAGE, "`demijohn serve` needs Linux, macOS or WSL (Windows Subsystem for Linux)."
        )
    # Not above: the launcher needs modules that Windows does not have.
    from demijohn.launcher.failure import LaunchError  # noqa: PLC0415
    from demijohn.launcher.serve import serve  # noqa: PLC0415

    try:
        code = serve(load_here(**options))
    except SettingsError as error:
        fail(Exit.USAGE, *error.messages)
    except LaunchError as error:
        fail(error.code, *filter(None, [error.message]))
    sys.exit(code)
