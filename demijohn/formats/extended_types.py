"""What the type wrappers of MongoDB Extended JSON v2 mean: `{"$oid": …}` and its like to BSON.

Read are the canonical and the relaxed form of each type, in any order of members, and of the old
forms those that are not ambiguous: `$binary` with `$type`, `$regex` with `$options`, `$uuid`.
Nothing is guessed: an object with a wrapper's key that is not exactly that wrapper is a fault.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import DecimalException
from types import MappingProxyType
from typing import Any, NoReturn

from bson.decimal128 import Decimal128

from demijohn.formats import bson_values as bv
from demijohn.formats.bson_values import (
    DOUBLE_BYTES,
    EPOCH,
    INT64_BYTES,
    LENGTH,
    OLD_BINARY,
    TIMESTAMP_BYTES,
    Value,
)
from demijohn.formats.id_values import HEX_ID
from demijohn.formats.json_faults import LARGEST_INTEGER, LEAST_INTEGER

CODE, SCOPE = "$code", "$scope"
OLD_REGEX = "$regex"
"""Also an operator of MongoDB's queries, which is why it has a name of its own."""
_OLD_BINARY_KEYS = frozenset(("$binary", "$type"))
_OLD_REGEX_KEYS = frozenset((OLD_REGEX, "$options"))
_LEAST_INT32, _LARGEST_INT32 = -(2**31), 2**31 - 1
_LARGEST_UINT32 = 2**32 - 1
_LONGEST_DECIMAL = 10_000
"""Characters. What is longer has more zeros than any exponent can mean."""
_UUID_SUBTYPE = 4
_SUBTYPE = re.compile(r"[0-9A-Fa-f]{1,2}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_DECIMAL_DIGITS = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?"
_DOUBLE_TEXT = re.compile(_DECIMAL_DIGITS)
_DECIMAL_TEXT = re.compile(_DECIMAL_DIGITS + r"|[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_DATE_TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,3})0*)?(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)
_NAMED_DOUBLES = MappingProxyType({"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf})
_MILLISECOND = timedelta(milliseconds=1)


class WrongType(ValueError):
    """An object that has a wrapper's key and is not that wrapper; the text is for the client."""


def integer(number: int) -> Value:
    """The smallest BSON integer that holds a number of at most 64 bits."""
    if _LEAST_INT32 <= number <= _LARGEST_INT32:
        return Value(bv.INT32, LENGTH.pack(number))
    return Value(bv.INT64, INT64_BYTES.pack(number))


def string(text: str, kind: int = bv.STRING) -> Value:
    """A string, or another type of BSON that is written like one."""
    return Value(kind, _counted(text))


def wrapper_key(members: Mapping[str, Any]) -> str | None:
    """The first key by which an object is a type wrapper, None where it has none."""
    return next((key for key in members if key in _READERS or key == OLD_REGEX), None)


def unwrap(key: str, members: Mapping[str, Any]) -> Value:
    """The value of the wrapper that `key`, one of the members' keys, makes of them.

    `$code` with `$scope` is not read here: its scope is a document. Raises WrongType.
    """
    if members.keys() == _OLD_BINARY_KEYS:
        return _pack_binary(members["$binary"], members["$type"])
    if key == OLD_REGEX:
        return _old_regex(members)
    if len(members) != 1:
        exception = " but $scope" if key == CODE else ""
        _refuse(f"Beside {key} stands no other key{exception}.")
    return _READERS[key](members)


def code_with_scope(code: object, scope: bytes) -> Value:
    """Code with the document of its variables. Raises WrongType."""
    if not isinstance(code, str):
        _refuse("$code is a string.")
    body = _counted(code) + scope
    return Value(bv.CODE_WITH_SCOPE, LENGTH.pack(LENGTH.size + len(body)) + body)


def _refuse(detail: str) -> NoReturn:
    raise WrongType(detail)


def _counted(text: str) -> bytes:
    content = text.encode()
    return LENGTH.pack(len(content) + 1) + content + b"\0"


def _is_object(value: object, *keys: str) -> bool:
    return isinstance(value, dict) and value.keys() == set(keys)


def _is_match(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _object_id(members: Mapping[str, Any]) -> Value:
    if not _is_match(HEX_ID, members["$oid"]):
        _refuse("$oid is a string of 24 hex digits.")
    return Value(bv.OBJECT_ID, bytes.fromhex(members["$oid"]))


def _symbol(members: Mapping[str, Any]) -> Value:
    if not isinstance(members["$symbol"], str):
        _refuse("$symbol is a string.")
    return string(members["$symbol"], bv.SYMBOL)


def _code(members: Mapping[str, Any]) -> Value:
    if not isinstance(members["$code"], str):
        _refuse("$code is a string.")
    return string(members["$code"], bv.CODE)


def _int32(members: Mapping[str, Any]) -> Value:
    text = members["$numberInt"]
    if not _is_match(_INTEGER, text) or not _LEAST_INT32 <= int(text) <= _LARGEST_INT32:
        _refuse("$numberInt is a string of an integer of 32 bits, signed.")
    return Value(bv.INT32, LENGTH.pack(int(text)))


def _int64(members: Mapping[str, Any]) -> Value:
    return Value(bv.INT64, _pack_int64(members["$numberLong"]))


def _pack_int64(text: Any) -> bytes:  # noqa: ANN401 - any JSON value
    if not _is_match(_INTEGER, text) or not LEAST_INTEGER <= int(text) <= LARGEST_INTEGER:
        _refuse("$numberLong is a string of an integer of 64 bits, signed.")
    return INT64_BYTES.pack(int(text))


def _double(members: Mapping[str, Any]) -> Value:
    text = members["$numberDouble"]
    if isinstance(text, str) and text in _NAMED_DOUBLES:
        return Value(bv.DOUBLE, DOUBLE_BYTES.pack(_NAMED_DOUBLES[text]))
    if not _is_match(_DOUBLE_TEXT, text) or not math.isfinite(float(text)):
        _refuse("$numberDouble is a string: a number that a double holds, NaN or ±Infinity.")
    return Value(bv.DOUBLE, DOUBLE_BYTES.pack(float(text)))


def _decimal(members: Mapping[str, Any]) -> Value:
    text = members["$numberDecimal"]
    try:
        if _is_match(_DECIMAL_TEXT, text) and len(text) <= _LONGEST_DECIMAL:
            return Value(bv.DECIMAL128, Decimal128(text).bid)
    except DecimalException:
        _refuse("$numberDecimal holds 34 digits, and exponents from -6176 to 6111.")
    _refuse("$numberDecimal is a string of a decimal number, NaN or ±Infinity.")


def _date(members: Mapping[str, Any]) -> Value:
    given = members["$date"]
    if _is_object(given, "$numberLong"):
        return Value(bv.DATE, _pack_int64(given["$numberLong"]))
    found = _DATE_TEXT.fullmatch(given) if isinstance(given, str) else None
    try:
        if found:
            return Value(bv.DATE, INT64_BYTES.pack((_moment(found) - EPOCH) // _MILLISECOND))
    except ValueError:
        pass  # a month 13, or the like
    _refuse("$date is a string as RFC 3339 has it, to the millisecond, or a $numberLong.")


def _moment(found: re.Match[str]) -> datetime:
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, hours, minutes = found.groups()[6:]
    offset = timedelta(hours=int(hours or 0), minutes=_below_60(int(minutes or 0)))
    zone = timezone(-offset if sign == "-" else offset)
    microsecond = int((fraction or "0").ljust(6, "0"))
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=zone)


def _below_60(minutes: int) -> int:
    if minutes >= 60:  # noqa: PLR2004 - minutes of an hour
        raise ValueError(minutes)
    return minutes


def _binary(members: Mapping[str, Any]) -> Value:
    given = members["$binary"]
    if not _is_object(given, "base64", "subType"):
        _refuse("$binary is an object of base64 and subType, and stands alone.")
    return _pack_binary(given["base64"], given["subType"])


def _pack_binary(content: object, subtype: Any) -> Value:  # noqa: ANN401 - any JSON value
    if not _is_match(_SUBTYPE, subtype):
        _refuse("A binary's type is a string of one or two hex digits.")
    try:
        raw = b64decode(content, validate=True) if isinstance(content, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        _refuse("A binary's content is a string of base64, padded with = to its end.")
    kind = int(subtype, 16)
    return _blob(kind, LENGTH.pack(len(raw)) + raw if kind == OLD_BINARY else raw)


def _blob(subtype: int, content: bytes) -> Value:
    return Value(bv.BINARY, LENGTH.pack(len(content)) + bytes([subtype]) + content)


def _uuid(members: Mapping[str, Any]) -> Value:
    if not _is_match(_UUID, members["$uuid"]):
        _refuse("$uuid is a string of 32 hex digits in groups of 8-4-4-4-12.")
    return _blob(_UUID_SUBTYPE, bytes.fromhex(members["$uuid"].replace("-", "")))


def _timestamp(members: Mapping[str, Any]) -> Value:
    given = members["$timestamp"]
    parts = [given["i"], given["t"]] if _is_object(given, "t", "i") else []
    if not parts or not all(type(each) is int and 0 <= each <= _LARGEST_UINT32 for each in parts):
        _refuse("$timestamp is an object of t and i, each an integer of 32 bits, unsigned.")
    return Value(bv.TIMESTAMP, TIMESTAMP_BYTES.pack(*parts))


def _regex(members: Mapping[str, Any]) -> Value:
    given = members["$regularExpression"]
    if not _is_object(given, "pattern", "options"):
        _refuse("$regularExpression is an object of pattern and options.")
    return _pack_regex(given["pattern"], given["options"])


def _old_regex(members: Mapping[str, Any]) -> Value:
    if members.keys() != _OLD_REGEX_KEYS:
        _refuse("Beside $regex stands $options and nothing else.")
    return _pack_regex(members["$regex"], members["$options"])


def _pack_regex(pattern: object, options: object) -> Value:
    if not isinstance(pattern, str) or not isinstance(options, str):
        _refuse("A regular expression's pattern and options are strings.")
    if "\0" in pattern or "\0" in options:
        _refuse("A regular expression may not contain the character U+0000.")
    # BSON demands the letters in the order of the alphabet (bsonspec.org).
    return Value(bv.REGEX, f"{pattern}\0{''.join(sorted(options))}\0".encode())


def _db_pointer(members: Mapping[str, Any]) -> Value:
    given = members["$dbPointer"]
    if not (
        _is_object(given, "$ref", "$id")
        and isinstance(given["$ref"], str)
        and _is_object(given["$id"], "$oid")
    ):
        _refuse("$dbPointer is an object of $ref, a string, and $id, an ObjectId.")
    return Value(bv.DB_POINTER, _counted(given["$ref"]) + _object_id(given["$id"]).payload)


def _constant(key: str, kind: int, only: object) -> Callable[[Mapping[str, Any]], Value]:
    def read(members: Mapping[str, Any]) -> Value:
        given = members[key]
        if type(given) is not type(only) or given != only:
            _refuse(f"{key} is {str(only).lower()}.")
        return Value(kind, b"")

    return read


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Value]] = MappingProxyType(
    {
        "$oid": _object_id,
        "$symbol": _symbol,
        "$code": _code,
        "$numberInt": _int32,
        "$numberLong": _int64,
        "$numberDouble": _double,
        "$numberDecimal": _decimal,
        "$date": _date,
        "$binary": _binary,
        "$uuid": _uuid,
        "$timestamp": _timestamp,
        "$regularExpression": _regex,
        "$dbPointer": _db_pointer,
        "$minKey": _constant("$minKey", bv.MIN_KEY, 1),
        "$maxKey": _constant("$maxKey", bv.MAX_KEY, 1),
        "$undefined": _constant("$undefined", bv.UNDEFINED, True),
    }
)
