"""Any BSON document through Extended JSON and back: the same bytes, or exactly what is given up."""

from __future__ import annotations

import struct
from decimal import Decimal

from bson.decimal128 import Decimal128
from hypothesis import example, given
from hypothesis import strategies as st

from demijohn.formats import bson_values as bv
from demijohn.formats.bson_values import Node, Value, close_node, elements, encode
from demijohn.formats.extended_in import parse_extended
from demijohn.formats.extended_out import render

LEAST, LARGEST = -(2**63), 2**63 - 1


def counted(content: bytes) -> bytes:
    """The payload of a BSON string."""
    return struct.pack("<i", len(content) + 1) + content + b"\0"


def binary(subtype: int, content: bytes) -> Value:
    """Binary as BSON has it: the old subtype 2 with its length a second time."""
    if subtype == 2:
        content = struct.pack("<i", len(content)) + content
    return Value(bv.BINARY, struct.pack("<iB", len(content), subtype) + content)


def decimal(sign: int, digits: int, exponent: int) -> Value:
    """A Decimal128 in its canonical form."""
    value = Decimal((sign, tuple(map(int, str(digits))), exponent))
    return Value(bv.DECIMAL128, Decimal128(value).bid)


def code_with_scope(code: str, scope: dict[str, Node]) -> Value:
    """Code and the document of its variables."""
    body = counted(code.encode()) + encode(scope)
    return Value(bv.CODE_WITH_SCOPE, struct.pack("<i", len(body) + 4) + body)


def reference(*, name: str, identity: Node, rest: dict[str, Node]) -> Node:
    """A DBRef: by convention alone, and so an ordinary document."""
    return {"$ref": Value(bv.STRING, counted(name.encode())), "$id": identity, **rest}


TEXTS = st.text(max_size=6)
PATTERNS = st.text(max_size=4).filter(lambda text: "\0" not in text)
# A key that starts with $ can't be told from a type's own: see the module of the parser.
KEYS = st.text(max_size=4).filter(lambda key: "\0" not in key and not key.startswith("$"))
KEYS = KEYS | st.sampled_from(["", ".", "a.b", "é€𝄞", "a$b", "0", "__proto__", "base64", "\x7f"])
UINT32 = st.integers(0, 2**32 - 1)
INT64 = st.integers(LEAST, LARGEST) | st.integers(-(2**33), 2**33) | st.sampled_from([LEAST, 2**53])
DOUBLES = st.floats(allow_nan=False) | st.sampled_from([float("nan"), 1e308, -0.0, 1.0, 2.0**53])
SUBTYPES = st.integers(0, 255) | st.sampled_from([2, 3, 4])
NAMED_DECIMALS = ["NaN", "Infinity", "-Infinity", "0E+6111", "-0E-6176", "1.50"]
LEAVES = st.one_of(
    DOUBLES.map(lambda number: Value(bv.DOUBLE, struct.pack("<d", number))),
    TEXTS.map(lambda text: Value(bv.STRING, counted(text.encode()))),
    TEXTS.map(lambda text: Value(bv.SYMBOL, counted(text.encode()))),
    TEXTS.map(lambda text: Value(bv.CODE, counted(text.encode()))),
    st.builds(binary, SUBTYPES, st.binary(max_size=17)),
    st.binary(min_size=12, max_size=12).map(lambda raw: Value(bv.OBJECT_ID, raw)),
    st.booleans().map(lambda truth: Value(bv.BOOLEAN, bytes([truth]))),
    INT64.map(lambda number: Value(bv.DATE, struct.pack("<q", number))),
    st.integers(0, 253_402_300_799_999).map(lambda ms: Value(bv.DATE, struct.pack("<q", ms))),
    st.sampled_from([bv.NULL, bv.UNDEFINED, bv.MIN_KEY, bv.MAX_KEY]).map(
        lambda kind: Value(kind, b"")
    ),
    st.builds(
        lambda pattern, options: Value(bv.REGEX, f"{pattern}\0{''.join(options)}\0".encode()),
        PATTERNS,
        st.lists(st.sampled_from("ilmsux"), unique=True).map(sorted),
    ),
    st.builds(
        lambda name, raw: Value(bv.DB_POINTER, counted(name.encode()) + raw),
        TEXTS,
        st.binary(min_size=12, max_size=12),
    ),
    st.integers(-(2**31), 2**31 - 1).map(lambda n: Value(bv.INT32, struct.pack("<i", n))),
    INT64.map(lambda n: Value(bv.INT64, struct.pack("<q", n))),
    st.builds(lambda i, t: Value(bv.TIMESTAMP, struct.pack("<II", i, t)), UINT32, UINT32),
    st.builds(decimal, st.integers(0, 1), st.integers(0, 10**34 - 1), st.integers(-6176, 6111)),
    st.sampled_from(NAMED_DECIMALS).map(lambda t: Value(bv.DECIMAL128, Decimal128(t).bid)),
)
NODES: st.SearchStrategy[Node] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.builds(code_with_scope, TEXTS, st.dictionaries(KEYS, inner, max_size=2)),
        st.builds(
            reference,
            name=TEXTS,
            identity=inner,
            rest=st.dictionaries(KEYS | st.just("$db"), inner, max_size=2),
        ),
    ),
    max_leaves=12,
)
EMPTY_TIMESTAMP = Value(bv.TIMESTAMP, bytes(8))
IDS = st.one_of(
    TEXTS.map(lambda text: Value(bv.STRING, counted(text.encode()))),
    st.binary(min_size=12, max_size=12).map(lambda raw: Value(bv.OBJECT_ID, raw)),
    INT64.map(lambda number: Value(bv.INT64, struct.pack("<q", number))),
    st.dictionaries(KEYS, LEAVES, max_size=2),
)
DOCUMENTS = st.builds(
    lambda identity, fields: identity | fields,
    st.dictionaries(st.just("_id"), IDS),
    st.dictionaries(
        KEYS.filter(lambda key: key != "_id"),
        NODES.filter(lambda node: node != EMPTY_TIMESTAMP),
        max_size=5,
    ),
).map(encode)


