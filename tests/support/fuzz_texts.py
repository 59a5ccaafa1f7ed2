"""JSON texts for fuzzers: made by the grammar, with what it leaves open, and then spoilt a little.

Everything is bytes, since much of it no JSON library would write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Texts = st.SearchStrategy[bytes]
Json = st.SearchStrategy[Any]

_BLANK = st.sampled_from([b"", b"", b"", b" ", b"\n", b" \t\r\n "])
_CHARACTERS = st.sampled_from(
    [
        *(b"a", b"0", b" ", b".", b"~", b"/", b"$", b"[", b"{", b",", b":", b"\x7f"),
        *("é".encode(), "€".encode(), "𝄞".encode(), "\ufeff".encode(), "\u2028".encode()),
        *(rb"\"", rb"\\", rb"\/", rb"\b", rb"\n", rb"\u0000", rb"\u0024", rb"\u00e9"),
        *(rb"\ud834\udd1e", rb"\u005c", rb"\u0022", rb"\ufffe"),
    ]
)
STRINGS = st.lists(_CHARACTERS, max_size=5).map(lambda parts: b'"' + b"".join(parts) + b'"')
NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65).map(lambda number: b"%d" % number),
    st.integers(-9, 9).map(lambda number: b"%d" % number),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode()),
    st.sampled_from(
        [
            *(b"-0", b"-0.0", b"0e0", b"1E+2", b"1e-400", b"5e-324", b"1e308", b"1e309", b"-1e999"),
            *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808"),
            *(b"-9223372036854775809", b"18446744073709551615", b"18446744073709551616"),
            *(b"9" * 19, b"1" + b"0" * 400, b"0." + b"1" * 400, b"2147483648", b"-2147483649"),
            *(b"9007199254740993", b"9223372036854775807.0", b"1" + b"0" * 30 + b"e-30"),
        ]
    ),
)
LEAVES = st.one_of(st.sampled_from([b"null", b"true", b"false"]), NUMBERS, STRINGS)
_ODD_KEYS = st.sampled_from(
    [b'"_id"', b'"a"', b'"b"', b'""', b'"a.b"', b'"$a"', rb'"\u0024b"', rb'"a\u0000"', b'"$ref"']
)
KEYS = st.one_of(_ODD_KEYS, STRINGS, st.sampled_from([b'"a"', b'"_id"']))

TOKENS = st.sampled_from(
    [
        *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\\", b"\n", b"\0", b"\xff", b"\xc3", b"\xed"),
        *(b"null", b"1e999", b"9" * 25, b"-", b"+", b".", b"e", b"01", b"NaN", b"Infinity", b"//"),
        *(rb"\ud800", rb"\udc00", rb"\u", rb"\x", b"\xef\xbb\xbf", b"\xc0\x80", b"\xed\xa0\x80"),
        *(b'"$oid"', b'"$a":1', b'"_id":', b'{"":', b"[" * 101, b"]" * 101, b"[[]]", b"'", b"\xa0"),
        *(b"\x1f", b"\x0c", "\u2028".encode(), b"\xf4\x90\x80\x80", b"[" * 1100, b"]" * 1100),
    ]
)


def array(parts: Sequence[bytes], blank: bytes = b"") -> bytes:
    """An array of elements that are texts."""
    return b"[" + (blank + b"," + blank).join(parts) + b"]"


def members(parts: Sequence[tuple[bytes, bytes]], blank: bytes = b"") -> bytes:
    """An object of keys and values that are texts; a key may come twice."""
    pairs = (key + blank + b":" + blank + value for key, value in parts)
    return b"{" + (blank + b",").join(pairs) + blank + b"}"


def values(leaves: Texts = LEAVES, keys: Texts = KEYS) -> Texts:
    """Texts of any value."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(array, st.lists(inner, max_size=4), _BLANK),
            st.builds(members, st.lists(st.tuples(keys, inner), max_size=4), _BLANK),
            st.builds(_nested, st.sampled_from([1, 40, 97, 98, 99, 100, 101, 130]), inner),
        ),
        max_leaves=8,
    )


def objects(leaves: Texts = LEAVES, keys: Texts = KEYS) -> Texts:
    """Texts of an object."""
    member = st.tuples(keys, values(leaves, keys))
    return st.builds(members, st.lists(member, max_size=5), _BLANK)


def _nested(levels: int, inner: bytes) -> bytes:
    return b"[" * levels + inner + b"]" * levels


@st.composite
def spoilt(draw: st.DrawFn, texts: Texts, most: int = 3) -> bytes:
    """A text, half the time with up to so many small changes, which leave most of it as it is."""
    text = draw(texts)
    if draw(st.booleans()):
        return text
    for _ in range(draw(st.integers(1, most))):
        text = _changed(draw, text)
    return text


def _changed(draw: st.DrawFn, text: bytes) -> bytes:
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 1, 2, 5, 30])))
    match draw(st.sampled_from(["put", "drop", "twice", "cut", "bits"])):
        case "put":
            return text[:start] + draw(TOKENS) + text[end:]
        case "drop":
            return text[:start] + text[end:]
        case "twice":
            return text[:end] + text[start:end] * draw(st.integers(1, 3)) + text[end:]
        case "cut":
            return text[:start]
        case _:
            flipped = bytes(each ^ 1 << draw(st.integers(0, 7)) for each in text[start : start + 1])
            return text[:start] + flipped + text[start + 1 :]


@st.composite
def mostly(draw: st.DrawFn, good: Json, odd: Json) -> Any:
    """A good value nine times of ten: what holds several odd ones is never taken."""
    return draw(odd if draw(st.integers(0, 9)) == 5 else good)


@st.composite
def replaced(draw: st.DrawFn, given: Json, odd: Json) -> Any:
    """A JSON value of which now and then one part is another, at any depth."""
    value = draw(given)
    if draw(st.integers(0, 2)):
        return value
    return _with_part(draw, value, draw(odd))


def _with_part(draw: st.DrawFn, value: Any, part: Any) -> Any:
    if not isinstance(value, dict | list) or not value or not draw(st.integers(0, 3)):
        return part
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _with_part(draw, value[at], part), *value[at + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    if isinstance(part, str) and draw(st.booleans()):
        return {(part if name == key else name): child for name, child in value.items()}
    return {**value, key: _with_part(draw, value[key], part)}


def dumped(given: Json) -> Texts:
    """The texts of JSON values, escaped or not."""
    return st.builds(
        lambda value, *, ascii_: json.dumps(value, ensure_ascii=ascii_).encode(
            errors="surrogatepass"
        ),
        given,
        ascii_=st.booleans(),
    )
