"""Pages of other origins: a browser lets them send some requests, and read no answer of ours.

What a browser sends without asking first is a GET, a HEAD, or a POST with a body of one of three
media types (Fetch Standard, "CORS-safelisted"). For anything else it asks by OPTIONS, and goes on
where the answer has the headers of CORS.
"""

from __future__ import annotations

import json

import pytest

from tests.support.api import JSON, ONE, THINGS, Answer, Api
from tests.support.database import Documents

EVIL = {"Origin": "http://evil.example"}
SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
ROUTES = ["/", "/data", "/docs", "/openapi.json", "/problems", "/livez", THINGS, ONE, "/nope"]


def _cors(answer: Answer) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", ROUTES)
def test_no_answer_is_for_another_origin(api: Api, path: str) -> None:
    """No header of CORS on any answer; and its media type is to be believed."""
    answer = api.ask("GET", path, headers=EVIL)

    assert _cors(answer) == []
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
@pytest.mark.parametrize("path", ["/data", THINGS, ONE])
def test_a_browser_that_asks_first_is_not_encouraged(api: Api, path: str, method: str) -> None:
    """A preflight gets no header of CORS, so the request itself is never sent."""
    asks = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }

    assert _cors(api.ask("OPTIONS", path, headers={**EVIL, **asks})) == []


@pytest.mark.parametrize("kind", [*SIMPLE, None])
@pytest.mark.parametrize("path", ["/data", THINGS])
def test_what_a_page_may_send_writes_nothing(
    api: Api, stored: Documents, path: str, kind: str | None
) -> None:
    """A form, or text that is JSON: 415, whatever it says, and no document."""
    before = stored.database["things"].count_documents({})
    headers = {**EVIL, **({} if kind is None else {"Content-Type": kind})}

    answer = api.ask("POST", path, json.dumps({"a": 1}).encode(), headers)

    assert answer.problem() == "unsupported-media-type"
    assert stored.count_documents({}) == 0
    assert stored.database["things"].count_documents({}) == before


def test_the_same_as_json_is_written(api: Api, stored: Documents) -> None:
    """The control of the test above: by its media type it would have been taken."""
    assert api.ask("POST", "/data", b'{"a": 1}', {**EVIL, **JSON}).status == 201
    assert stored.count_documents({"a": 1}) == 1


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_what_the_request_line_says(api: Api, stored: Documents, name: str) -> None:
    """No header and no parameter makes a DELETE of what a form may send."""
    stored.insert_one({"a": 1})

    api.ask(
        "POST",
        "/data?_method=DELETE",
        b"_method=DELETE",
        {name: "DELETE", "Content-Type": SIMPLE[1]},
    )

    assert stored.count_documents({}) == 1
