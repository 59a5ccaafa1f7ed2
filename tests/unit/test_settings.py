"""Settings: read from the environment and `.env`, refused with the name of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from demijohn.errors import problem_classes
from demijohn.settings import Settings, SettingsError, load
from demijohn.store.uri import check_uri


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """`.env` is below the environment; an empty value is an unset one."""
    file = tmp_path / ".env"
    file.write_text('MONGODB_URI="mongodb://file/"\nDEMIJOHN_PORT=1\nDEMIJOHN_HOST=\nOTHER=x\n')
    settings = load({"DEMIJOHN_PORT": "2", "DEMIJOHN_THREADS": ""}, file)
    assert (settings.mongodb_uri, settings.port) == ("mongodb://file/", 2)
    assert (settings.host, settings.threads) == ("127.0.0.1", 16)


def test_no_file_is_no_fault(tmp_path: Path) -> None:
    """Without a `.env` the defaults hold."""
    assert load({}, tmp_path / ".env") == Settings()


@pytest.mark.parametrize(
    ("name", "near"),
    [("DEMIJOHN_PROT", "DEMIJOHN_PORT"), ("DEMIJOHN_MAXBODY", "DEMIJOHN_MAX_BODY")],
)
def test_a_misspelt_name_stops_the_start(name: str, near: str) -> None:
    """With the nearest right one."""
    with pytest.raises(SettingsError, match=f"{name}.*did you mean {near}"):
        load({name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEMIJOHN_PORT", "70000"),
        ("DEMIJOHN_PORT", "http"),
        ("DEMIJOHN_WORKERS", "0"),
        ("DEMIJOHN_AUTH", "closed"),
        ("DEMIJOHN_MAX_BODY", "17MiB"),
        ("DEMIJOHN_DATABASE", "a/b"),
        ("DEMIJOHN_DRAIN_DELAY", "nan"),
        ("DEMIJOHN_LOG_FORMAT", "xml"),
        ("DEMIJOHN_RATE_PER_KEY", "many"),
        ("DEMIJOHN_RATE_PER_KEY", "-1"),
        ("DEMIJOHN_RATE_PER_KEY", "1,0"),
        ("DEMIJOHN_RATE_PER_ADDRESS", "1;2"),
        ("DEMIJOHN_TRUSTED_PROXIES", "proxy.example"),
        ("DEMIJOHN_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DEMIJOHN_TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("DEMIJOHN_REPLICAS", "0"),
        ("DEMIJOHN_SHED_AFTER", "-1"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    """The message names the setting and keeps the value to itself."""
    with pytest.raises(SettingsError, match=name) as caught:
        load({name: value})
    assert len(caught.value.messages) == 1


@pytest.mark.parametrize("content", [b"\xff\xfe", b"DEMIJOHN_PORT\n", b"A=1\0\n", b"not a line\n"])
def test_a_corrupt_file_stops_the_start(tmp_path: Path, content: bytes) -> None:
    """A `.env` that is no `.env` is not passed over."""
    file = tmp_path / ".env"
    file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"\.env"):
        load({}, file)


def test_a_child_gets_the_same_settings() -> None:
    """What is handed on as environment variables reads back as the same."""
    given = {"DEMIJOHN_MAX_BODY": "3MiB", "DEMIJOHN_AUTH": "open", "MONGODB_URI": "mongodb://x/"}
    settings = load(given)
    assert load(settings.environ()) == settings
    assert settings.max_body == 3 * 1024 * 1024


@pytest.mark.parametrize(
    "options",
    [
        "w=1",
        "journal=true;w=1",
        "w=0",
        "w=2",
        "W=1",
        "journal=false",
        "j=false",
        "w=majority&journal=FALSE",
    ],
)
def test_a_uri_that_asks_for_less_is_refused(options: str) -> None:
    """Acknowledged means by a majority, from the journal, whatever the URI says."""
    with pytest.raises(SettingsError, match="MONGODB_URI"):
        check_uri(f"mongodb://user:pw@host/?{options}")


@pytest.mark.parametrize("rest", ["", "/?retryWrites=true&w=majority", "/db?journal=true"])
def test_a_uri_that_asks_for_as_much_is_fine(rest: str) -> None:
    """What Atlas prints is accepted as it is."""
    check_uri(f"mongodb+srv://user:pw@host{rest}")


@pytest.mark.parametrize("uri", ["garbage", "http://host/", "mongodb://", "mongodb:///db"])
def test_what_is_no_uri_is_refused(uri: str) -> None:
    """Nothing is taken for the name of a host that was not meant as one."""
    with pytest.raises(SettingsError, match="mongodb://"):
        check_uri(uri)


def test_problem_codes_are_unique() -> None:
    """A code names one problem."""
    codes = [each.code for each in problem_classes()]
    assert len(codes) == len(set(codes))
