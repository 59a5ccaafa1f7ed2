"""From ASGI to the WSGI application (PEP 3333), in one hop.

The body is already read. A thread runs the application and gives the whole answer back; where
the answer streams, it gives back the first chunk, and each further one is fetched by a hop of
its own when the client has taken the one before, so that a slow client holds no thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from demijohn.edge.context import CONTEXT, PROBLEM, ROUTE, Context
from demijohn.edge.entrance import NO_ROUTE
from demijohn.front.threads import Threads

T = TypeVar("T")
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
_OWN_VARIABLES = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_DROPPED = frozenset({b"transfer-encoding", b"content-length", b"connection", b"upgrade"})
"""What is between the client and the shell: the body has been read, its real length counts."""
NO_SLOTS: Mapping[str, object] = MappingProxyType({})


class Answer(NamedTuple):
    """What the application said. ``rest`` is None where ``body`` is the whole."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    rest: Rest | None
    route: str
    problem: str | None


class Rest(Protocol):
    """What follows the first chunk of a streamed answer."""

    async def next(self) -> bytes | None:
        """The next chunk, None after the last. What it raises cuts the answer."""
        ...

    async def close(self) -> None:
        """Free what the stream holds; called once, whatever has happened."""
        ...


class Chunks:
    """The rest of a streamed answer; each method is one hop to a thread."""

    def __init__(
        self, threads: Threads, chunks: Iterator[bytes], close: Callable[[], None]
    ) -> None:
        """Take the application's iterator and how to close it."""
        self._threads = threads
        self._chunks = chunks
        self._close = close

    async def next(self) -> bytes | None:
        """The next chunk, None after the last. Raises what the application raises."""
        return await self._threads.run(partial(next, self._chunks, None))

    async def close(self) -> None:
        """Let the application free what the stream holds."""
        await self._threads.run(self._close)


Streamed = tuple[bytes, Chunks]
"""The first chunk, and the rest."""


class Bridge:
    """Calls a WSGI application from the event loop."""

    def __init__(self, application: Application, threads: Threads) -> None:
        """Take the application and the threads it runs in."""
        self._application = application
        self._threads = threads

    async def answer(
        self,
        scope: dict[str, Any],
        body: bytes,
        context: Context,
        patience: float,
        slots: Mapping[str, object] = NO_SLOTS,
    ) -> Answer:
        """The application's answer. Raises Overloaded where no thread was free in `patience` s.

        `slots` are put into the environ, for what the application may hand over.
        """
        environ = _environ(scope, body)
        environ[CONTEXT] = context
        environ.update(slots)
        return await self._threads.run(partial(self._call, environ), patience)

    async def stream(self, chunks: Iterator[bytes], patience: float) -> Streamed:
        """Have a thread make the first of the chunks, and then each as its turn comes.

        Raises what making the first one raises, and Overloaded as `answer` does.
        """
        first = await self._threads.run(partial(next, chunks, b""), patience)
        return first, Chunks(self._threads, chunks, _closing(chunks))

    async def hop(self, work: Callable[[], T], patience: float | None = None) -> T:
        """Run a part of something in one of the application's threads.

        Raises Overloaded as `answer` does; with no patience said it waits for as long as it takes.
        """
        return await self._threads.run(work, patience)

    def _call(self, environ: Environ) -> Answer:
        start = _Start()
        chunks = self._application(environ, start)
        close = _closing(chunks)
        whole = isinstance(chunks, list | tuple) or start.has_length()
        iterator = iter(chunks)
        try:
            body = b"".join(iterator) if whole else next(iterator, b"")
        except BaseException:
            close()
            raise
        if whole:
            close()
        return Answer(
            status=start.status,
            headers=start.headers,
            body=body,
            rest=None if whole else Chunks(self._threads, iterator, close),
            route=environ.get(ROUTE, NO_ROUTE),
            problem=environ.get(PROBLEM),
        )


class _Start:
    """WSGI's `start_response`, as a value to read afterwards."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[str, str]] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], None]:
        self.status = int(status[:3])
        self.headers = headers
        return _refuse_write

    def has_length(self) -> bool:
        return any(name.lower() == "content-length" for name, _ in self.headers)


def _closing(chunks: Iterable[bytes]) -> Callable[[], None]:
    close: Callable[[], None] = getattr(chunks, "close", _nothing)
    return close


def _nothing() -> None:
    """Close what has nothing to close."""


def _refuse_write(_: bytes) -> None:
    """WSGI's imperative `write()`: no framework of this century calls it."""
    raise NotImplementedError


def _environ(scope: dict[str, Any], body: bytes) -> Environ:
    host, port = scope["server"] or ("", 0)
    client = scope["client"] or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add_header(environ, name, value)
    return environ


def _add_header(environ: Environ, name: bytes, value: bytes) -> None:
    if name in _DROPPED or b"_" in name:
        return  # `a_b` and `a-b` would be one variable, and a proxy may have checked the other
    text = name.decode("latin-1")
    variable = _OWN_VARIABLES.get(text) or "HTTP_" + text.upper().replace("-", "_")
    known = environ.get(variable)
    decoded = value.decode("latin-1")
    environ[variable] = decoded if known is None else f"{known},{decoded}"
