"""The description of the service: whole, valid, and of one mind with routes, code and docs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator
from urllib3 import HTTPHeaderDict

from demijohn.app import create_service
from demijohn.errors import problem_classes
from demijohn.settings import load
from demijohn.web import data
from demijohn.web import document_operations as about
from demijohn.web.openapi.description import UndescribedError, describe, template
from demijohn.web.openapi.operation import PUBLIC, Answer, Operation, View
from demijohn.web.openapi.problems import EVERYWHERE, READING
from tests.support.openapi import Description, UndescribedAnswerError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "http-api.md"
PROBLEMS = PAGE.with_name("errors.md")
OF_ONE = {each.id for each in (about.CREATE, about.READ, about.PUT, about.PATCH, about.DELETE)} | {
    data.INSERT.id
}
"""Operations of one document, of which the list by method speaks."""
OUTSIDE = {"method-not-allowed"}
"""What no operation can answer; the document's own description says when it comes."""


@pytest.fixture(scope="module")
def application() -> Iterator[Flask]:
    """The application as it is assembled; nothing connects."""
    service = create_service(load({}))
    yield service.application
    service.store.close()


@pytest.fixture(scope="module")
def description(application: Flask) -> Description:
    """What it says of itself, as it goes out."""
    answer = application.test_client().get("/openapi.json", base_url="http://localhost")
    assert answer.status_code == 200
    return Description(answer.get_json())


def test_the_document_is_valid(description: Description) -> None:
    """It is OpenAPI 3.1 by the standard's own schema, examples and references included."""
    assert list(OpenAPIV31SpecValidator(description.document).iter_errors()) == []


def test_it_has_exactly_the_routes_that_there_are(
    application: Flask, description: Description
) -> None:
    """Each path and method of the application is described, and nothing else."""
    routes = {
        (template(rule.rule), method)
        for rule in application.url_map.iter_rules()
        for method in rule.methods or ()
    }

    assert {(path, method) for path, method, _ in description.operations()} == routes


def test_every_problem_can_be_met_somewhere(description: Description) -> None:
    """Each code is among some operation's answers, or told in the document's description."""
    told = description.document["info"]["description"]

    assert all(f"`{code}`" in told for code in OUTSIDE)
    assert description.codes() | OUTSIDE == {each.code for each in problem_classes()}


