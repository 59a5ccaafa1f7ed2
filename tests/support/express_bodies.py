"""Bodies for requests to the hot routes: good documents, what only looks like one, sizes at bounds.

Everything is bytes, as it goes over the wire: much of it no JSON library would write.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from demijohn.front.plain import LARGEST
from tests.support.express_seeds import ABSENT_ID, NAMED_ID, NUMBERED_ID, PLAIN_ID, SMALL_ID

MAX_BODY = 64 * 1024
"""Bytes: what the services of these tests take as `DEMIJOHN_MAX_BODY`."""

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_KEYS = _TEXT.filter(lambda key: key[:1] != "$" and "\0" not in key and key not in ("", "_id"))
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_LEAVES = st.none() | st.booleans() | _NUMBERS | _TEXT
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=5,
)
_FIELDS = st.dictionaries(_KEYS, _VALUES, max_size=4)
_HELD: st.SearchStrategy[Any] = st.sampled_from(
    [{}, {}, *[{"n": 1}] * 3, {"n": 2}, {"n": 1.0}, {"n": 1.5}, {"n": [1]}, {"n": "1"}]
) | st.builds(lambda words: {"n": 1, "words": words}, _LEAVES)
"""What the schemas look at, and the row filters."""
NEW_IDS = st.sampled_from(
    [ABSENT_ID, ABSENT_ID.upper(), "new", "", ".", "{", "é/%", 7, 7.5, -0.0, 2**63 - 1, {"a": 1}]
)
TAKEN_IDS = st.sampled_from(
    [SMALL_ID, SMALL_ID.upper(), NAMED_ID, PLAIN_ID, NUMBERED_ID, float(NUMBERED_ID)]
)
BAD_IDS = st.sampled_from([None, True, [], [1], {"$oid": SMALL_ID}, {"$gt": ""}, {}, "x" * 1025])


def padded(size: int) -> bytes:
    """A document whose text has so many bytes."""
    frame = b'{"pad":"%b"}'
    return frame % (b"x" * (size - len(frame) + 2))


@st.composite
def _documents(draw: st.DrawFn, ids: st.SearchStrategy[Any] | None = None) -> bytes:
    fields = draw(_FIELDS) | draw(_HELD)
    if ids is not None:
        # It need not be the first member.
        fields = {**fields, "_id": draw(ids)} if draw(st.booleans()) else {"_id": draw(ids)}
    text = json.dumps(fields, ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(1)))
    return text.encode()


SPELT_ODDLY = st.sampled_from(
    [
        b"{}",
        b' \r\n\t{"a" : 1 } \n',
        b'{"a":1,"a":2}',
        b'{"_id":"x","_id":"new"}',
        b'{"a":1e300}',
        b'{"a":1.0,"b":1,"c":-0,"d":-0.0,"e":1E5}',
        b'{"a":9223372036854775807,"b":-9223372036854775808}',
        b'{"a":0.1000000000000000055511151231257827}',
        b'{"a":"\\u00e9\\ud83d\\ude00\\/\\u0000"}',
        b'{"a.b":1,"":2}',
        b'{"a":' + b"[" * 98 + b"]" * 98 + b"}",
        '{"é":"😀","ключ":[{"a":null}]}'.encode(),
        padded(LARGEST - 1),
        padded(LARGEST),
    ]
)
_GOOD = _documents() | _documents(NEW_IDS) | SPELT_ODDLY
GOOD = st.one_of(_GOOD, _GOOD, _GOOD, _documents(TAKEN_IDS))
"""What the express path takes, though the id of some is taken."""
LARGE = st.sampled_from(
    [padded(size) for size in (LARGEST + 1, 4 * LARGEST - 1, MAX_BODY, MAX_BODY + 1, 2 * MAX_BODY)]
)
_NO_DOCUMENT = st.sampled_from(
    [
        *(b"", b" ", b"{", b"}", b"[]", b"[{}]", b'[{"a":1},{"a":2}]', b"null", b"1", b'"a"'),
        *(b"{'a':1}", b'{"a":1,}', b'{"a"}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":01}'),
        *(b'{"a":1}x', b'{"a":1}{"b":2}', b'{"a":1}\n{"b":2}\n', b'{"a":1}\0', b"{}\0"),
        *(b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b'{"\xc3":1}', b'{"a":"\xed\xa0\x80"}'),
        *(b'{"a":"\\ud800"}', b'{"\\ud800":1}', b'{"a":"\\x"}', b'{"a":"\n"}', b'{"a\\u0000b":1}'),
        *(b'{"$a":1}', b'{"a":{"$b":1}}', b'{"a":{"$oid":"x"}}', b'{"a":[{"$date":0}]}'),
        *(b'{"a":9223372036854775808}', b'{"a":1e999}', b'{"a":-1e999}', b'{"a":' + b"9" * 400),
        b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        '{"a":1}'.encode("utf-16"),
    ]
)
BAD = _NO_DOCUMENT | _documents(BAD_IDS)
"""What no route takes as one document; some of it is something else, such as an array."""
