"""Keys: their text, their records, their scopes and their time."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from demijohn.auth.caller import ANYONE, EVERY, NOBODY, Caller, Level
from demijohn.auth.keys import (
    LONGEST_NAME,
    MOST_SCOPES,
    Key,
    Presented,
    from_record,
    make_key,
    parse,
    to_record,
)
from demijohn.errors import BadParameter, Forbidden, Problem, Unauthenticated
from demijohn.query.rows import read_rows

NOW = 1_800_000_000.0
LEVELS = st.sampled_from(["read", "write", "admin"])
COLLECTIONS = st.sampled_from(["*", "data", "a.b", "things-2", "0"])
SCOPES = st.lists(st.tuples(COLLECTIONS, LEVELS).map(":".join), min_size=1, max_size=8)
ROWS = st.sampled_from([None, read_rows(b'{"owner":"ada","a.b":7}')])
PRINTABLE = st.text(max_size=LONGEST_NAME).filter(str.isprintable)


def made(*scopes: str, lifetime: float | None = None) -> tuple[Key, str]:
    """A key with these scopes, and its text."""
    return make_key(scopes, None, "", NOW, lifetime)


def outcome(read: Callable[[Any], object], given: object) -> tuple[object, Problem | None]:
    """What reading it gives, or the problem that it raises."""
    try:
        return read(given), None
    except Problem as problem:
        return None, problem


@given(SCOPES, ROWS, PRINTABLE, st.none() | st.integers(1, 10**9))
def test_a_key_comes_back_from_its_record(
    scopes: list[str], rows: object, name: str, lifetime: int | None
) -> None:
    """What is kept is the whole key but its secret, which nobody finds in it."""
    key, text = make_key(scopes, rows, name, NOW, lifetime)  # type: ignore[arg-type]
    record = to_record(key)

    assert from_record(record) == key
    assert text.rpartition("_")[2] not in str(record)


@given(st.booleans(), st.integers(1, 5), st.sampled_from(["Bearer", "bearer", "BEARER"]))
def test_its_text_in_a_header_is_the_key(is_upper: bool, spaces: int, scheme: str) -> None:  # noqa: FBT001
    """Whatever case scheme and digits have (RFC 9110, section 11.1), it is let in."""
    key, text = made("*:read")
    header = scheme + spaces * " " + (text[:3] + text[3:].upper() if is_upper else text)
    presented = parse(header)

    assert presented is not None
    assert presented.id == key.caller.id
    assert key.admits(presented, NOW)


@given(
    st.one_of(
        st.binary(max_size=300).map(lambda sent: sent.decode("latin-1")),
        st.text(max_size=100),
        st.binary(max_size=120).map(lambda sent: "Bearer dj_" + sent.decode("latin-1")),
        st.from_regex(r"[Bb]earer +dj_[0-9a-fA-F]{14,18}_[0-9a-f\n]{62,66}[\n,]?", fullmatch=True),
    )
)
def test_a_header_of_any_bytes_is_a_key_or_is_refused(header: str) -> None:
    """It never fails in another way, and what is refused is not told why."""
    found, refused = outcome(parse, header)
    if isinstance(refused, Unauthenticated):
        assert refused.detail == "The key is not a valid one."
        assert dict(refused.headers)["WWW-Authenticate"].startswith("Bearer ")
    else:
        assert refused is None
        assert isinstance(found, Presented)
        assert (len(found.id), found.id.isalnum()) == (16, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"Bearer {text}, Bearer {text}",
        lambda text: f"Bearer {text},Bearer {text}",
        lambda text: f"Bearer {text} ",
        lambda text: f" Bearer {text}",
        lambda text: f"Bearer {text}\n",
        lambda text: f"Bearer\t{text}",
        lambda text: f"Bearer{text}",
        lambda text: f"Basic {text}",
        lambda text: text,
        lambda text: f"Bearer {text}0",
        lambda text: f"Bearer {text[:-1]}",
        lambda text: f"Bearer {text[:-1]}\uff10",
        lambda text: f"Bearer \u212a{text}",
        lambda text: "Bearer" + 200 * " " + text,
        lambda _: "",
        lambda _: "Bearer ",
    ],
)
def test_what_is_nearly_a_key_is_refused(change: Callable[[str], str]) -> None:
    """Above all two headers in one: which of them counts is said by nobody."""
    with pytest.raises(Unauthenticated):
        parse(change(made("*:read")[1]))


def test_no_header_is_no_key() -> None:
    """That is nobody, who may have what needs no key."""
    assert parse(None) is None


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_a_key_with_one_digit_changed_is_another(place: int, digit: str) -> None:
    """Every digit of the secret counts."""
    key, text = made("*:read")
    secret = text.rpartition("_")[2]
    other = secret[:place] + digit + secret[place + 1 :]
    presented = parse(f"Bearer dj_{key.caller.id}_{other}")

    assert presented is not None
    assert key.admits(presented, NOW) is (other == secret)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much of a secret is right is not to be read from how long the refusal takes."""
    compared: list[tuple[object, object]] = []
    right = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return right(one, other)

    key, _ = made("*:read")
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert not key.admits(Presented(key.caller.id, "sha256:no"), NOW)
    assert compared == [(key.digest, "sha256:no")]


