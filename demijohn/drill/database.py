"""The way to the database itself: a URI, or a forwarded port and the drill's own user."""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from demijohn.drill.errors import DrillError
from demijohn.drill.kubectl import Kubectl, KubectlError
from demijohn.drill.outcomes import MARKER
from demijohn.settings import Settings
from demijohn.store.markers import Markers, MarkersError

POD = "mongodb-0"
SECRET = "flask-mongodb-auth"  # noqa: S105 (the name of an object)
PASSWORD_KEY = "drill-password"  # noqa: S105 (the name of a key)
USER = "demijohnDrill"
_FORWARDED = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ")
_PATIENCE = 20.0
_ARRIVES_WITHIN = 5.0
"""Seconds for a member of a replica set to have what a majority of the others has."""
_POLL = 0.2
_ELSEWHERE = "For a database elsewhere, DEMIJOHN_DRILL_URI names it."


@contextmanager
def opened(kubectl: Kubectl, settings: Settings) -> Iterator[Markers]:
    """The markers in the database, for as long as the context lasts. Raises DrillError."""
    try:
        if settings.drill_uri:
            with Markers(settings.drill_uri, settings.database, MARKER) as markers:
                yield markers
            return
        password = _password(kubectl)
        with (
            _forwarded(kubectl) as port,
            Markers(_uri(port, password), settings.database, MARKER) as markers,
        ):
            yield markers
    except MarkersError as error:
        raise DrillError(f"The database for the drill's own look: {error}.") from None


def check_arrival(kubectl: Kubectl, settings: Settings, run: str) -> None:
    """Raise DrillError where nothing that the service has acknowledged for a run is to be found.

    As where the address is one cluster's and kubectl's context another's: the drill would have its
    faults happen to the wrong one.
    """
    deadline = time.monotonic() + _ARRIVES_WITHIN
    with opened(kubectl, settings) as markers:
        while not markers.has(run):
            if time.monotonic() > deadline:
                raise DrillError(
                    "What the service has acknowledged is not in the database that the drill reads "
                    f"({settings.database}). It is lost, or --url names another service than "
                    "kubectl's context and DEMIJOHN_DRILL_URI. Nothing was done to the cluster; "
                    f"documents of run {run} may be where the service keeps them."
                )
            time.sleep(_POLL)


def _uri(port: int, password: str) -> str:
    options = "directConnection=true&authSource=admin"
    return f"mongodb://{USER}:{quote(password, safe='')}@127.0.0.1:{port}/?{options}"


def _password(kubectl: Kubectl) -> str:
    try:
        data = kubectl.get("secret", SECRET).get("data") or {}
        return base64.b64decode(data[PASSWORD_KEY], validate=True).decode()
    except KubectlError as error:
        raise DrillError(f"No password for {USER} ({error}). {_ELSEWHERE}") from None
    except (KeyError, binascii.Error, UnicodeDecodeError):
        raise DrillError(
            f"The Secret {SECRET} has no usable key {PASSWORD_KEY}, with which the drill reads "
            f"its documents in the database. {_ELSEWHERE}"
        ) from None


@contextmanager
def _forwarded(kubectl: Kubectl) -> Iterator[int]:
    """A free port of this machine that leads to the database's."""
    process = kubectl.start("port-forward", f"pod/{POD}", ":27017")
    # Whatever happens to the cluster, nobody waits for its first line for ever.
    timer = threading.Timer(_PATIENCE, process.kill)
    timer.start()
    try:
        port = _port(process)
        timer.cancel()
        yield port
    finally:
        timer.cancel()
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
        process.kill()
        process.communicate()


def _port(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if found := _FORWARDED.match(line):
            return int(found[1])
    said = process.stderr.read().decode("utf-8", "replace").strip()
    raise DrillError(f"No way to the database in {POD}: {said or 'port-forward gave no port'}.")
