"""`demijohn secrets create`: the passwords of a deployment, made once, for kubectl to take."""

from __future__ import annotations

import base64
import secrets
import sys

import click
import orjson

from demijohn.exits import Exit

NAME = "flask-mongodb-auth"
USER = "demijohnApp"
_BITS = 192
_KEY_BYTES = 756
"""Of a key file: base64 makes 1,008 characters of them, and mongod takes at most 1,024."""


@click.group("secrets")
def secrets_command() -> None:
    """Passwords of a deployment on Kubernetes."""


@secrets_command.command("create")
@click.option("--host", default="mongodb:27017", show_default=True, help="Where MongoDB answers.")
@click.option("--set", "set_name", default="rs0", show_default=True, help="Its replica set.")
def create_command(*, host: str, set_name: str) -> None:
    """Print a new Secret flask-mongodb-auth, for `kubectl create -f -`.

    New passwords each time. The Secret is immutable, so that neither `create` nor `apply` can put
    passwords that the database does not know in the place of those that it does.
    """
    if sys.stdout.isatty():
        click.echo(
            "Error: passwords are not for a screen: demijohn secrets create | kubectl create -f -",
            err=True,
        )
        sys.exit(Exit.USAGE)
    click.echo(orjson.dumps(secret(host, set_name), option=orjson.OPT_INDENT_2))


def secret(host: str, set_name: str) -> dict[str, object]:
    """The Secret, as Kubernetes' API takes it; all values random and safe in a URL."""
    password = _password()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/part-of": "demijohn"}},
        "type": "Opaque",
        "immutable": True,
        "stringData": {
            "uri": f"mongodb://{USER}:{password}@{host}/?replicaSet={set_name}&authSource=admin",
            "root-password": _password(),
            "drill-password": _password(),
            "keyfile": base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode(),
        },
    }


def _password() -> str:
    return secrets.token_urlsafe(_BITS // 8)
