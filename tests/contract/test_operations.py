"""Probes, metrics, ids and traces, and the guard, under each way to start the service."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.api import Api
from tests.support.database import Documents
from tests.support.processes import wait_until
from tests.support.service import Service

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_probes(api: Api) -> None:
    """`/livez` is the process; `/readyz` says how the database is."""
    assert api.get("/livez").json() == {"status": "live"}
    ready = api.get("/readyz")
    assert (ready.status, ready.json()) == (200, {"status": "ready", "database": "up"})
    assert ready.headers["Cache-Control"] == "no-store"


def test_metrics_count_by_route(api: Api, stored: Documents) -> None:
    """Requests count by route pattern, method and status; scanners make no new series."""
    before = _requests(api)
    assert stored.count_documents({}) == 0
    api.post("{}")
    api.post("[]")
    api.get("/nope/one")
    api.get("/nope/two")
    wanted = {
        'method="POST",route="/data",status="201"': 1,
        'method="POST",route="/data",status="422"': 1,
        'method="GET",route="none",status="404"': 2,
    }

    def grown() -> dict[str, float]:
        after = _requests(api)
        return {labels: after.get(labels, 0) - before.get(labels, 0) for labels in wanted}

    # A thread of Flask's server counts a request just after its answer has gone out.
    wait_until(lambda: grown() == wanted, "all are counted", 10)
    assert not any("/nope" in labels for labels in _requests(api))


def _requests(api: Api) -> dict[str, float]:
    text = api.get("/metrics").body.decode()
    found = {}
    for labels, value in re.findall(r"demijohn_requests_total\{(.*)\} (\S+)", text):
        found[",".join(sorted(labels.split(",")))] = float(value)
    return found


def test_metrics_are_in_prometheus_format(api: Api, stored: Documents) -> None:
    """The database's figures are there, and the histograms."""
    stored.insert_one({})
    api.get("/data")
    text = api.get("/metrics").body.decode()
    for name in (
        'demijohn_request_seconds_bucket{le="+Inf"',
        'demijohn_database_operation_seconds_count{operation="scan"}',
        "demijohn_database_up 1.0",
        "demijohn_pool_connections",
        'demijohn_build_info{version="',
    ):
        assert name in text.replace('method="GET",', "").replace('route="/data",', "")


def test_every_answer_has_an_id_and_a_trace(api: Api) -> None:
    """The caller's id and trace are taken up if they are sane, else there are new ones."""
    sane = api.get("/", X_Request_Id="order-7", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    assert sane.headers["X-Request-Id"] == "order-7"
    response = sane.headers["traceresponse"].split("-")
    assert (response[1], response[3]) == (TRACE, "01")
    assert response[2] != "b7ad6b7169203331"
    for bad in ("a b", "x" * 129, '"><script>'):
        answer = api.get("/nope", X_Request_Id=bad, traceparent=f"00-{'0' * 32}-1-01")
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert sane.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example:5000"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
    ],
)
def test_the_guard_refuses_other_machines(
    api: Api, stored: Documents, headers: dict[str, str]
) -> None:
    """Without DEMIJOHN_AUTH: 403 that says what to set, on every route, and nothing is done."""
    for path in ("/", "/data", "/livez", "/metrics", "/problems", "/nope"):
        answer = api.ask("GET", path, headers=headers)
        assert (answer.status, answer.problem()) == (403, "forbidden"), path
        assert "DEMIJOHN_AUTH=open" in answer.json()["detail"]
    posted = api.ask("POST", "/data", b"{}", {**headers, "Content-Type": "application/json"})
    assert posted.problem() == "forbidden"
    assert stored.count_documents({}) == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1:1", "[::1]:5000"])
def test_the_guard_lets_this_machine_in(api: Api, host: str) -> None:
    """A request of this machine to this machine is answered, whatever the port is called."""
    assert api.ask("GET", "/", headers={"Host": host}).status == 200


def test_logs_are_json_lines_without_bodies(
    shell_api: Api, service: Service, stored: Documents
) -> None:
    """A line a request, with its ids; no body, no query string, no URI."""
    secret = "do-not-write-this-down"
    shell_api.post(json.dumps({"a": secret}), X_Request_Id="log-test")
    shell_api.post(f'{{"{secret}": ', X_Request_Id="log-test-bad")
    shell_api.get(f"/data?q={secret}", X_Request_Id="log-test-last")

    def logged() -> dict[object, dict[str, object]]:
        return {each["request_id"]: each for each in service.events("request")}

    wait_until(lambda: {"log-test", "log-test-last"} <= logged().keys(), "all are logged")
    line = logged()["log-test"]
    assert (line["route"], line["status"], line["method"]) == ("/data", 201, "POST")
    assert {"ms", "trace_id", "span_id", "peer", "timestamp", "level"} <= set(line)
    assert secret not in service.log()
    assert stored.count_documents({"a": secret}) == 1
