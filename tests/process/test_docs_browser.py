"""`/docs` in a real browser: it shows what there is, tries it out, and says what others wrote."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from demijohn.auth.keys import make_key, to_record
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.browser import Browser, browsing, missing_program
from tests.support.database import Database, emptied
from tests.support.processes import wait_until
from tests.support.service import Service

pytestmark = pytest.mark.skipif(
    missing_program() is not None and "CI" not in os.environ,
    reason=f"there is no {missing_program()}: packages chromium and chromium-driver on Debian",
)
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>*x*"
FOLDED = (
    ".model-example .json-schema-2020-12-accordion"
    ":not(:has(.json-schema-2020-12-accordion__icon--expanded))"
)
FOR_EVER = "(a{50}){50}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens its own page."""
    with browsing() as window:
        yield window


def _operation(browser: Browser, method: str, path: str) -> WebElement:
    """An operation's block, opened."""
    block = browser.one(f".opblock-{method}:has([data-path='{path}'])")
    browser.click(browser.one(".opblock-summary-control", block))
    return block


def _execute(browser: Browser, block: WebElement, body: str = "") -> tuple[str, str]:
    """Try the operation out; status and body of the answer as the page shows them."""
    browser.click(browser.one(".try-out__btn", block))
    if body:
        browser.one(".body-param__text", block).send_keys(Keys.CONTROL, "a", Keys.NULL, body)
    browser.click(browser.one(".execute", block))
    answer = browser.one(".live-responses-table .response", block)
    status = browser.one(".response-col_status", answer).text
    return status.split()[0], browser.one(".response-col_description pre", answer).text


def test_every_operation_is_shown(browser: Browser, service: Service) -> None:
    """All that `/openapi.json` has is on the page, and nothing had to be fetched from elsewhere."""
    paths = Api(service.url).get("/openapi.json").json()["paths"]
    browser.open(f"{service.url}/docs")
    browser.one(".opblock")
    shown = [
        (browser.one(".opblock-summary-method", each).text, str(path.get_attribute("data-path")))
        for each in browser.all(".opblock")
        for path in browser.all(".opblock-summary-path", each)
    ]

    assert sorted(shown) == sorted(
        (method.upper(), path) for path, item in paths.items() for method in item
    )
    assert browser.complaints() == []


def test_an_operation_is_tried_out(browser: Browser, service: Service) -> None:
    """A GET from the page is a GET of the service: its answer is shown."""
    browser.open(f"{service.url}/docs")

    status, body = _execute(browser, _operation(browser, "get", "/livez"))

    assert status == "200"
    assert '"live"' in body
    assert browser.complaints() == []


def test_a_document_is_kept_from_the_page(
    browser: Browser, service: Service, database: Database
) -> None:
    """A POST from the page writes what was typed into it."""
    with emptied(database.uri, "data") as stored:
        browser.open(f"{service.url}/docs")

        status, body = _execute(browser, _operation(browser, "post", "/data"), '{"from": "page"}')

        assert status == "201"
        assert "Data inserted" in body
        assert [each["from"] for each in stored.find()] == ["page"]
    assert browser.complaints() == []


def test_the_policy_is_in_force(browser: Browser, service: Service) -> None:
    """A script that gets into the page all the same does not run, and the console says so."""
    browser.open(f"{service.url}/docs")
    browser.driver.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = \"document.title = 'taken'\";"
        "document.body.append(script);"
    )

    wait_until(lambda: _complains(browser, "Content Security Policy"), "the console says so")
    assert browser.driver.title != "taken"


def test_what_is_elsewhere_is_out_of_reach(browser: Browser) -> None:
    """The control of this file: a page that needed the web would fail here, audibly."""
    browser.open("about:blank")  # for a page of the service a browser asks for an icon, some time
    failure = browser.driver.execute_async_script(
        "fetch('http://example.org/', {mode: 'no-cors'}).then(() => 'reached', String)"
        ".then(arguments[0])"
    )

    assert "Failed to fetch" in failure
    wait_until(lambda: _complains(browser, "ERR_NAME_NOT_RESOLVED"), "the console says so")


def _complains(browser: Browser, word: str) -> bool:
    """Whether one of the console's new lines has the word."""
    return any(word in each for each in browser.complaints())


