"""A drill's key: what is said of one that won't do, and when one that was good is so no more."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from demijohn.drill import access, child, job
from demijohn.drill.access import CERTAIN, SETTLED, SPREAD, Admission
from demijohn.drill.errors import DrillError
from demijohn.drill.generator import arguments
from demijohn.drill.http import Answer, Target
from demijohn.drill.load import Plan
from demijohn.drill.outcomes import Failure
from tests.support.keys import new_key

KEY = new_key(access.SCOPE)[1]
PLAN = Plan("http://127.0.0.1:9", "run", 20, 20, 20, key=KEY)


def admission(*ended: tuple[float, Failure | None]) -> Admission:
    """What is known of a key after requests with it have ended so, at these seconds."""
    seen = Admission()
    for at, failure in ended:
        seen.note(at, failure)
    return seen


def test_a_key_that_is_refused_ever_after_is_over() -> None:
    """It is certain once nothing was let in when no process can be behind any more."""
    refused = [(10 + at / 2, Failure.DENIED) for at in range(int(2 * (SETTLED + CERTAIN)) + 2)]

    assert not admission(*refused[:-1]).is_over
    assert admission(*refused).is_over
    assert admission(*refused).ended == 10
    assert not admission().is_over


def test_processes_that_have_yet_to_hear_of_it_prove_nothing() -> None:
    """For five seconds some may let in a key that is revoked."""
    seen = admission((10, Failure.DENIED), (12, None), (14.9, None), (20, Failure.DENIED))

    assert seen.ended == 10
    assert seen.is_over


def test_a_key_that_is_let_in_later_is_a_good_one() -> None:
    """Those refusals are the service's fault; one that comes long afterwards counts anew."""
    refused, let_in = (10, Failure.DENIED), (15.1, None)
    later = (10 + SPREAD + 1, Failure.DENIED)

    assert admission(refused, let_in).ended is None
    assert admission(refused, let_in, later).ended == later[0]
    assert not admission(refused, let_in, (30, Failure.DENIED), (33, Failure.DENIED)).is_over


def test_pods_may_hear_of_it_a_minute_apart() -> None:
    """As from a Secret: what one refused while another let it in belongs to how it ended."""
    while_apart = [(10 + at, None if at % 2 else Failure.DENIED) for at in range(60)]
    seen = admission(*while_apart)
    assert not seen.is_over

    for at in range(10):
        seen.note(70 + at, Failure.DENIED)
    assert (seen.is_over, seen.ended) == (True, 10)


def test_too_many_refusals_are_refused_in_another_way() -> None:
    """429 goes on where 401 began, and is nothing by itself."""
    assert admission((10, Failure.DENIED), (19, Failure.LIMITED)).is_over
    assert admission((10, Failure.LIMITED), (19, Failure.LIMITED)).ended is None


def test_a_service_that_says_nothing_refuses_no_key() -> None:
    """A connection that breaks is no answer about a key."""
    assert not admission((10, Failure.DENIED), (30, Failure.RESET)).is_over


def _said(status: int, key: str | None, body: object = None) -> str:
    target = replace(asyncio.run(Target.resolve(PLAN.url)), key=key)
    with pytest.raises(DrillError) as raised:
        access.check_answer(target, "http://s", Answer(status, None), json.dumps(body).encode())
    return str(raised.value)


def test_each_refusal_is_said_with_what_helps() -> None:
    """Which setting, which scope, and the service's own words where it has any."""
    detail = {"detail": "This key may not write in data."}

    assert "set DEMIJOHN_KEY to one with the scope data:write" in _said(401, None)
    assert "does not take the key in DEMIJOHN_KEY" in _said(401, KEY)
    assert _said(403, KEY, detail).endswith(f"no row filter. {detail['detail']}")
    assert "data:write" not in _said(403, None, detail)
    assert "by its own limits" in _said(429, KEY, ["not", "ours"])


def test_what_is_shown_of_a_plan_has_no_key_in_it() -> None:
    """Neither its words for a process, nor itself where it is printed, nor a Job made of them."""
    words = arguments(PLAN)
    target = replace(asyncio.run(Target.resolve(PLAN.url)), key=KEY)
    manifest = json.dumps(job.manifest("name", "image", words, 60))

    assert KEY not in " ".join(words) + repr(PLAN) + repr(target) + manifest
    assert f"Authorization: Bearer {KEY}\r\n".encode() in target.request("GET", "/")


def test_a_key_comes_through_a_pipe_that_is_gone_afterwards(tmp_path: Path) -> None:
    """What waits in the pod gets it from there, and nothing of it lies about."""
    pipe, out = tmp_path / "pipe", BytesIO()
    script = f"until [ -p {pipe} ]; do sleep 0.01; done; echo {KEY} > {pipe}"
    with subprocess.Popen(["sh", "-c", script]):
        assert not child.run(PLAN, out, pipe)

    assert not pipe.exists()
    assert "takes no documents: refused" in json.loads(out.getvalue())["error"]


def test_a_pipe_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    """And what lies in its place stays."""
    (tmp_path / "taken").write_bytes(b"mine")
    out = BytesIO()

    assert not child.run(PLAN, out, tmp_path / "taken")
    assert "no key can be read there" in json.loads(out.getvalue())["error"]
    assert (tmp_path / "taken").read_bytes() == b"mine"