def test_the_reference_page_lists_every_operation(description: Description) -> None:
    """Method, path and summary of each, HEAD beside its GET, and none that is gone."""
    expected = {
        f"| `{'GET` `HEAD' if method == 'GET' else method}` | `{path}` | {operation['summary']} |"
        for path, method, operation in description.operations()
        if method != "HEAD"
    }
    rows = re.findall(r"^\| `[A-Z].*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(rows) == expected


def test_the_page_of_problems_says_which_request_of_many_meets_which(
    description: Description,
) -> None:
    """For each request its list is what is described, without what every read may meet."""
    section = PROBLEMS.read_text(encoding="utf-8").partition("\n## Of many documents\n")[2]
    section = re.sub(r"\n +", " ", section.partition("\n## ")[0])
    listed = {
        request.replace("…", "/v1/collections/{collection}"): set(re.findall(r"`(.+?)`", codes))
        for requests, codes in re.findall(r"^- (.*?): (.*)$", section, re.MULTILINE)
        for request in re.findall(r"`(.+?)`", requests)
    }
    common = {each.code for each in (*EVERYWHERE, *READING)}
    met = {
        f"{method} {path}": set(description.codes_of(operation)) - common
        for path, method, operation in description.operations()
        if method != "HEAD" and operation["operationId"] not in OF_ONE
        if path == "/data" or path.startswith("/v1/")
    }

    assert listed == {request: codes for request, codes in met.items() if codes}


def test_links_lead_to_operations_with_their_parameters(description: Description) -> None:
    """A link names an operation that exists and gives exactly what its path needs."""
    needed = {
        operation["operationId"]: {
            each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"
        }
        for _, _, operation in description.operations()
    }
    links = [
        link
        for _, _, operation in description.operations()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]

    assert links
    assert [each for each in links if needed[each["operationId"]] != set(each["parameters"])] == []


def test_no_schema_lies_about_unused(description: Description) -> None:
    """Every shared schema but those of problems is used by something."""
    text = json.dumps(description.document)
    problems = {each.__name__ for each in problem_classes()}

    assert {
        name
        for name in description.document["components"]["schemas"].keys() - problems
        if f'"#/components/schemas/{name}"' not in text
    } == set()


def test_problems_are_closed(description: Description) -> None:
    """No problem may have a member that its schema does not name."""
    schemas = description.document["components"]["schemas"]

    assert [
        each.code
        for each in problem_classes()
        if schemas[each.__name__]["additionalProperties"] is not False
    ] == []


def _view(name: str) -> View:
    operation = Operation(name, "guide", "Some", "Thing.", PUBLIC, (Answer(200, "It."),))
    return View(operation, lambda: "")


@pytest.mark.parametrize(
    ("view", "methods"),
    [
        pytest.param(lambda: "", ["GET"], id="a plain view"),
        pytest.param(_view("b"), ["PUT", "POST"], id="two methods with one word"),
    ],
)
def test_a_route_without_a_description_stops_the_start(
    view: Callable[[], str], methods: list[str]
) -> None:
    """Nothing can be served undescribed: the document cannot be made."""
    app = Flask("test", static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.add_url_rule("/a", "a", _view("a"))
    assert list(describe(app)["paths"]) == ["/a"]  # type: ignore[call-overload]
    app.add_url_rule("/b", "b", view, methods=methods)
    with pytest.raises(UndescribedError, match="/b"):
        describe(app)


def test_parameters_of_paths_are_written_as_the_standard_does() -> None:
    """Converters are no part of a template, and `segment` is called what it is: the id."""
    assert template("/a/<b>/c/<path:d>") == "/a/{b}/c/{d}"
    assert template("/x/<any_path:segment>") == "/x/{id}"


GOOD: dict[str, Any] = {
    "method": "GET",
    "path": "/livez",
    "status": 200,
    "headers": {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Request-Id": "a",
        "traceresponse": f"00-{'a' * 32}-{'b' * 16}-00",
        "X-Content-Type-Options": "nosniff",
    },
    "body": b'{"status":"live"}',
}
"""An answer that the description allows."""
PROBLEM = {
    "type": "/problems/not-found",
    "title": "Not found",
    "status": 404,
    "detail": "There is nothing at this address.",
    "code": "not-found",
    "request_id": "a",
}


def _check(description: Description, **changed: Any) -> None:
    answer = {**GOOD, **changed}
    description.check(
        answer["method"],
        answer["path"],
        answer["status"],
        HTTPHeaderDict({name: text for name, text in answer["headers"].items() if text}),
        answer["body"],
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"status": 418}, "status"),
        ({"headers": {**GOOD["headers"], "Cache-Control": ""}}, "cache-control is missing"),
        ({"headers": {**GOOD["headers"], "Cache-Control": "public"}}, "no-store"),
        ({"headers": {**GOOD["headers"], "X-New": "1"}}, "x-new"),
        ({"headers": {**GOOD["headers"], "Content-Type": "text/html"}}, "text/html"),
        ({"headers": {**GOOD["headers"], "Content-Type": ""}}, "no type"),
        ({"body": b'{"status":"dead"}'}, "live"),
        ({"body": b'{"status":"live","more":1}'}, "more"),
        ({"method": "HEAD"}, "a body"),
        ({"body": b""}, "no JSON"),
        ({"path": "/nope"}, "None instead"),
        ({"path": "/nope", "body": b"Not found"}, "no JSON"),
        (
            {"path": "/nope", "body": json.dumps(PROBLEM | {"code": "too-large"}).encode()},
            "/too-large",
        ),
        ({"path": "/nope", "body": json.dumps(PROBLEM | {"line": 1}).encode()}, "line"),
        ({"path": "/livez", "method": "PUT", "body": json.dumps(PROBLEM).encode()}, "instead"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_checker_of_answers_sees_what_is_wrong(
    description: Description, changed: dict[str, Any], words: str
) -> None:
    """Each way in which an answer can differ from its description is noticed: the control."""
    _check(description)
    _check(description, path="/nope", body=json.dumps(PROBLEM).encode())
    with pytest.raises(UndescribedAnswerError, match=words):
        _check(description, **changed)
