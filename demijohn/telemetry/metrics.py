"""The service's metrics, in Prometheus' terms; docs/reference/metrics.md lists them.

Under `demijohn serve` every worker process writes its figures into files below
`PROMETHEUS_MULTIPROC_DIR`, and whichever worker is asked adds them all up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from demijohn import __version__
from demijohn.settings import MULTIPROCESS_DIR

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "demijohn_"
Mode = Literal["livesum", "livemin", "livemax"]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


_SIZES = tuple(float(2**power) for power in range(11))


class Answered(NamedTuple):
    """A request that was answered, and the seconds that it took."""

    route: str
    method: str
    status: int
    seconds: float


class Metrics:
    """One process's metrics; made once by the assembly and handed to whoever counts."""

    def __init__(self) -> None:
        """Register every metric in a registry of this object's own."""
        self.registry = CollectorRegistry()
        self._of_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._by_express: dict[str, int] = {}
        self._register_requests()
        self._register_database()
        build = self._gauge("build_info", "1, with the version as its label.", "livemax", "version")
        build.labels(__version__).set(1)

    def _register_requests(self) -> None:
        self.requests = self._counter(
            "requests",
            "Requests answered, by route, method and status.",
            "route",
            "method",
            "status",
        )
        self.seconds = self._histogram(
            "request_seconds",
            "Seconds from a request's head to the end of its answer.",
            "route",
            "method",
        )
        self.express = self._counter(
            "express_requests", "Requests answered on the express path, by route.", "route"
        )
        self.problems = self._counter("problems", "Problem answers, by code.", "code")
        self.in_flight = self._gauge("requests_in_flight", "Requests under way.")
        self.connections = self._gauge("connections", "Open client connections.")
        self.refused = self._counter(
            "connections_refused", "Connections closed before a request, by reason.", "reason"
        )
        self.shed = self._counter(
            "shed", "Requests refused because others wait too long for the same.", "reason"
        )
        self.streams = self._gauge("streams", "Streamed answers under way.")
        self.feeds = self._gauge("feeds", "Streams of live changes open.")
        self.change_streams = self._gauge(
            "change_streams", "Collections and filters whose changes are followed for them."
        )
        self.feed_events = self._counter(
            "feed_events", "Changes handed over to those who stream them."
        )
        self.body_bytes = self._gauge("body_bytes", "Bytes of request bodies held at this time.")
        self.cut = self._counter("streams_cut", "Streamed answers cut before their end.")

    def _register_database(self) -> None:
        self.database_up = self._gauge(
            "database_up", "1 while every worker reaches the database.", "livemin"
        )
        self.database_seconds = self._histogram(
            "database_operation_seconds",
            "Seconds of a database operation, by its kind.",
            "operation",
        )
        self.database_errors = self._counter(
            "database_errors",
            "Database operations that failed, by the code of the problem they became.",
            "operation",
            "code",
        )
        self.insert_batch = self._histogram(
            "insert_batch_documents",
            "Documents that were inserted by one command, those of several requests together.",
            buckets=_SIZES,
        )
        self.conflicts = self._counter(
            "write_conflicts",
            "Writes that were tried again because others wrote the same document.",
        )
        self.replays = self._counter(
            "idempotency_replays",
            "Requests answered with what a first one with their key was told.",
        )
        self.pool = self._gauge("pool_connections", "Open connections to the database.")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, what, labels, registry=self.registry)

    def _histogram(
        self, name: str, what: str, *labels: str, buckets: Sequence[float] = _SECONDS
    ) -> Histogram:
        return Histogram(PREFIX + name, what, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, what: str, mode: Mode = "livesum", *labels: str) -> Gauge:
        """A gauge that adds up the worker processes by `mode`, those that live only."""
        return Gauge(PREFIX + name, what, labels, registry=self.registry, multiprocess_mode=mode)

    def answered_by_express(self, route: str) -> None:
        """Say of a request that is about to be counted by which path it was answered."""
        self._by_express[route] = self._by_express.get(route, 0) + 1

    def answered(self, requests: Iterable[Answered]) -> None:
        """Count requests that have ended, and the seconds that each took.

        Those that end in one turn of the loop together: a series is written to a file each time.
        """
        numbers: dict[Counter, int] = {}
        for route, method, status, seconds in requests:
            known = method if method in _METHODS else "OTHER"
            counter, histogram = self._series(route, known, status)
            numbers[counter] = numbers.get(counter, 0) + 1
            histogram.observe(seconds)
        for counter, number in numbers.items():
            counter.inc(number)
        by_express, self._by_express = self._by_express, {}
        for route, number in by_express.items():
            self.express.labels(route).inc(number)

    def _series(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        known = self._of_requests.get((route, method, status))
        if known is None:
            # Looking a series up by its labels costs more than counting in it.
            counter = self.requests.labels(route, method, status)
            known = counter, self.seconds.labels(route, method)
            self._of_requests[route, method, status] = known
        return known

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, every worker process added up."""
        if MULTIPROCESS_DIR not in os.environ:
            return generate_latest(self.registry)
        whole = CollectorRegistry()
        MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
        return generate_latest(whole)
