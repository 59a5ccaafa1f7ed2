"""Limits by key and by address, on each way to start the service."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demijohn.auth.keys import make_key, to_record
from tests.conftest import Starter
from tests.support.api import Answer, Api
from tests.support.database import Database
from tests.support.wsgi import flask_run

ONE, OTHER = "203.0.113.1", "203.0.113.2"


@pytest.fixture(params=["serve", "flask run"])
def start(request: pytest.FixtureRequest, tmp_path: Path, own_service: Starter) -> object:
    """How to start the service with settings: a context manager that gives its address."""

    @contextmanager
    def serve(settings: dict[str, str]) -> Iterator[str]:
        if request.param == "serve":
            yield own_service(settings).url
        else:
            with flask_run(tmp_path, settings) as url:
                yield url

    return serve


def of(api: Api, client: str, path: str = "/", **headers: str) -> Answer:
    """What a client gets whose address the proxy in front has put to the right."""
    return api.ask("GET", path, headers={"X-Forwarded-For": client, **headers})


RATE, AT_ONCE = 0.5, 3
"""Requests a second that an address may make, and at one time."""


def let_in(api: Api, client: str) -> tuple[int, Answer]:
    """How many of a client's requests are let in before the first that is not, and that one."""
    answers = [of(api, client)]
    while answers[-1].status == 200:
        answers.append(of(api, client))
    return len(answers) - 1, answers[-1]


def test_an_address_has_its_rate(start: object, database: Database) -> None:
    """429 past it, for that address alone, true in its Retry-After; probes are never limited."""
    settings = {
        "MONGODB_URI": database.uri,
        "DEMIJOHN_AUTH": "open",
        "DEMIJOHN_WORKERS": "1",
        "DEMIJOHN_RATE_PER_ADDRESS": f"{RATE},{AT_ONCE}",
        "DEMIJOHN_TRUSTED_PROXIES": "127.0.0.0/8, ::1",
    }
    assert callable(start)
    with start(settings) as url:
        api = Api(url)
        began = time.monotonic()
        first, _ = let_in(api, ONE)
        # Whatever stands to the left is the client's own doing.
        second, refused = let_in(api, f"{OTHER}, {ONE}")
        # What time has passed lets some more in, on a machine that stood still too.
        assert AT_ONCE <= first + second <= AT_ONCE + RATE * (time.monotonic() - began)
        assert (refused.status, refused.problem()) == (429, "too-many-requests")
        assert of(api, OTHER).status == 200
        assert [of(api, ONE, "/livez").status for _ in range(10)] == [200] * 10
        time.sleep(int(refused.headers["Retry-After"]))
        assert of(api, ONE).status == 200
        api.close()


def test_keys_have_theirs_and_guesses_run_out(
    start: object, database: Database, tmp_path: Path
) -> None:
    """Each key its own rate; one address may try few keys that are not valid, and who has one may.

    The address of a guesser may be that of others, whose keys are valid: they are let in.
    """
    keys, texts = zip(
        *[make_key(["*:read"], None, "", time.time(), None) for _ in range(2)], strict=True
    )
    file = tmp_path / "keys.json"
    file.write_text(json.dumps([to_record(key) for key in keys]))
    settings = {
        "MONGODB_URI": database.uri,
        "DEMIJOHN_AUTH": "keys",
        "DEMIJOHN_KEYS_FILE": str(file),
        "DEMIJOHN_WORKERS": "1",
        "DEMIJOHN_RATE_PER_KEY": "0.01,4",
        "DEMIJOHN_RATE_FAILED_AUTH": "0.01,3",
    }
    assert callable(start)
    with start(settings) as url:
        api = Api(url)

        def asked(key: str) -> int:
            return api.ask("GET", "/data", headers={"Authorization": f"Bearer {key}"}).status

        wrong = texts[0][:-1] + ("0" if texts[0][-1] != "0" else "1")
        assert Counter(asked(wrong) for _ in range(6)) == {401: 3, 429: 3}
        assert [asked(texts[0]) for _ in range(5)] == [200] * 4 + [429]
        assert asked(texts[1]) == 200
        api.close()
