"""The service's metrics, in Prometheus' terms; docs/reference/metrics.md lists them.

Under `demijohn serve` every worker process writes its figures into files below
`PROMETHEUS_MULTIPROC_DIR`, and whichever worker is asked adds them all up.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from demijohn import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


class Metrics:
    """One process's metrics; made once by the assembly and handed to whoever counts."""

    def __init__(self) -> None:
        """Register every metric in a registry of this object's own."""
        own = self.registry = CollectorRegistry()
        self.requests = Counter(
            "demijohn_requests",
            "Requests answered, by route, method and status.",
            ("route", "method", "status"),
            registry=own,
        )
        self.seconds = Histogram(
            "demijohn_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route", "method"),
            buckets=_BUCKETS,
            registry=own,
        )
        self.problems = Counter(
            "demijohn_problems", "Problem answers, by code.", ("code",), registry=own
        )
        self.in_flight = _gauge(own, "demijohn_requests_in_flight", "Requests under way.")
        self.connections = _gauge(own, "demijohn_connections", "Open client connections.")
        self.streams = _gauge(own, "demijohn_streams", "Streamed answers under way.")
        self.body_bytes = _gauge(
            own, "demijohn_body_bytes", "Bytes of request bodies held at this time."
        )
        self.cut = Counter(
            "demijohn_streams_cut", "Streamed answers cut before their end.", registry=own
        )
        self.database_up = _gauge(
            own, "demijohn_database_up", "1 while every worker reaches the database.", "livemin"
        )
        self.database_seconds = Histogram(
            "demijohn_database_operation_seconds",
            "Seconds of a database operation, by its kind.",
            ("operation",),
            buckets=_BUCKETS,
            registry=own,
        )
        self.database_errors = Counter(
            "demijohn_database_errors",
            "Database operations that failed, by the code of the problem they became.",
            ("operation", "code"),
            registry=own,
        )
        self.pool = _gauge(own, "demijohn_pool_connections", "Open connections to the database.")
        self.build = Gauge(
            "demijohn_build_info",
            "1, with the version as its label.",
            ("version",),
            registry=own,
            multiprocess_mode="livemax",
        )
        self.build.labels(__version__).set(1)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, every worker process added up."""
        if MULTIPROCESS_DIR not in os.environ:
            return generate_latest(self.registry)
        whole = CollectorRegistry()
        MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
        return generate_latest(whole)


def _gauge(registry: CollectorRegistry, name: str, help_text: str, mode: str = "livesum") -> Gauge:
    return Gauge(name, help_text, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]
