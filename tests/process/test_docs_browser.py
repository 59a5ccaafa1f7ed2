"""`/docs` in a real browser: it shows what there is, tries it out, and says what others wrote."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from flask import Flask
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from werkzeug.serving import make_server

from demijohn.web import docs
from tests.support.api import Api
from tests.support.browser import Browser, browsing, missing_program
from tests.support.database import Database, emptied
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
FOR_EVER = "((((a{99}){99}){99}){99}){99}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens its own page."""
    with browsing() as window:
        yield window


def _operation(browser: Browser, name: str) -> WebElement:
    """An operation's block, opened."""
    block = browser.one(f".opblock[id$='-{name}']")
    if "is-open" not in str(block.get_attribute("class")):
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

    status, body = _execute(browser, _operation(browser, "isLive"))

    assert status == "200"
    assert '"live"' in body
    assert browser.complaints() == []


def test_a_document_is_kept_from_the_page(
    browser: Browser, service: Service, database: Database
) -> None:
    """A POST from the page writes what was typed into it."""
    with emptied(database.uri, "data") as stored:
        browser.open(f"{service.url}/docs")

        status, body = _execute(browser, _operation(browser, "insertData"), '{"from": "page"}')

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

    assert browser.driver.title != "taken"
    assert any("Content Security Policy" in each for each in browser.complaints())


def test_what_is_elsewhere_is_out_of_reach(browser: Browser, service: Service) -> None:
    """The control of this file: a page that needed the web would fail here, audibly."""
    browser.open(f"{service.url}/livez")
    failure = browser.driver.execute_async_script(
        "fetch('http://example.org/', {mode: 'no-cors'}).then(() => 'reached', String)"
        ".then(arguments[0])"
    )

    assert "Failed to fetch" in failure
    assert any("ERR_NAME_NOT_RESOLVED" in each for each in browser.complaints())


@contextmanager
def _showing(schema: Mapping[str, object]) -> Iterator[str]:
    """The page over a description with this schema in every place; its address."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Foreign"}}}
    answers = {"200": {"description": "It.", "content": content}}
    post = {"operationId": "post", "requestBody": {"content": content}, "responses": answers}
    app = Flask("test", static_folder=None)
    app.register_blueprint(docs.blueprint())
    app.add_url_rule(
        "/openapi.json",
        view_func=lambda: {
            "openapi": "3.1.0",
            "info": {"title": "Foreign", "version": "1"},
            "paths": {"/foreign": {"post": post}},
            "components": {"schemas": {"Foreign": schema}},
        },
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/docs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _unfold(browser: Browser) -> None:
    """Show all of the schema, as the body and as the answer."""
    block = _operation(browser, "post")
    browser.one(".model-example", block)
    for each in browser.all(".model-example .tab button"):
        if each.text == "Schema":
            browser.click(each)
    while folded := browser.all(FOLDED):
        browser.click(folded[0])


def test_a_schemas_words_are_text(browser: Browser) -> None:
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
    with _showing(schema) as url:
        browser.open(url)
        _unfold(browser)
        described = browser.all(".json-schema-2020-12-keyword--description")

        assert len(described) == 6, "root, member and link, twice"
        assert {each.text for each in described} == {HOSTILE}
        assert browser.all("#viewer :is(img, script, em, a[href^='javascript'])") == []
        assert browser.driver.title != "taken"
        assert browser.complaints() == []


def test_no_schema_holds_the_page_up(browser: Browser) -> None:
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
    with _showing(schema) as url:
        browser.open(url)
        example = browser.one(".highlight-code", _operation(browser, "post"))

        assert '"pattern": "string"' in example.text
        assert browser.complaints() == []