def read_back(text: bytes) -> bytes:
    """The document that a text gives, as it would be stored."""
    parsed = parse_extended(text)
    return encode(parsed.fields if parsed.id is None else {"_id": parsed.id, **parsed.fields})


def relaxed(value: Value) -> Value:
    """What relaxed Extended JSON leaves of a value: of an int64 that fits, an int32."""
    if value.kind == bv.INT64:
        [number] = struct.unpack("<q", value.payload)
        fits = -(2**31) <= number < 2**31
        return Value(bv.INT32, struct.pack("<i", number)) if fits else value
    if value.kind in (bv.DOCUMENT, bv.ARRAY):
        members = {name: relaxed(child) for name, child in elements(value.payload)}
        return Value(value.kind, encode(dict(members)))
    if value.kind == bv.CODE_WITH_SCOPE:
        [length] = struct.unpack_from("<i", value.payload, 4)
        scope = Value(bv.DOCUMENT, value.payload[8 + length :])
        body = value.payload[4 : 8 + length] + relaxed(scope).payload
        return Value(bv.CODE_WITH_SCOPE, struct.pack("<i", len(body) + 4) + body)
    return value


@given(DOCUMENTS)
def test_canonical_is_lossless(document: bytes) -> None:
    """Every type, old ones too, every key and every order come back as the very bytes."""
    assert read_back(render(document, canonical=True)) == document


@given(DOCUMENTS)
def test_relaxed_gives_up_the_width_of_small_integers_alone(document: bytes) -> None:
    """All types but int64 come back as they were; an int64 that fits comes back as int32."""
    expected = relaxed(Value(bv.DOCUMENT, document)).payload
    assert read_back(render(document, canonical=False)) == expected


@given(NODES)
@example([binary(subtype, b"x" * size) for subtype in range(256) for size in (0, 15, 16)])
def test_a_value_has_one_spelling(node: Node) -> None:
    """What was read from one mode is spelt the same again: the two modes name the same value."""
    document = encode({"v": [close_node(node)]})
    for canonical in (True, False):
        text = render(document, canonical=canonical)
        assert render(read_back(text), canonical=canonical) == text


def test_what_has_no_spelling_of_its_own() -> None:
    """These come back as their nearest valid kin; the module says each of them."""
    null, broken = Value(bv.NULL, b""), Value(bv.STRING, counted(b"\xff"))
    nan = Value(bv.DOUBLE, b"\1\0\0\0\0\0\xf8\xff")
    decimal_nan = Value(bv.DECIMAL128, b"\1" + bytes(14) + b"\x7e")
    regex = Value(bv.REGEX, b"a\0mi\0")
    twice = Value(bv.DOCUMENT, b"\x0b\0\0\0\x0ak\0\x0ak\0\0")
    keyless = Value(bv.ARRAY, encode({"x": null}))
    for stored, kin in [
        (nan, Value(bv.DOUBLE, bytes(6) + b"\xf8\x7f")),
        (decimal_nan, Value(bv.DECIMAL128, bytes(15) + b"\x7c")),
        (regex, Value(bv.REGEX, b"a\0im\0")),
        (twice, Value(bv.DOCUMENT, encode({"k": null}))),
        (keyless, Value(bv.ARRAY, encode({"0": null}))),
        (broken, Value(bv.STRING, counted("\ufffd".encode()))),
    ]:
        text = render(encode({"v": stored}), canonical=True)
        assert read_back(text) == encode({"v": kin})