@contextmanager
def _kept(service: Service, schema: Mapping[str, object]) -> Iterator[str]:
    """A collection with this schema, for the length of the block; its name."""
    name = f"c{uuid.uuid4().hex}"
    with closing(Api(service.url)) as api:
        made = api.put(f"/v1/collections/{name}", json.dumps({"schema": schema}))
        assert made.status == 201, made.body
        try:
            yield name
        finally:
            api.delete(f"/v1/collections/{name}")


def _schema_of(browser: Browser, block: WebElement) -> list[WebElement]:
    """Show all of the schema of an operation's body; what it says in words, each time."""
    browser.one(".model-example", block)
    for each in browser.all(".model-example .tab button", block):
        if each.text == "Schema":
            browser.click(each)
    while folded := browser.all(FOLDED, block):
        browser.click(folded[0])
    return browser.all(".json-schema-2020-12-keyword--description", block)


def test_a_schemas_words_are_text(browser: Browser, service: Service) -> None:
    """HTML, scripts and Markdown in a collection's schema show as written and do nothing."""
    field = {"type": "string", "description": HOSTILE, "enum": [HOSTILE], "default": HOSTILE}
    schema = {
        "type": "object",
        "title": HOSTILE,
        "description": HOSTILE,
        "$comment": HOSTILE,
        "externalDocs": {"url": "javascript:document.title='taken'", "description": HOSTILE},
        "properties": {HOSTILE: field},
    }
    with _kept(service, schema) as name:
        browser.open(f"{service.url}/docs")
        block = _operation(browser, "post", f"/v1/collections/{name}/documents")
        foreign = [each.text for each in _schema_of(browser, block) if "<" in each.text]

        assert foreign
        assert set(foreign) == {HOSTILE}
        assert browser.all("#viewer :is(img, script, em, a[href^='javascript'])") == []
        assert browser.driver.title != "taken"
        assert browser.complaints() == []


def test_no_schema_holds_the_page_up(browser: Browser, service: Service) -> None:
    """An example is made of any schema, whatever lengths and patterns it asks for."""
    billion = 1_000_000_000
    schema = {
        "type": "object",
        "minProperties": billion,
        "patternProperties": {FOR_EVER: {}},
        "properties": {
            "pattern": {"type": "string", "pattern": FOR_EVER},
            "long": {"type": "string", "minLength": billion},
            "many": {"type": "array", "minItems": billion, "items": {"type": "string"}},
            "some": {"type": "array", "contains": {"const": 1}, "minContains": billion},
        },
    }
    with _kept(service, schema) as name:
        browser.open(f"{service.url}/docs")
        example = browser.one(
            ".highlight-code", _operation(browser, "post", f"/v1/collections/{name}/documents")
        )

        wait_until(lambda: '"pattern": "string"' in example.text, "the example is there")
        assert browser.complaints() == []


def test_a_key_is_shown_with_what_is_tried_out(
    browser: Browser, database: Database, own_service: Starter, tmp_path: Path
) -> None:
    """The page is there without a key; what it tries out is refused until one was typed in."""
    key, text = make_key(["data:read"], None, "", time.time(), None)
    file = tmp_path / "keys.json"
    file.write_bytes(orjson.dumps([to_record(key)]))
    settings = {"DEMIJOHN_AUTH": "keys", "DEMIJOHN_KEYS_FILE": str(file)}
    service = own_service({"MONGODB_URI": database.uri, **settings})

    browser.open(f"{service.url}/docs")
    status, body = _execute(browser, _operation(browser, "get", "/v1/collections"))
    assert (status, json.loads(body)["code"]) == ("401", "unauthenticated")

    browser.open(f"{service.url}/docs?again")
    browser.click(browser.one(".btn.authorize"))
    dialogue = browser.one(".modal-ux")
    browser.one("input", dialogue).send_keys(text)
    browser.click(browser.one("button[type=submit]", dialogue))
    browser.click(browser.one(".btn-done", dialogue))
    status, body = _execute(browser, _operation(browser, "get", "/v1/collections"))

    assert status == "200"
    assert set(json.loads(body)) == {"collections"}
