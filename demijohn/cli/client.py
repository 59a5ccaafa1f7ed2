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

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

import click
import orjson
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    InvalidChunkLength,
    InvalidHeader,
    LocationParseError,
    LocationValueError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import Retry, parse_url

from demijohn import settings
from demijohn.errors import Fault

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 120.0
"""Seconds without a byte; well past the service's own deadlines, which answer before it."""
LARGEST_PROBLEM = 1024 * 1024
CHUNK = 64 * 1024
NO_ANSWER = 0
"""The status of a Problem where the service gave none."""


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
    """An answer of the service other than success, as the client understood it (RFC 9457)."""

    status: int
    code: str
    """The service's stable code, or `http-{status}` where the answer has none."""
    detail: str
    errors: tuple[Fault, ...] = ()
    retry_after: float | None = None
    """Seconds, from the header Retry-After."""

    @property
    def typed(self) -> bool:
        """Whether the answer was a problem of this service, not a proxy's or a stranger's."""
        return self.code != _stand_in_code(self.status)

    def __str__(self) -> str:
        """One line for people."""
        if not self.typed or not self.status:
            return self.detail
        return f"{self.status} {self.code}: {self.detail}"


class Refused(ClientError):
    """The service answered with a problem in place of the data that was asked for."""

    def __init__(self, url: str, problem: Problem) -> None:
        """Take the service's address and the problem."""
        wait = f" (Retry after {problem.retry_after:.0f} s.)" if problem.retry_after else ""
        super().__init__(f"{url}: {problem}{wait}")
        self.problem = problem


class Service:
    """A service at `url`, over at most `connections` kept-alive connections; thread-safe."""

    def __init__(self, url: str, connections: int = 1) -> None:
        """Take the service's address, as `service_url` gives it; connect to nothing yet."""
        self.url = url
        self._data_url = f"{url}/data"
        self._pool = PoolManager(
            num_pools=1,
            maxsize=connections,
            retries=False,
            timeout=Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
        )

    def __enter__(self) -> Self:
        """Give the service itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def insert(self, document: bytes) -> Problem | None:
        """POST one document, its bytes unchanged; None when the service says it is stored.

        Raises Unreachable and ConnectionLost.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        with self._request("POST", headers, document) as response:
            body = _read(response)
            return None if response.status == HTTPStatus.CREATED else _problem(response, body)

    @contextmanager
    def documents(self) -> Iterator[Iterator[bytes]]:
        """The bytes of the JSON array of every document, in chunks as they arrive.

        Raises Unreachable, Refused, and (while it is read) ConnectionLost when it is cut.
        """
        with self._request("GET", {"Accept": "application/json"}) as response:
            if response.status != HTTPStatus.OK:
                raise Refused(self.url, _problem(response, _read(response)))
            yield _chunks(response)

    @contextmanager
    def _request(
        self, method: str, headers: dict[str, str], body: bytes | None = None
    ) -> Iterator[BaseHTTPResponse]:
        try:
            response = self._pool.request(
                method,
                self._data_url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except (ConnectTimeoutError, LocationValueError) as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            raise Unreachable(self.url, _reason(error), refused=refused) from error
        except (HTTPError, OSError) as error:
            raise ConnectionLost(_reason(error)) from error
        try:
            yield response
        finally:
            if response.connection is not None:
                # Not read to its end: what remains would be taken for the next answer.
                response.close()
            response.release_conn()


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
        parts = None
    if not parts or parts.scheme not in ("http", "https") or not parts.host:
        raise click.UsageError(f"{url!r} is no http:// or https:// address.")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise click.UsageError("The address takes no credentials, query or fragment.")
    return url


def parse_problem(status: int, reason: str, body: bytes, retry_after: float | None) -> Problem:
    """What an answer with this status and body says, whoever it is from."""
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError:
        members = None
    code = members.get("code") if isinstance(members, dict) else None
    if not isinstance(members, dict) or not isinstance(code, str) or not code:
        return Problem(
            status,
            _stand_in_code(status),
            f"The answer was {status} {reason}".rstrip() + ", and not from a demijohn.",
            retry_after=retry_after,
        )
    detail = members.get("detail") or members.get("title") or code
    return Problem(status, code, str(detail), tuple(_faults(members)), retry_after)


def _faults(members: dict[str, object]) -> Iterator[Fault]:
    errors = members.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict) and isinstance(error.get("pointer"), str):
            yield Fault(error["pointer"], str(error.get("detail", "")))


def _stand_in_code(status: int) -> str:
    return f"http-{status}"


def _problem(response: BaseHTTPResponse, body: bytes) -> Problem:
    try:
        retry_after = Retry().get_retry_after(response)
    except InvalidHeader:
        retry_after = None
    return parse_problem(response.status, response.reason or "", body, retry_after)


def _read(response: BaseHTTPResponse) -> bytes:
    """The body, as far as a problem's may go; a body that is cut counts as far as it came."""
    try:
        return response.read(LARGEST_PROBLEM)
    except (HTTPError, OSError):
        return b""


def _chunks(response: BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from response.stream(CHUNK)
    except (HTTPError, OSError) as error:
        raise ConnectionLost(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Why a request failed, in a few words for people."""
    inner = error.args[1] if isinstance(error, ProtocolError) and error.args[1:] else None
    cause = inner or error.__cause__ or error
    if isinstance(cause, IncompleteRead | InvalidChunkLength):
        return "the connection ended in the middle of the answer"
    if isinstance(error, ReadTimeoutError):
        return f"no answer within {READ_TIMEOUT:.0f} seconds"
    if isinstance(error, ConnectTimeoutError) and isinstance(cause, TimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:.0f} seconds"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
