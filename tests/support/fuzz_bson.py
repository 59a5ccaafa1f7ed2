"""Values in MongoDB Extended JSON for fuzzers: every type's wrapper, and what only looks like one.

And documents of BSON made byte by byte, as they may stand in a database that others write to.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import strategies as st

Json = st.SearchStrategy[Any]
HEX = "65a1f0c2b9d4e83a7c15f206"
_INTEGERS = st.one_of(
    st.sampled_from(
        ["0", "-0", "00", "7", "+1", "2147483648", "9223372036854775807", "1.0", "9" * 30]
    ),
    st.integers(-(2**64), 2**64).map(str),
)
_DECIMALS = st.one_of(
    st.sampled_from(
        ["NaN", "-NaN", "Infinity", "-inf", "1E+6144", "1e-6176", "0E9999999", "9" * 35]
    ),
    st.sampled_from(
        ["1.50", ".5", "5.", "1e", "", "0" * 10_001, "1E-6177", "-0", "sNaN", "1e99999"]
    ),
    st.decimals(allow_nan=False, places=3).map(str),
    st.floats().map(repr),
)
_DATES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    st.sampled_from(
        [
            *("2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
            *("9999-12-31T23:59:59.999-23:59", "2026-01-01T00:00:00+24:00", "2026-01-01T24:00:00Z"),
            *("2026-01-01T00:00:00.1234Z", "2026-01-01T00:00:00.1000000Z", "2026-01-01t00:00:00z"),
            *(
                "2026-01-01T00:00:60Z",
                "2026-01-01",
                "2026-01-01T00:00:00+0130",
                "٢٠٢٦-01-01T00:00:00Z",
            ),
        ]
    ),
)
_BASE64 = st.sampled_from(
    ["", "QQ==", "QUI=", "QUJD", "QQ", "QQ=", "Q Q==", "QR==", "é", "====", "-_"]
)
_SUBTYPES = st.sampled_from(["00", "02", "03", "04", "4", "80", "ff", "FF", "", "100", "0x1", 4])
_LETTERS = st.sampled_from(["", "i", "mi", "xyz", "é", "a\0b", "ii", 1, None])
_COUNTS = st.sampled_from([0, 1, 2**32 - 1, 2**32, -1, 1.0, True, "1", 2**64])
_OIDS = st.sampled_from([HEX, HEX.upper(), HEX[1:], HEX[:23] + "g", HEX + "\n", "", 1, None])
_UUIDS = st.sampled_from(
    ["73ffd264-44b3-4c69-90e8-e7d1dfc035d4", "73ffd26444b34c6990e8e7d1dfc035d4"]
)


def _objects(**given: Json) -> Json:
    """Objects with these members, names of which stand without their $; now and then one lacks."""
    whole = st.fixed_dictionaries({f"${name}": each for name, each in given.items()})
    return st.one_of(
        whole,
        whole,
        whole,
        st.fixed_dictionaries({}, optional={f"${name}": each for name, each in given.items()}),
    )


def _plain(**given: Json) -> Json:
    return st.fixed_dictionaries(given)


_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({})
)
_WRAPPERS: Json = st.one_of(
    _objects(oid=_OIDS),
    _objects(numberInt=_INTEGERS),
    _objects(numberLong=_INTEGERS),
    _objects(numberDouble=_DECIMALS),
    _objects(numberDecimal=_DECIMALS),
    _objects(date=_DATES | _objects(numberLong=_INTEGERS)),
    _objects(binary=_plain(base64=_BASE64, subType=_SUBTYPES)),
    _objects(binary=_BASE64, type=_SUBTYPES),
    _objects(uuid=_UUIDS),
    _objects(timestamp=_plain(t=_COUNTS, i=_COUNTS)),
    _objects(regularExpression=_plain(pattern=_LETTERS, options=_LETTERS)),
    _objects(regex=_LETTERS, options=_LETTERS),
    _objects(code=_LETTERS),
    _objects(
        code=_LETTERS, scope=st.dictionaries(st.sampled_from(["a", "$a", ""]), _ANY, max_size=2)
    ),
    _objects(symbol=_LETTERS),
    _objects(dbPointer=_objects(ref=_LETTERS, id=_objects(oid=_OIDS))),
    _objects(ref=_LETTERS, id=_ANY, db=_LETTERS),
    _objects(minKey=st.sampled_from([1, 1, 1.0, True])),
    _objects(maxKey=st.sampled_from([1, 1, 2])),
    _objects(undefined=st.sampled_from([True, True, 1])),
)


@st.composite
def _wrapped(draw: st.DrawFn) -> Any:
    # A composite: the description of all these, which hypothesis would print, has many kilobytes.
    wrapper = draw(_WRAPPERS)
    if draw(st.integers(0, 3)):
        return wrapper
    return {**wrapper, draw(st.sampled_from(["$oid", "a", "$code", "$scope", "$type"])): draw(_ANY)}


WRAPPED: Json = _wrapped()
"""Wrappers of every type: right ones, those that are wrong in one place, and with one key more."""


_NAMES = st.sampled_from(
    [b"a", b"b", b"_id", b"", b"$a", b"a.b", b"\xff", b"$ref", b"$id", b"\xc3\xa9"]
)
_STRINGS = st.sampled_from(
    [b"", b"x", b"\xff", b"a\0b", "€".encode(), b"\xed\xa0\x80", b"$date", b"\n"]
)
_INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 2)
_INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2)


def _counted(content: bytes) -> bytes:
    return struct.pack("<i", len(content) + 1) + content + b"\0"


def _document(elements: list[tuple[bytes, tuple[int, bytes]]]) -> bytes:
    inner = b"".join(bytes([kind]) + name + b"\0" + payload for name, (kind, payload) in elements)
    return struct.pack("<i", len(inner) + 5) + inner + b"\0"


def _scoped(code: bytes, scope: bytes) -> bytes:
    return struct.pack("<i", len(code) + len(scope) + 4) + code + scope


_PAYLOADS = st.one_of(
    st.tuples(st.just(0x01), st.floats().map(lambda number: struct.pack("<d", number))),
    st.tuples(st.just(0x01), st.sampled_from([b"\xff" * 8, b"\1\0\0\0\0\0\xf0\x7f", bytes(8)])),
    st.tuples(st.sampled_from([0x02, 0x0D, 0x0E]), _STRINGS.map(_counted)),
    st.tuples(
        st.just(0x05),
        st.builds(
            lambda subtype, content: struct.pack("<iB", len(content), subtype) + content,
            st.sampled_from([0, 1, 3, 4, 5, 9, 128, 255]),
            st.binary(max_size=17),
        ),
    ),
    st.tuples(
        st.just(0x05),
        st.binary(max_size=4).map(lambda raw: struct.pack("<iBi", len(raw) + 4, 2, len(raw)) + raw),
    ),
    st.tuples(st.sampled_from([0x06, 0x0A, 0xFF, 0x7F]), st.just(b"")),
    st.tuples(st.just(0x07), st.binary(min_size=12, max_size=12)),
    st.tuples(st.just(0x08), st.sampled_from([b"\0", b"\1"])),
    st.tuples(st.sampled_from([0x09, 0x12]), _INT64.map(lambda number: struct.pack("<q", number))),
    st.tuples(
        st.just(0x0B),
        st.sampled_from([b"\0\0", b"a\0i\0", b"\xff\0mi\0", b"a\0\xff\0", b"(\0zz\0"]),
    ),
    st.tuples(st.just(0x0C), _STRINGS.map(lambda name: _counted(name) + bytes(12))),
    st.tuples(st.just(0x10), _INT32.map(lambda number: struct.pack("<i", number))),
    st.tuples(st.just(0x11), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(0x13), st.binary(min_size=16, max_size=16)),
)


def documents() -> st.SearchStrategy[bytes]:
    """Whole documents of every type, old ones too, with duplicate keys and strings of any bytes."""
    values = st.recursive(
        _PAYLOADS,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from([0x03, 0x03, 0x04]), _documents(inner)),
            st.tuples(st.just(0x0F), st.builds(_scoped, _STRINGS.map(_counted), _documents(inner))),
        ),
        max_leaves=6,
    )
    return _documents(values)


def _documents(values: st.SearchStrategy[tuple[int, bytes]]) -> st.SearchStrategy[bytes]:
    return st.lists(st.tuples(_NAMES, values), max_size=4).map(_document)


@st.composite
def mangled(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """A document some bytes of which are others, are missing, or are too many."""
    document = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(document)))
        match draw(st.sampled_from(["set", "length", "drop", "put"])):
            case "set":
                document[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "length":
                number = draw(st.integers(-5, 40) | _INT32)
                document[at : at + 4] = struct.pack("<i", number)
            case "drop":
                del document[at : at + draw(st.integers(1, 4))]
            case _:
                document[at:at] = draw(st.binary(max_size=3))
    if draw(st.booleans()) and len(document) >= 5:
        # Else most would stop at the first look.
        document[:4] = struct.pack("<i", len(document))
    return bytes(document)
