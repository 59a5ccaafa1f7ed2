"""`/openapi.json` as a client meets it. What it says is held against every other test's answers."""

from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.api import Api
from tests.support.database import Documents
from tests.support.openapi import Description


def test_the_document_is_served(api: Api, description: Description) -> None:
    """It is JSON, valid OpenAPI 3.1, and the same under each kind of server."""
    answer = api.get("/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == description.document
    assert list(OpenAPIV31SpecValidator(answer.json()).iter_errors()) == []


def test_it_is_not_sent_twice(api: Api) -> None:
    """With its ETag in If-None-Match it is 304 without a body; with another tag it comes."""
    tag = api.get("/openapi.json").headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = api.get("/openapi.json", If_None_Match=known)
        assert (answer.status, answer.body) == (304, b""), known
        assert answer.headers["ETag"] == tag
    assert api.get("/openapi.json", If_None_Match='"other"').status == 200


def test_it_is_json_or_nothing(api: Api) -> None:
    """406 where Accept leaves nothing; HEAD is GET without the body."""
    assert api.get("/openapi.json", Accept="text/html").problem() == "not-acceptable"
    head = api.ask("HEAD", "/openapi.json")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["ETag"] == api.get("/openapi.json").headers["ETag"]


def test_it_is_under_the_guard(api: Api) -> None:
    """Whom the guard does not let in is not told what there is."""
    answer = api.ask("GET", "/openapi.json", headers={"Host": "evil.example"})
    assert (answer.status, answer.problem()) == (403, "forbidden")


def test_options_is_a_method_like_any_other(api: Api, stored: Documents) -> None:
    """OPTIONS is nowhere offered: 405 and Allow, on each path that is described."""
    stored.insert_one({"_id": "a"})
    for path in ("/", "/data", "/openapi.json", "/problems"):
        answer = api.ask("OPTIONS", path)
        assert (answer.status, answer.problem()) == (405, "method-not-allowed"), path
        assert "GET" in answer.headers["Allow"].split(", ")
