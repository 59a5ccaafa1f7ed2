"""TLS to the database, as MONGODB_URI asks: to the one whose certificate it is, or not at all."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Starter
from tests.support.api import Api
from tests.support.database import Database, emptied

HERE = "IP:127.0.0.1"


@dataclass(frozen=True)
class Certificate:
    """One that vouches for itself, and its private key."""

    chain: Path
    key: Path


def _certificate(directory: Path, name: str, subject: str = HERE) -> Certificate:
    """Make one for a host."""
    made = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    about = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}", "-days", "2")
    files = ("-out", str(made.chain), "-keyout", str(made.key))
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *about, *files], check=True, capture_output=True
    )
    return made


class Front:
    """What speaks TLS in front of a database that does not."""

    def __init__(self, target: int, certificate: Certificate) -> None:
        """Take the port to pass to."""
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.chain, certificate.key)
        self.port = 0
        self.connections = 0
        """How many were made to the end of the handshake."""

    async def listen(self) -> asyncio.Server:
        """Begin."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        from_database, to_database = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(_pump(reader, to_database), _pump(from_database, writer))


async def _pump(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            goal.write(data)
            await goal.drain()
    goal.close()


@contextmanager
def _front(database: Database, certificate: Certificate) -> Iterator[Front]:
    front = Front(database.port, certificate)
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(front.listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield front
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


def _uri(front: Front, trusted: Path) -> str:
    options = f"directConnection=true&journal=true&tls=true&tlsCAFile={trusted}"
    return f"mongodb://127.0.0.1:{front.port}/?{options}"


def test_documents_go_by_tls(own_service: Starter, database: Database, tmp_path: Path) -> None:
    """`tls=true` and `tlsCAFile` in the URI: what is written and read passes encrypted."""
    certificate = _certificate(tmp_path, "database")
    with emptied(database.uri, "data") as stored, _front(database, certificate) as front:
        service = own_service({"MONGODB_URI": _uri(front, certificate.chain)})
        api = Api(service.url)

        assert api.insert({"n": 1}).status == 201
        assert api.get("/data").json() == [{"n": 1}]
        assert stored.count_documents({"n": 1}) == 1
        assert front.connections > 0
        service.stop()


@pytest.mark.parametrize("wrong", ["not trusted", "of another host"])
def test_another_certificate_is_not_spoken_to(
    own_service: Starter, database: Database, tmp_path: Path, wrong: str
) -> None:
    """Neither one that nobody vouches for nor another host's: 503, and nothing is sent to it."""
    shown = _certificate(tmp_path, "shown", HERE if wrong == "not trusted" else "DNS:elsewhere")
    trusted = _certificate(tmp_path, "trusted") if wrong == "not trusted" else shown
    with emptied(database.uri, "data") as stored, _front(database, shown) as front:
        service = own_service({"MONGODB_URI": _uri(front, trusted.chain)})
        api = Api(service.url)

        answer = api.insert({"n": 1})

        assert (answer.status, answer.problem()) == (503, "database-unavailable")
        assert front.connections == 0
        assert stored.count_documents({}) == 0
        service.stop()
