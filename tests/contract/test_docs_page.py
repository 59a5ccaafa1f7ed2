"""`/docs`: a page that is all our own, under a policy that holds it to that."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from demijohn.web.docs import ASSETS
from tests.support.api import Api

TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
PATHS = ["/docs", *(f"/docs/{name}" for name in ASSETS)]


class _Elements(HTMLParser):
    """Every element of a page with its attributes, and the text within scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style"):
            self.inline += data.strip()

    def loaded(self) -> list[str]:
        """What scripts and style sheets it loads."""
        addresses = [attributes.get("src") for tag, attributes in self.found if tag == "script"]
        styles = [each for tag, each in self.found if tag == "link" and each["rel"] != "icon"]
        return [str(address) for address in (*addresses, *(each["href"] for each in styles))]


@pytest.fixture
def elements(api: Api) -> _Elements:
    """The page, read."""
    return _Elements(api.get("/docs").body.decode())


def test_the_page_is_held_to_its_own_scripts(api: Api) -> None:
    """The policy lets nothing in but this service's own files: nothing inline, no frames."""
    answer = api.get("/docs")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_nothing_is_inline(elements: _Elements) -> None:
    """No script, style or handler stands in the page: its policy would not let it work."""
    names = {name for _, attributes in elements.found for name in attributes}

    assert elements.inline == ""
    assert {name for name in names if name.startswith("on") or name == "style"} == set()


def test_all_that_the_page_loads_is_here(api: Api, elements: _Elements) -> None:
    """Each script and style is served, with its type, for sure and without sniffing."""
    loaded = elements.loaded()
    assert sorted(loaded) == sorted(f"docs/{name}" for name in ASSETS)
    for address in loaded:
        answer = api.get(f"/{address}")
        assert (answer.status, len(answer.body) > 0) == (200, True)
        assert answer.headers["Content-Type"] == TYPES[address.rpartition(".")[2]]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PATHS)
def test_what_has_not_changed_is_not_sent_again(api: Api, path: str) -> None:
    """A browser asks each time, so a new version is seen at once, and the tag saves the rest."""
    first = api.get(path)
    again = api.get(path, If_None_Match=first.headers["ETag"])

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert api.get(path, If_None_Match='"another"').body == first.body


@pytest.mark.parametrize("path", PATHS)
def test_headers_alone(api: Api, path: str) -> None:
    """HEAD says what GET says, without the body."""
    head, whole = api.ask("HEAD", path), api.get(path)

    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Type", "Cache-Control", "Content-Security-Policy"):
        assert head.headers.get(name) == whole.headers.get(name)


@pytest.mark.parametrize(
    "name",
    [
        "index.css",
        "swagger-ui.js",
        "docs.html",
        "start.js/",
        "..%2fstart.js",
        "%2e%2e/%2e%2e/docs.py",
        "..%2f..%2fdocs.py",
        "..%5cdocs.py",
        "start.js%00.css",
        "%2fetc%2fpasswd",
        "",
    ],
)
def test_no_other_file_can_be_had(api: Api, name: str) -> None:
    """Only the files that the page loads are served, whatever else lies beside them."""
    answer = api.get(f"/docs/{name}")

    assert (answer.status, answer.problem()) == (404, "not-found")
