"""The HTTP client of `demijohn import` and `demijohn export`: one request in, one verdict out.

It never repeats a request and follows no redirect: whether a write may be sent again is for its
caller to decide, who is told exactly how a request ended (the errors below).

::

    ClientError
    ├── Unreachable      no connection could be made, so nothing was sent
    ├── ConnectionLost   the connection failed after the request was (partly) sent
    └── Refused          the service answered with something other than the data asked for
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from socket import socket
from urllib.parse import quote, urlencode

import click
import orjson
from urllib3.exceptions import InvalidHeader, LocationParseError
from urllib3.util import Retry, Url, parse_url

from demijohn import settings
from demijohn.cli.exchange import PORTS, Exchange, Lost, connect, head, reason
from demijohn.formats import media_types
from demijohn.telemetry.printable import printable

LARGEST_PROBLEM = 1024 * 1024
_KEY = re.compile(r"[\x21-\x7e]+")
NO_ANSWER = 0
"""The status of a Problem where the service gave none."""
CANONICAL = f"{media_types.NDJSON}; mode=canonical"
"""Lines of Extended JSON: nothing of a document is lost."""

collection_option = click.option(
    "--collection",
    metavar="NAME",
    default="data",
    show_default=True,
    help="The collection of documents.",
)


class ClientError(Exception):
    """The root of the tree above; its text is one line for people."""


class Unreachable(ClientError):
    """No connection could be made."""

    def __init__(self, url: str, reason: str, *, refused: bool = False) -> None:
        """Take the reason, for people, and whether a machine said that nobody listens there."""
        hint = ". Is one running? `demijohn serve` starts one." if refused else f": {reason}."
        super().__init__(f"No service at {url}{hint}")
        self.reason = reason


class ConnectionLost(ClientError):
    """The connection failed when the request was under way: its effect is not known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What the service says of a request, or of a record in it, that it refuses (RFC 9457)."""

    status: int
    code: str
    """The service's stable code, or `http-{status}` where the answer has none."""
    detail: str
    pointer: str | None = None
    """A JSON Pointer to what is wrong in the record, where one place is."""
    retry_after: float | None = None
    """Seconds, from the header Retry-After."""

    @property
    def typed(self) -> bool:
        """Whether the answer was a problem of this service, not a proxy's or a stranger's."""
        return self.code != _stand_in_code(self.status)

    def __str__(self) -> str:
        """One line for people."""
        if not self.typed or not self.status:
            return printable(self.detail)
        return printable(f"{self.status} {self.code}: {self.detail}")


class Refused(ClientError):
    """The service answered with a problem in place of the data that was asked for."""

    def __init__(self, url: str, problem: Problem) -> None:
        """Take the service's address and the problem."""
        wait = f" (Retry after {problem.retry_after:.0f} s.)" if problem.retry_after else ""
        super().__init__(f"{url}: {problem}{wait}")
        self.problem = problem


