"""Settings, records of keys and row filters: read, and read again the same, or told."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from demijohn.auth.keys import Key, from_record, to_record
from demijohn.errors import BadParameter
from demijohn.formats.bson_values import encode
from demijohn.query.rows import Rows, read_rows
from demijohn.settings import Settings, SettingsError, load, variable
from tests.support.fuzz import attempt, fuzz
from tests.support.fuzz_bson import HEX, WRAPPED, documents
from tests.support.fuzz_patches import PLAIN
from tests.support.fuzz_queries import PATHS
from tests.support.fuzz_texts import dumped, mostly, replaced, spoilt

NAMES = st.sampled_from([variable(name) for name in Settings.model_fields])
VALUES = st.one_of(
    st.builds(
        lambda number, unit: f"{number}{unit}",
        st.sampled_from(
            ["0", "1", "-1", "1.5", ".5", "9" * 25, "9" * 400, "9" * 5_000, "1e9", "1e999"]
        ),
        st.sampled_from(["", "B", "KiB", "MiB", "gb", "GiB", "YiB", "s", " ", "x", "\n"]),
    ),
    st.sampled_from(
        ["on", "off", "open", "auto", "json", "debug", "DEBUG", "inf", "nan", "0x10", "1_0"]
    ),
    st.sampled_from(
        ["a", "a" * 64, "mongodb://a:b@c/", "٣", "10.0.0.0/8", "::/0", "a/33", "/etc/x"]
    ),
    st.text(max_size=8),
)
ENVIRONMENTS = st.dictionaries(
    NAMES | st.sampled_from(["DEMIJOHN_", "DEMIJOHN_PROT"]), VALUES, max_size=3
)


def settings_of(environ: dict[str, str], file: Path | None = None) -> Settings | None:
    """The settings, None where they are refused: with messages of one line, each of its setting."""
    try:
        return load(environ, file)
    except SettingsError as error:
        for message in error.messages:
            assert "\n" not in message.replace(environ.get("MONGODB_URI", "\n"), "")
            assert message.startswith(("DEMIJOHN_", "MONGODB_URI", str(file)))
        return None


@fuzz(1500)
@given(ENVIRONMENTS)
def test_settings(environ: dict[str, str]) -> None:
    """Any texts are settings, which a child process reads as the same, or are told one by one."""
    found = settings_of(environ)
    if found is not None:
        assert load(found.environ()) == found


FILES = spoilt(
    st.dictionaries(NAMES, VALUES, max_size=3).map(
        lambda given: "".join(f"{name}={value!r}\n" for name, value in given.items()).encode(
            errors="replace"
        )
    )
)


@fuzz(500)
@given(st.lists(FILES, min_size=1, max_size=3))
def test_env_files(contents: list[bytes]) -> None:
    """Any bytes are a file of settings, or are told as none."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "settings.env"
        for content in contents:
            file.write_bytes(content)
            settings_of({}, file)


ROWS = st.dictionaries(
    PATHS,
    mostly(
        st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.just({"$oid": HEX}),
        PLAIN | WRAPPED,
    ),
    max_size=3,
)
GOOD = {"id": "0123456789abcdef", "digest": "sha256:" + "0" * 64, "scopes": ["a:read"]}
RECORDS = st.fixed_dictionaries(
    {
        "id": st.sampled_from([*[GOOD["id"]] * 6, "0123456789ABCDEF", "x", 1]),
        "digest": st.sampled_from([*[GOOD["digest"]] * 6, "sha256:" + "g" * 64, "md5:0", None]),
        "scopes": st.lists(
            st.sampled_from(
                ["a:read", "*:write", "a:ADMIN", "a", ":", "_a:read", "a:b:read", 1, "é:read"]
            ),
            max_size=3,
        ),
    },
    optional={
        "rows": ROWS,
        "name": st.text(max_size=5) | PLAIN,
        "created": st.datetimes().map(str)
        | st.sampled_from(["2026-01-31T00:00:00Z", "x", 0, None]),
        "expires": st.sampled_from(
            [
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                "2026-01-31T00:00:00Z",
                "",
                5,
            ]
        ),
        "other": PLAIN,
    },
)


@fuzz(1500)
@given(replaced(RECORDS, PLAIN))
@example({**GOOD, "created": "0001-01-01T00:00:00+14:00"})
@example({**GOOD, "expires": "9999-12-31T23:59:59-14:00"})
def test_records_of_keys(record: Any) -> None:
    """Any JSON is a key, whose own record is the same key again, or no key."""
    found = attempt(lambda: from_record(record), BadParameter)
    if isinstance(found, Key):
        written = to_record(found)
        json.dumps(written)
        again = from_record(written)
        assert to_record(again) == written
        assert again.caller == found.caller


@fuzz(1500)
@given(spoilt(dumped(ROWS), most=1), documents())
def test_row_filters(body: bytes, document: bytes) -> None:
    """Any bytes are a row filter that says of every document whether it holds, or none."""
    rows = attempt(lambda: read_rows(body), BadParameter)
    if isinstance(rows, Rows):
        assert read_rows(rows.text) == rows
        assert rows.bson
        assert isinstance(rows.holds(document), bool)
        nested: dict[str, Any] = {}
        for path, value in rows.equalities:
            inner = nested
            *way, last = path.split(".")
            for part in way:
                inner = inner.setdefault(part, {})
            inner[last] = value
        assert rows.holds(encode(nested))
