"""The command `demijohn`."""

from __future__ import annotations

import importlib
from typing import ClassVar, cast

import click

from demijohn import __version__
from demijohn.cli.saying import plain


class _Commands(click.Group):
    """A group that loads a command's module only when that command runs."""

    parts: ClassVar[dict[str, tuple[str, str, str]]] = {
        "serve": ("demijohn.cli.serve", "serve_command", "Run the service."),
        "import": ("demijohn.cli.importing", "import_command", "Send documents to a service."),
        "export": ("demijohn.cli.exporting", "export_command", "Fetch documents from a service."),
        "keys": ("demijohn.cli.keys", "keys_command", "Make, list and revoke keys."),
        "drill": ("demijohn.cli.drill", "drill_command", "Prove promises on your own cluster."),
        "secrets": ("demijohn.cli.secrets", "secrets_command", "Make a deployment's passwords."),
        "configure-database": (
            "demijohn.cli.configure",
            "configure_command",
            "Make a mongod what the service needs.",
        ),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of `parts`."""
        del ctx
        return list(self.parts)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its own module; None where there is none of that name."""
        del ctx
        if cmd_name not in self.parts:
            return None
        module, attribute, _ = self.parts[cmd_name]
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that is asked for; a complaint about words shows them as text."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            said = error.format_message()
            if plain(said) == said:
                raise
            raise click.UsageError(plain(said), error.ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list for `--help`, without loading the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, part[2]) for name, part in self.parts.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="demijohn", message="%(prog)s %(version)s")
def main() -> None:
    """JSON documents over HTTP, kept in MongoDB.

    Settings come from the environment and from ./.env (docs/reference/settings.md).
    """
