"""The indexes of a collection, described in MongoDB's own terms (MongoDB manual, "createIndexes").

What is described is checked here as far as MongoDB's rules go without the documents that are
there. Values are in Extended JSON, as in a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from demijohn.errors import DuplicateKey, Fault, InvalidIndex, NotFound, OutcomeUnknown
from demijohn.formats.bson_values import (
    BOOLEAN,
    DOCUMENT,
    DOUBLE,
    Node,
    Value,
    close_node,
    encode,
    open_document,
    to_python,
)
from demijohn.formats.extended_in import parse_extended_value
from demijohn.formats.extended_types import integer, string
from demijohn.patches.faults import refusal
from demijohn.patches.operands import INTEGERS, Place, is_kind, members, parts_of, text
from demijohn.query.faults import told_as
from demijohn.query.filters import FILTER, check_filter
from demijohn.store.documents import Store

MOST_PATHS = 32
LONGEST_NAME = 200
MOST_SECONDS = 2_147_483_647
KINDS = ("2dsphere", "hashed")
"""What may stand for a direction. A text index would be of no use: filters have no `$text`."""
_EVERYTHING = "$**"
"""At the end of a path: all that is below it (MongoDB manual, "Wildcard Indexes")."""
_ID, _OF_ID = "_id", "_id_"
_TAKEN = ("*", _OF_ID)
"""Names that mean all indexes, and the one that every collection has."""
_DIRECTIONS = (1, -1)

_OF_PARTIAL = (
    *("$eq", "$exists", "$gt", "$gte", "$in", "$lt", "$lte", "$type"),
    *("$geoIntersects", "$geoWithin"),
)
_PARTIAL = replace(
    FILTER,
    operators=MappingProxyType({name: FILTER.operators[name] for name in _OF_PARTIAL}),
    queries=MappingProxyType({}),
    pattern=None,
)
"""What an index may be partial by (MongoDB manual, "Partial Indexes"): each write works it out."""
_Check: TypeAlias = Callable[[Node, Place], Node]


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is asked for, checked: its name, and all of it as BSON for the database."""

    name: str
    description: bytes


def read_index(body: bytes) -> Index:
    """The index that a JSON text describes; one without a name gets that which drivers give.

    Raises MalformedJson, InvalidIndex, and for the filter of a partial index InvalidFilter and
    ForbiddenOperator.
    """
    with told_as(InvalidIndex):
        given = members(parse_extended_value(body, operators=True), "An index", ())
        for member in given:
            if member not in _MEMBERS:
                raise refusal(f"An index has {', '.join(_MEMBERS)}.", (member,))
        if "key" not in given:
            raise refusal("An index has a key.")
        checked = {each: _MEMBERS[each](node, (each,)) for each, node in given.items()}
        _check_together(checked)
        name = _named(checked)
    return Index(name, encode({**checked, "name": string(name)}))


def list_indexes(store: Store, collection: str) -> list[bytes]:
    """The indexes as MongoDB describes them; none where there is no collection."""
    return [_without_version(each) for each in store.catalog.indexes(collection)]


def find_index(store: Store, collection: str, name: str) -> bytes:
    """One of them, by its name. Raises NotFound."""
    wanted = string(name)
    for each in list_indexes(store, collection):
        if open_document(each)["name"] == wanted:
            return each
    raise NotFound("There is no index of that name.")


def create_index(store: Store, collection: str, index: Index) -> bool:
    """Make it, and the collection too if need be; whether it is new.

    Raises IndexConflict, DuplicateKey, InvalidIndex, DatabaseUnavailable, and OutcomeUnknown where
    it takes longer than a request may.
    """
    try:
        return store.catalog.create_index(collection, index.description)
    except DuplicateKey as problem:
        raise DuplicateKey(
            "Documents that are there have the same value; the index was not made.",
            faults=(Fault("/key", "not unique in the documents that are there"),),
            extra=problem.extra,
        ) from problem
    except OutcomeUnknown as problem:
        raise OutcomeUnknown(
            "The database has not said that the index is made; it may still be making it. The "
            "same request can be sent again, and is answered once it is there."
        ) from problem


def drop_index(store: Store, collection: str, name: str) -> None:
    """Drop it. Raises NotFound, InvalidIndex for that of `_id`, and what writes raise."""
    if name == _OF_ID:
        raise InvalidIndex("The index of _id stays as long as its collection.")
    find_index(store, collection, name)  # to the database `*` would be the name of all
    store.catalog.drop_index(collection, name)


def _without_version(index: bytes) -> bytes:
    """The description without what MongoDB adds of its own: its format, and where it is."""
    described = open_document(index)
    return encode({name: described[name] for name in described if name not in ("v", "ns")})


