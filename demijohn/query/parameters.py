"""What the parameters of a list say: filters for people, and how it is to be answered.

`status=open`, `age[gte]=21`, `tag[in]=a,b` are filters; a value that is a JSON number, `true`,
`false` or `null` is that, and anything else a string. Values are values: nothing in one can become
an operator. The reserved names are parameters of the list; a field of such a name is reached
through `filter`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from demijohn.errors import BadParameter, InvalidDocument, InvalidFilter, MalformedJson, Problem
from demijohn.formats.bson_values import BOOLEAN, NULL, Node, Value, encode
from demijohn.formats.extended_in import parse_extended_value
from demijohn.formats.extended_types import string
from demijohn.formats.ids import from_segment
from demijohn.patches.operands import INTEGERS, is_kind, text
from demijohn.query.faults import told_as
from demijohn.query.fields import Fields, read_fields
from demijohn.query.filters import Filter, all_of, check_filter, read_filter
from demijohn.query.paths import ID, check_path
from demijohn.query.sort import Sort, read_sort

Count: TypeAlias = Literal["exact", "estimated"]
Pairs: TypeAlias = Sequence[tuple[str, str]]
FILTER, SORT, FIELDS, LIMIT, AFTER, COUNT, ALL = (
    *("filter", "sort", "fields", "limit", "after", "count"),
    "all",
)
LIST = frozenset((FILTER, SORT, FIELDS, LIMIT, AFTER, COUNT))
"""Reserved names of a list."""
RESERVED = LIST | {ALL}
MOST_LIMIT = 1_000
MOST_PARAMETERS = 100
_COUNTS = ("exact", "estimated")
_NAME = re.compile(r"(?P<path>[^\[\]]+)(\[(?P<operator>[^\[\]]*)\])?", re.DOTALL)
_ITEM = re.compile(r'("(?:[^"\\]|\\.)*"|(?!")[^,]*)(,|\Z)', re.DOTALL)
_SCALAR = re.compile(
    r'-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null|".*"', re.DOTALL | re.ASCII
)
_MALFORMED = re.compile(rb"%(?![0-9A-Fa-f]{2})")
OPERATORS = MappingProxyType(
    {each: f"${each}" for each in ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "regex")}
    | {"exists": "$exists", "type": "$type"}
)
"""In brackets after a path: the operator of MongoDB that each stands for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A list as it is asked for. What is None was not said."""

    filter: Filter
    sort: Sort | None = None
    fields: Fields | None = None
    limit: int | None = None
    after: str | None = None
    count: Count | None = None
    is_all: bool = False
    """Whether a write of every document was said to be meant."""


def parse_query(raw: bytes) -> list[tuple[str, str]]:
    """The names and values of a query string (WHATWG URL, "application/x-www-form-urlencoded").

    Raises BadParameter for what is no UTF-8 or not percent-encoded, or too much of it.
    """
    if not raw:
        return []
    parts = raw.split(b"&")
    if len(parts) > MOST_PARAMETERS:
        raise BadParameter(f"There are more than {MOST_PARAMETERS} parameters.")
    pairs = (part.partition(b"=") for part in parts if part)
    return [(_decode(name), _decode(value)) for name, _, value in pairs]


def read_parameters(pairs: Pairs, allowed: Iterable[str] = LIST) -> Asked:
    """What the parameters say; of the reserved ones only those `allowed` are taken.

    Raises BadParameter, MalformedJson, InvalidFilter, ForbiddenOperator.
    """
    reserved = _reserved(pairs, frozenset(allowed))
    people = [_condition(name, value) for name, value in pairs if name not in RESERVED]
    filters = [Filter(encode(each)) for each in people]
    if FILTER in reserved:
        filters.insert(0, _read_filter(reserved[FILTER]))
    return Asked(
        all_of(*filters),
        read_sort(reserved[SORT]) if SORT in reserved else None,
        read_fields(reserved[FIELDS]) if FIELDS in reserved else None,
        _limit(reserved[LIMIT]) if LIMIT in reserved else None,
        reserved.get(AFTER),
        _count(reserved[COUNT]) if COUNT in reserved else None,
        ALL in reserved and _is_all(reserved[ALL]),
    )


def read_body(body: bytes, *, extended: bool) -> Asked:
    """The same in a JSON object, whose `filter` is an object of its own.

    Raises as `read_parameters`.
    """
    with told_as(InvalidFilter):
        node = parse_extended_value(body, operators=True)
    if not isinstance(node, dict):
        raise BadParameter("The body is a JSON object with the parameters of a list.")
    for name in node:
        if name not in LIST:
            raise _unknown(name, LIST)
    given = {name: child for name, child in node.items() if not _is_null(child)}
    words = {name: _word(name, child) for name, child in given.items() if name != FILTER}
    asked = read_parameters(tuple(words.items()))
    if FILTER not in given:
        return asked
    checked = check_filter(given[FILTER], (FILTER,), extended=extended)
    return replace(asked, filter=checked)


def _decode(part: bytes) -> str:
    if _MALFORMED.search(part):
        raise BadParameter("A parameter has a % without two hex digits after it; % itself is %25.")
    try:
        return unquote_to_bytes(part.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise BadParameter("A parameter's name or value is not UTF-8.") from None


def _reserved(pairs: Pairs, allowed: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in RESERVED:
            continue
        if name not in allowed:
            raise BadParameter(f"{name}: this route does not take it.")
        if name in found:
            raise BadParameter(f"{name}: it is given twice.")
        found[name] = value
    return found


def _read_filter(value: str) -> Filter:
    try:
        return read_filter(value.encode())
    except MalformedJson as refused:
        raise MalformedJson(f"filter: {refused.detail}", extra=refused.extra) from refused


def _condition(name: str, value: str) -> dict[str, Node]:
    """One parameter as a filter of its own, with nothing but a value in it."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise BadParameter(f"{name[:100]}: a filter is a path, or a path and [operator].")
    path, operator = found["path"], found["operator"]
    check_path(path, name[:100])
    if operator is None:
        return {path: {"$eq": _value(path, value)}}
    if operator not in OPERATORS:
        raise _unknown(operator, OPERATORS, f"{path[:100]}: operator ")
    return {path: {OPERATORS[operator]: _argument(path, operator, value)}}