class Service:
    """One collection of a service; each request has a connection of its own. Thread-safe."""

    def __init__(self, url: str, collection: str, key: str | None = None) -> None:
        """Take the service's address, as `service_url` gives it; connect to nothing yet.

        `key` is shown with each request.
        """
        self.url = url
        self._shown = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._parts = parse_url(url)
        self._path = f"/v1/collections/{quote(collection, safe='')}"

    @contextmanager
    def upload(self, lines: bytes, *, extended: bool) -> Iterator[Iterator[bytes]]:
        """POST documents, one a line; the lines of the answer, while the others are on their way.

        Raises Unreachable, Refused, and (while it is read too) ConnectionLost.
        """
        kind = CANONICAL if extended else media_types.NDJSON
        path = f"{self._path}/documents"
        with self._request("POST", path, media_types.NDJSON, kind, lines) as chunks:
            yield split_lines(chunks)

    @contextmanager
    def documents(self, asked: dict[str, str], accept: str) -> Iterator[Iterator[bytes]]:
        """The collection's documents as NDJSON, in chunks as they arrive.

        `asked` are parameters of the route. Raises Unreachable, Refused and, while it is read too,
        ConnectionLost when it is cut.
        """
        query = f"?{urlencode(asked, quote_via=quote)}" if asked else ""
        with self._request("GET", f"{self._path}/documents{query}", accept) as chunks:
            yield chunks

    def search(self, asked: bytes) -> Iterator[bytes]:
        """The documents that a search, in Extended JSON, finds: a line of that for each.

        Raises Unreachable, Refused, ConnectionLost.
        """
        kind = media_types.EXTENDED
        with self._request("POST", f"{self._path}/search", CANONICAL, kind, asked) as chunks:
            yield from split_lines(chunks)

    @contextmanager
    def _request(
        self, method: str, path: str, accept: str, kind: str | None = None, body: bytes = b""
    ) -> Iterator[Iterator[bytes]]:
        """The chunks of the answer, if it is a 200 with NDJSON."""
        headers = {"User-Agent": "demijohn", "Accept": accept, **self._shown}
        if kind is not None:
            headers |= {"Content-Type": kind, "Content-Length": str(len(body))}
        request = head(self._parts, method, path, headers)
        with self._connected() as sock:
            try:
                exchange = Exchange(sock, request, body)
                exchange.begin()
                if exchange.status != HTTPStatus.OK or not _is_ndjson(exchange):
                    raise Refused(self.url, _problem(exchange))
                yield exchange.body()
            except Lost as error:
                raise ConnectionLost(str(error)) from error

    @contextmanager
    def _connected(self) -> Iterator[socket]:
        with ExitStack() as stack:
            try:
                sock = stack.enter_context(connect(self._parts))
            except OSError as error:
                refused = isinstance(error, ConnectionRefusedError)
                raise Unreachable(self.url, reason(error), refused=refused) from error
            yield sock


def service_url(option: str | None) -> str:
    """The address from the option, else from the setting, without a slash at its end.

    Raises click.UsageError for settings that cannot be used and for what is no http(s) URL.
    """
    try:
        url = settings.load_here(url=option).url.rstrip("/")
    except settings.SettingsError as error:
        raise click.UsageError(str(error)) from None
    try:
        parts = parse_url(url)
    except LocationParseError:
        parts = Url()
    if parts.scheme not in PORTS or not parts.host:
        raise click.UsageError(f"{url!r} is no http:// or https:// address.")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise click.UsageError("The address takes no credentials, query or fragment.")
    return url


def service_key() -> str | None:
    """The key in the settings, if there is one. Raises click.UsageError for what can be none."""
    try:
        key = settings.load_here().key
    except settings.SettingsError as error:
        raise click.UsageError(str(error)) from None
    if key is not None and not _KEY.fullmatch(key):
        # It is not quoted: a secret, or a part of one.
        raise click.UsageError("DEMIJOHN_KEY is no key.")
    return key


def split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The whole lines of a text that comes in chunks, without their ends."""
    parts: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts)
            parts = [other]


def parse_problem(status: int, body: bytes, retry_after: float | None = None) -> Problem:
    """What an answer with this status and body says, whoever it is from."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        members = None
    code = members.get("code") if isinstance(members, dict) else None
    if not isinstance(members, dict) or not isinstance(code, str) or not code:
        detail = f"The answer was {status}, and not from a demijohn."
        return Problem(status, _stand_in_code(status), detail, retry_after=retry_after)
    detail = members.get("detail") or members.get("title") or code
    pointer = members.get("pointer") or None
    return Problem(status, code, str(detail), pointer and str(pointer), retry_after)


def _stand_in_code(status: int) -> str:
    return f"http-{status}"


def _is_ndjson(exchange: Exchange) -> bool:
    kind = exchange.headers.get("content-type", "")
    return kind.partition(";")[0].strip() == media_types.NDJSON


def _problem(exchange: Exchange) -> Problem:
    """What the answer says, as far as it came."""
    body = b""
    try:
        for chunk in exchange.body():
            body += chunk
            if len(body) > LARGEST_PROBLEM:
                break
    except Lost:
        pass  # The status says enough.
    return parse_problem(exchange.status, body, _retry_after(exchange))


def _retry_after(exchange: Exchange) -> float | None:
    try:
        return Retry().parse_retry_after(exchange.headers["retry-after"])
    except (KeyError, InvalidHeader):
        return None
