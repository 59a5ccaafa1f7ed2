"""Whatever header the full path looks at, the express path knows of: read off the sources.

The express path answers a request whose headers say nothing that the full path would heed. A header
that a view looks at from some day on has to be in its list, or it would be passed over there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from demijohn.front.plain import WATCHED

WEB = Path(__file__).resolve().parents[2] / "demijohn" / "web"
OF_WERKZEUG = {
    "accept_charsets": "accept-charset",
    "accept_encodings": "accept-encoding",
    "accept_languages": "accept-language",
    "accept_mimetypes": "accept",
    "authorization": "authorization",
    "cache_control": "cache-control",
    "content_encoding": "content-encoding",
    "content_type": "content-type",
    "cookies": "cookie",
    "date": "date",
    "if_match": "if-match",
    "if_modified_since": "if-modified-since",
    "if_none_match": "if-none-match",
    "if_range": "if-range",
    "if_unmodified_since": "if-unmodified-since",
    "is_json": "content-type",
    "mimetype": "content-type",
    "mimetype_params": "content-type",
    "origin": "origin",
    "range": "range",
    "referrer": "referer",
    "user_agent": "user-agent",
}
"""Which header an attribute of Werkzeug's request reads."""
OF_NO_HEADER = {
    *("method", "path", "args", "query_string", "url_rule", "environ"),
    # What frames the body; the shell has read that, and has said how long it was.
    *("get_data", "stream", "content_length", "max_content_length"),
}
ELSEWHERE = {("changes.py", "last-event-id"): "live changes are a route of their own"}
"""Headers that the express path need not know of, by the module that looks at them, and why."""
PASSED_BEFORE = {
    "edge.py": "the entrance of plain WSGI servers; requests of the shell have passed its own"
}
"""Modules that are not on the way of a request that the express path might have answered."""


class UnreadableError(AssertionError):
    """A use of the request of which these tests cannot tell which header it looks at."""


def headers_read(source: str) -> set[str]:
    """The names of the request's headers that a module looks at. Raises UnreadableError."""
    tree = ast.parse(source)
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = {name for node in ast.walk(tree) for name in _names(node, above, tree)}
    return {name.lower() for name in found}


def _names(node: ast.AST, above: dict[ast.AST, ast.AST], tree: ast.AST) -> Iterator[str]:
    match node:
        case ast.ImportFrom(names=names) if any(
            each.name == "request" and each.asname for each in names
        ):
            raise _unreadable(node, "request has another name")
        case ast.Attribute(value=ast.Name(id="flask"), attr="request"):
            raise _unreadable(node, "request by its module")
        case ast.Name(id="request", ctx=ast.Load()):
            attribute = above[node]
            if not isinstance(attribute, ast.Attribute):
                raise _unreadable(node, "the request is handed on whole")
            yield from _of_attribute(attribute, above, tree)
        case ast.Constant(value=str(text)) if text.startswith("HTTP_"):
            yield text.removeprefix("HTTP_").replace("_", "-")


def _of_attribute(
    attribute: ast.Attribute, above: dict[ast.AST, ast.AST], tree: ast.AST
) -> Iterator[str]:
    if attribute.attr in OF_WERKZEUG:
        yield OF_WERKZEUG[attribute.attr]
    elif attribute.attr == "headers":
        yield from _literals(_asked_for(attribute, above), tree)
    elif attribute.attr not in OF_NO_HEADER:
        raise _unreadable(attribute, f"does request.{attribute.attr} read a header?")


def _asked_for(headers: ast.Attribute, above: dict[ast.AST, ast.AST]) -> ast.expr:
    """What stands for the header's name where `request.headers` is used."""
    parent = above[headers]
    match parent:
        case ast.Subscript(slice=name):
            return name
        case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()]):
            return name
        case ast.Attribute(attr="get" | "getlist" | "get_all"):
            match above[parent]:
                case ast.Call(args=[name, *_]):
                    return name
    raise _unreadable(headers, "all headers at one time")


def _literals(name: ast.expr, tree: ast.AST) -> Iterator[str]:
    match name:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=variable):
            yield from _of_loop(name, variable, tree)
        case _:
            raise _unreadable(name, "a name that is made")


def _of_loop(name: ast.Name, variable: str, tree: ast.AST) -> Iterator[str]:
    """The names that a variable goes through, if they stand at its loop."""
    for node in ast.walk(tree):
        match node:
            case ast.For(target=ast.Name(id=target), iter=ast.Tuple(elts=names)) if (
                target == variable and node.lineno < name.lineno <= (node.end_lineno or 0)
            ):
                for each in names:
                    yield from _literals(each, tree)
                return
    raise _unreadable(name, "a name from somewhere else")


def _unreadable(node: ast.expr | ast.ImportFrom, why: str) -> UnreadableError:
    return UnreadableError(f"line {node.lineno}: {why}")


def _read_by_views() -> dict[tuple[str, str], Path]:
    """Each header that the full path looks at, with the module that does."""
    modules = [each for each in sorted(WEB.rglob("*.py")) if each.name not in PASSED_BEFORE]
    return {
        (module.name, name): module
        for module in modules
        for name in headers_read(module.read_text(encoding="utf-8"))
    }


def test_the_express_path_knows_of_every_header_that_a_view_looks_at() -> None:
    """None is missing in its list, but for those of routes that it does not answer."""
    watched = {name.decode() for name in WATCHED}
    missing = [
        read for read in _read_by_views() if read[1] not in watched and read not in ELSEWHERE
    ]

    assert missing == []


def test_the_express_path_watches_no_header_in_vain() -> None:
    """Whatever stands in its list, or among the exceptions here, a view does look at."""
    read = _read_by_views()

    assert {name.decode() for name in WATCHED} == {name for _, name in read.keys() - ELSEWHERE}
    assert ELSEWHERE.keys() <= read.keys()
    assert all((WEB / name).is_file() for name in PASSED_BEFORE)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('request.headers.get("X-One", "")', {"x-one"}),
        ('request.headers.getlist("X-One")', {"x-one"}),
        ('request.headers["X-One"]', {"x-one"}),
        ('"X-One" in request.headers or "X-Two" not in request.headers', {"x-one", "x-two"}),
        ('for n in ("A", "B"):\n    if n in request.headers:\n        pass', {"a", "b"}),
        ("request.mimetype_params or request.range", {"content-type", "range"}),
        ('environ.get("HTTP_X_ONE")', {"x-one"}),
        ("request.method + request.path", set()),
    ],
)
def test_a_header_is_found(source: str, names: set[str]) -> None:
    """However a view reads it."""
    assert headers_read(source) == names


@pytest.mark.parametrize(
    "source",
    [
        "request.headers.items()",
        "dict(request.headers)",
        "read(request)",
        "request.access_control_request_method",
        'request.headers.get("X-" + name)',
        "request.headers.get(NAME)",
        "from flask import request as asked",
        "flask.request.headers",
    ],
)
def test_what_cannot_be_told_is_refused(source: str) -> None:
    """Nobody reads headers in a way that the rule would not see."""
    with pytest.raises(UnreadableError):
        headers_read(source)