def _argument(path: str, operator: str, value: str) -> Node:
    if operator in ("in", "nin"):
        return [_value(path, each) for each in _items(path, value)]
    if operator == "exists":
        if value not in ("true", "false"):
            raise BadParameter(f"{path[:100]}[exists]: true or false.")
        return Value(BOOLEAN, b"\1" if value == "true" else b"\0")
    if operator in ("regex", "type"):
        given = string(value) if operator == "regex" else _plain(path, value)
        return _checked(path, operator, given)
    return _value(path, value)


def _checked(path: str, operator: str, given: Value) -> Value:
    """What is more than a value, held to what a filter may say."""
    try:
        check_filter({path: {OPERATORS[operator]: given}})
    except Problem as refused:
        raise BadParameter(f"{path[:100]}[{operator}]: {refused.detail}") from refused
    return given


def _value(path: str, text: str) -> Value:
    if path != ID:
        return _plain(path, text)
    try:
        return from_segment(text)
    except BadParameter:
        raise BadParameter("_id: 24 hex digits, a string, or Extended JSON of an id.") from None


def _plain(path: str, text: str) -> Value:
    """A JSON number, true, false, null or quoted string as that, anything else as a string."""
    if not _SCALAR.fullmatch(text):
        return string(text)
    try:
        return cast("Value", parse_extended_value(text.encode()))
    except MalformedJson:  # in quotes, but no string of JSON
        return string(text)
    except InvalidDocument as refused:
        raise BadParameter(f"{path[:100]}: {refused.detail}") from refused


def _items(path: str, text: str) -> Iterator[str]:
    """The parts between commas; one in quotes may hold commas."""
    at = 0
    while True:
        item = _ITEM.match(text, at)
        if item is None:
            raise BadParameter(
                f"{path[:100]}: a value in quotes is closed, and a comma follows it."
            )
        yield item[1]
        if not item[2]:
            return
        at = item.end()


def _limit(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,3}", text, re.ASCII) or int(text) > MOST_LIMIT:
        raise BadParameter(f"limit: a whole number from 1 to {MOST_LIMIT:,}.")
    return int(text)


def _count(text: str) -> Count:
    if text not in _COUNTS:
        raise BadParameter("count: exact or estimated.")
    return cast("Count", text)


def _is_all(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadParameter("all: true or false.")
    return text == "true"


def _is_null(node: Node) -> bool:
    return isinstance(node, Value) and node.kind == NULL


def _word(name: str, node: Node) -> str:
    """A member of a body as the parameter that it stands for."""
    given = text(node)
    if given is not None and name != LIMIT:
        return given
    if name == LIMIT and is_kind(node, INTEGERS):
        return str(_number(node))
    if name == SORT and isinstance(node, dict):
        return ",".join(_key(path, direction) for path, direction in node.items())
    kinds = {LIMIT: "a whole number", SORT: 'a string, or an object such as {"age": -1}'}
    raise BadParameter(f"{name}: {kinds.get(name, 'a string')}.")


def _key(path: str, direction: Node) -> str:
    """A path of MongoDB's own form of a sort, as it is written in a text."""
    sign = _number(direction) if is_kind(direction, INTEGERS) else 0
    if sign not in (1, -1) or path.startswith("-") or "," in path:
        raise BadParameter("sort: each path has 1 or -1, no - before it and no comma in it.")
    return path if sign == 1 else f"-{path}"


def _number(node: Node) -> int:
    assert isinstance(node, Value)
    return int.from_bytes(node.payload, "little", signed=True)


def _unknown(name: str, known: Iterable[str], where: str = "") -> BadParameter:
    near = get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}."
    return BadParameter(f"{where}{name[:100]} is not known; {hint}")
