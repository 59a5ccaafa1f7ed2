"""The entrance for plain WSGI servers; a request that came through the shell passes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from demijohn.edge.context import CONTEXT, PROBLEM, ROUTE, Admission, Context
from demijohn.edge.entrance import NO_ROUTE, Entrance, Outcome
from demijohn.edge.reply import problem_reply
from demijohn.errors import Problem

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Edge:
    """WSGI middleware (PEP 3333): context, guard, headers and the record of each request."""

    def __init__(self, application: Application, entrance: Entrance) -> None:
        """Wrap the application."""
        self._application = application
        self._entrance = entrance

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if CONTEXT in environ:
            return self._application(environ, start_response)
        admission = _admission(environ)
        context = self._entrance.context(
            environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), admission
        )
        exchange = _Exchange(self._entrance, context, environ, start_response)
        try:
            environ[CONTEXT] = exchange.context = self._entrance.admit(context, admission)
        except Problem as problem:
            return exchange.refuse(problem)
        return exchange.follow(self._application(environ, exchange.start))


def _admission(environ: Environ) -> Admission:
    return Admission(
        peer=environ.get("REMOTE_ADDR"),
        host=environ.get("HTTP_HOST"),
        forwarded=environ.get("HTTP_FORWARDED"),
        x_forwarded_for=environ.get("HTTP_X_FORWARDED_FOR"),
        request_id=environ.get("HTTP_X_REQUEST_ID"),
        traceparent=environ.get("HTTP_TRACEPARENT"),
        authorization=environ.get("HTTP_AUTHORIZATION"),
    )


class _Exchange:
    """One request's way out: adds the common headers, counts bytes, records the end."""

    def __init__(
        self,
        entrance: Entrance,
        context: Context,
        environ: Environ,
        start_response: StartResponse,
    ) -> None:
        self._entrance = entrance
        self.context = context
        self._environ = environ
        self._start_response = start_response
        self._status = 0

    def start(
        self, status: str, headers: list[tuple[str, str]], *rest: object
    ) -> Callable[[bytes], object]:
        self._status = int(status[:3])
        return self._start_response(
            status, [*headers, *self._entrance.headers(self.context)], *rest
        )

    def refuse(self, problem: Problem) -> Iterable[bytes]:
        reply = problem_reply(problem, self.context)
        length = ("Content-Length", str(len(reply.body)))
        self.start(f"{reply.status} {HTTPStatus(reply.status).phrase}", [*reply.headers, length])
        self._environ[PROBLEM] = reply.problem
        self._record(len(reply.body), False)
        return [reply.body]

    def follow(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The application's chunks, as an iterator that is recorded when the server closes it."""
        return _Followed(iter(chunks), getattr(chunks, "close", None), self._record)

    def _record(self, size: int, cut: bool) -> None:  # noqa: FBT001
        self._entrance.record(
            self.context,
            Outcome(
                route=self._environ.get(ROUTE, NO_ROUTE),
                status=self._status,
                size=size,
                problem=self._environ.get(PROBLEM),
                cut=cut,
            ),
        )


class _Followed:
    """Chunks on their way out. Not a generator: one that was never begun closes nothing."""

    def __init__(
        self,
        chunks: Iterator[bytes],
        close: Callable[[], None] | None,
        record: Callable[[int, bool], None],
    ) -> None:
        self._chunks = chunks
        self._close = close
        self._record = record
        self._size = 0
        self._is_cut = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._is_cut = False
            raise
        self._size += len(chunk)
        return chunk

    def close(self) -> None:
        try:
            if self._close is not None:
                self._close()
        finally:
            self._record(self._size, self._is_cut)