def _check_together(index: Mapping[str, Node]) -> None:
    key = index["key"]
    assert isinstance(key, dict)
    if key == {_ID: integer(1)}:
        raise refusal("Every collection has an index of _id.", ("key",))
    if "partialFilterExpression" in index and "sparse" in index:
        raise refusal("An index is sparse or partial, not both.", ("sparse",))
    if "expireAfterSeconds" in index and (len(key) > 1 or _ID in key):
        detail = "Documents expire by an index of one path, which is not _id."
        raise refusal(detail, ("expireAfterSeconds",))


def _named(index: Mapping[str, Node]) -> str:
    """The index's name, given or made of its key. Raises InvalidPatch."""
    given, key = index.get("name"), index["key"]
    assert isinstance(key, dict)
    made = "_".join(f"{path}_{to_python(close_node(each))}" for path, each in key.items())
    name = made if given is None else text(given)
    if name is None or not 0 < len(name) <= LONGEST_NAME or "\0" in name:
        detail = f"The name of an index is a string of 1 to {LONGEST_NAME} characters."
        raise refusal(detail, ("name",))
    if name in _TAKEN:
        raise refusal(f"No other index can be called {name}.", ("name",))
    return name


def _key(node: Node, place: Place) -> Node:
    """The key as an object, whose order counts, or as an array of pairs."""
    key: dict[str, Node] = {}
    for path, direction, here in _pairs(node, place):
        if path in key:
            raise refusal("The path is named twice.", here)
        parts_of("x" if path == _EVERYTHING else path.removesuffix(f".{_EVERYTHING}"), here)
        key[path] = _direction(direction, here)
    if len(key) > MOST_PATHS:
        raise refusal(f"The key of an index has at most {MOST_PATHS} paths.", place)
    return key


def _pairs(node: Node, place: Place) -> Iterator[tuple[str, Node, Place]]:
    if not isinstance(node, list):
        for path, direction in members(node, "The key", place).items():
            yield path, direction, (*place, path)
        return
    if not node:
        raise refusal("The key has at least one path.", place)
    for at, pair in enumerate(node):
        here = (*place, at)
        match pair:
            case [name, direction] if (named := text(name)) is not None:
                yield named, direction, here
            case _:
                raise refusal("A part of a key is a path and a direction.", here)


def _whole(node: Node) -> int | None:
    """A whole number, however it is written; None for anything else."""
    if not is_kind(node, INTEGERS | {DOUBLE}):
        return None
    number = to_python(close_node(node))
    return int(number) if float(number).is_integer() else None


def _direction(node: Node, place: Place) -> Node:
    number = _whole(node)
    if number is not None and number in _DIRECTIONS:
        return integer(number)
    if text(node) in KINDS:
        return node
    raise refusal(f"A direction is 1, -1, or {' or '.join(KINDS)}.", place)


def _given(node: Node, _place: Place) -> Node:
    return node


def _truth(node: Node, place: Place) -> Node:
    if not is_kind(node, frozenset((BOOLEAN,))):
        raise refusal("It is true or false.", place)
    return node


def _between(least: int, most: int) -> _Check:
    """The check of a whole number between two bounds."""

    def check(node: Node, place: Place) -> Node:
        number = _whole(node)
        if number is None or not least <= number <= most:
            raise refusal(f"It is a whole number from {least:,} to {most:,}.", place)
        return integer(number)

    return check


def _word(*words: str) -> _Check:
    """The check of a string that is one of these, or any but an empty one where there are none."""

    def check(node: Node, place: Place) -> Node:
        given = text(node)
        if not given or "\0" in given or (words and given not in words):
            raise refusal(f"It is {' or '.join(words) or 'a string, not an empty one'}.", place)
        return node

    return check


def _partial(node: Node, place: Place) -> Node:
    checked = check_filter(node, place)
    _PARTIAL.check_query(node, place)
    return Value(DOCUMENT, checked.bson)


def _collation(node: Node, place: Place) -> Node:
    given = members(node, "A collation", place)
    for name in given:
        if name not in _OF_COLLATION:
            raise refusal(f"A collation has {', '.join(_OF_COLLATION)}.", (*place, name))
    if "locale" not in given:
        raise refusal("A collation has a locale.", place)
    return {name: _OF_COLLATION[name](each, (*place, name)) for name, each in given.items()}


_MEMBERS: Mapping[str, _Check] = MappingProxyType(
    {
        "key": _key,
        "name": _given,
        "unique": _truth,
        "sparse": _truth,
        "partialFilterExpression": _partial,
        "expireAfterSeconds": _between(0, MOST_SECONDS),
        "collation": _collation,
    }
)
"""What an index may have; each checks its value, and gives it as it is to be sent."""
_OF_COLLATION: Mapping[str, _Check] = MappingProxyType(
    {
        "locale": _word(),
        "strength": _between(1, 5),
        "caseLevel": _truth,
        "caseFirst": _word("upper", "lower", "off"),
        "numericOrdering": _truth,
        "alternate": _word("non-ignorable", "shifted"),
        "maxVariable": _word("punct", "space"),
        "backwards": _truth,
        "normalization": _truth,
    }
)
"""The same for a collation (MongoDB manual, "Collation")."""