def test_a_key_ends_at_its_very_end() -> None:
    """Up to `expires` it is let in, at it and after it not."""
    key, text = made("*:read", lifetime=60)
    presented = parse(f"Bearer {text}")

    assert presented is not None
    assert [key.admits(presented, NOW + after) for after in (0, 59.999, 60, 61)] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("level", list(Level))
def test_scopes_include_those_below_them(level: Level) -> None:
    """Of the same collection; `*` is all of them, and a collection is not `*`."""
    caller = made(f"notes:{level.name.lower()}")[0].caller
    every = made(f"*:{level.name.lower()}")[0].caller
    for each in Level:
        assert caller.may(each, "notes") is (each <= level)
        assert every.may(each, "notes") is every.may(each, EVERY) is (each <= level)
        assert not caller.may(each, "note")
        assert not caller.may(each, "notes.x")
        assert not caller.may(each, EVERY)
        assert not NOBODY.may(each, "notes")
        assert ANYONE.may(each, "notes")


def test_the_highest_of_several_scopes_counts() -> None:
    """In whatever order they were given; and `*` raises no other's level past its own."""
    for scopes in (("a:admin", "a:read", "*:read"), ("*:read", "a:read", "a:admin")):
        caller = made(*scopes)[0].caller
        assert caller.may(Level.ADMIN, "a")
        assert not caller.may(Level.WRITE, "b")


def test_whom_a_scope_does_not_let_is_told_by_its_kind() -> None:
    """401 for nobody, who can do something about it; 403 for a key."""
    with pytest.raises(Unauthenticated):
        NOBODY.check(Level.READ, "a")
    with pytest.raises(Forbidden):
        made("b:admin")[0].caller.check(Level.READ, "a")
    with pytest.raises(Forbidden):
        Caller(rows=read_rows(b'{"a":1}')).check_whole()


@pytest.mark.parametrize(
    "scopes",
    [
        [],
        [""],
        ["read"],
        [":read"],
        ["data"],
        ["data:"],
        ["data:READ"],
        ["data:read "],
        ["data:own"],
        ["data:3"],
        ["_keys:read"],
        ["_idempotency:admin"],
        ["system.users:read"],
        ["a..b:read"],
        ["a$b:read"],
        ["*.x:read"],
        ["**:read"],
        ["a b:read"],
        ["\u0430:read\n"],
        [121 * "a" + ":read"],
        (MOST_SCOPES + 1) * ["a:read"],
    ],
)
def test_what_is_no_scope_makes_no_key(scopes: list[str]) -> None:
    """The service's own collections can be in none."""
    with pytest.raises(BadParameter):
        made(*scopes)


RIGHT = to_record(make_key(["a:read"], read_rows(b'{"o":1}'), "n", NOW, 60)[0])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(RIGHT)), JUNK)
@example("rows", {"o": 2**64})
@example("rows", {"o": "\ud800"})
@example("rows", {"o": float("nan")})
def test_a_record_that_is_no_key_is_refused(member: str, value: object) -> None:
    """Whatever a file or the database says there, nothing but a BadParameter comes of it."""
    key, refused = outcome(from_record, {**RIGHT, member: value})
    if refused is None:
        assert isinstance(key, Key)
        assert from_record(to_record(key)) == key
    else:
        assert isinstance(refused, BadParameter)


@pytest.mark.parametrize(
    "change",
    [
        {"id": RIGHT["id"].upper()},
        {"id": RIGHT["id"] + "\n"},
        {"id": None},
        {"digest": RIGHT["digest"].removeprefix("sha256:")},
        {"digest": RIGHT["digest"] + "\n"},
        {"scopes": "a:read"},
        {"scopes": {"a": "read"}},
        {"rows": {}},
        {"rows": []},
        {"rows": {"o": {"$ne": 1}}},
        {"name": "two\nlines"},
        {"name": "\u202e"},
        {"expires": "tomorrow"},
        {"expires": "2026-01-31T00:00:00"},
        {"expires": 5},
        {"secret": "x"},
    ],
)
def test_a_record_with_one_member_wrong_is_no_key(change: dict[str, object]) -> None:
    """No key comes of it that lasts longer, or sees more, than was meant."""
    with pytest.raises(BadParameter):
        from_record({**RIGHT, **change})


def test_keys_are_made_by_chance() -> None:
    """No two are alike, and their texts are as long as they should be."""
    texts = sorted(made("*:read")[1] for _ in range(50))
    assert all(one[:19] != other[:19] and one[20:] != other[20:] for one, other in pairwise(texts))
    assert {len(text) for text in texts} == {3 + 16 + 1 + 64}
