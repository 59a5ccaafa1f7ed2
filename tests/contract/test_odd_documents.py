"""Documents that Python has no values for, or that MongoDB itself treats apart: never a defect."""

from __future__ import annotations

from typing import Any

import bson
import pytest
from bson import Timestamp

from tests.contract.conftest import Things, keep, lying_in
from tests.support.api import EJSON, JSON_PATCH, MERGE, ONE, THINGS, UPDATE, Api

OF_EJSON = {"Content_Type": EJSON}


@pytest.mark.parametrize("milliseconds", ["253402300800000", "-62135596800001"])
def test_a_date_outside_the_calendar(shell_api: Api, things: Things, milliseconds: str) -> None:
    """It is stored as it is, or a database that has no room for it says so: 422."""
    body = f'{{"d":{{"$date":{{"$numberLong":"{milliseconds}"}}}}}}'
    assert shell_api.put(ONE, "{}").status == 201
    statuses = [
        shell_api.put(ONE, body, **OF_EJSON).status,
        shell_api.put(ONE, body, **OF_EJSON, If_Match="*").status,
        shell_api.put(ONE, body, **OF_EJSON, Idempotency_Key=f"date{milliseconds}").status,
        shell_api.patch(ONE, body, EJSON).status,
    ]
    assert set(statuses) in ({200}, {422})
    if statuses[0] == 422:
        assert lying_in(things) == [bson.encode({"_id": "one"})]


def test_a_key_with_a_dollar_that_another_client_stored(shell_api: Api, things: Things) -> None:
    """MongoDB replaces no document by one with such a key: a patch points at it, operators work."""
    keep(things, {"_id": "one", "$x": 1})
    for body, kind in (
        ('{"new":1}', MERGE),
        ('{"new":1}', EJSON),
        ('[{"op":"add","path":"/new","value":1}]', JSON_PATCH),
    ):
        answer = shell_api.patch(ONE, body, kind)
        assert (answer.status, answer.problem()) == (422, "invalid-patch")
        assert answer.pointers() == ["/$x"]
    assert shell_api.patch(ONE, '{"$set":{"new":1}}', UPDATE).status == 200


def test_a_timestamp_of_zeros(shell_api: Api, things: Things) -> None:
    """MongoDB puts its clock in the place of one at the top, so no patch leaves one there."""
    stored = {"_id": "one", "o": {"t": Timestamp(0, 0)}}
    keep(things, stored)
    copied = shell_api.patch(ONE, '[{"op":"copy","from":"/o/t","path":"/t"}]', JSON_PATCH)
    assert (copied.problem(), copied.pointers()) == ("invalid-patch", ["/t"])
    assert shell_api.patch(ONE, '{"new":1}', MERGE).status == 200


@pytest.mark.parametrize("accept", ["application/json; charset=utf-8", "application/json;q=0.5"])
def test_the_character_set_is_no_choice(shell_api: Api, stored: Any, accept: str) -> None:
    """Clients that name it in Accept are answered on every route."""
    assert shell_api.post("{}", Accept=accept).status == 201
    assert shell_api.get("/data", Accept=accept).status == 200
    assert shell_api.put(ONE, "{}", Accept=accept).status in (200, 201)
    assert stored.count_documents({}) == 1


def test_a_deletion_has_no_spelling(shell_api: Api, things: Things) -> None:
    """It answers without a body, so no Accept is in its way."""
    keep(things, {"_id": "one"})
    assert shell_api.delete(ONE, Accept="text/plain").status == 204


def test_a_key_on_a_read_is_passed_over(shell_api: Api, things: Things) -> None:
    """Only a write has a key; a reader's is not even looked at."""
    keep(things, {"_id": "one"})
    assert shell_api.get(ONE, Idempotency_Key="a,b").status == 200


def test_an_id_is_as_long_in_every_spelling(shell_api: Api, things: Things) -> None:
    """Plain and Extended JSON, POST and PUT refuse the same ids: where one goes, all go."""
    numbers = ",".join("1" * 60)
    plain = shell_api.post(f'{{"_id":{{"a":[{numbers}]}}}}', THINGS)
    extended = shell_api.post(f'{{"_id":{{"a":[{numbers}]}}}}', THINGS, **OF_EJSON)
    assert [plain.status, extended.status] == [422, 422]
    assert plain.pointers() == extended.pointers() == ["/_id"]
    assert things.count_documents({}) == 0


def test_true_is_not_one_in_an_id(shell_api: Api, things: Things) -> None:
    """The body's `_id` is the URL's in plain spelling, or refused: true is no 1."""
    path = THINGS + "/%7B%22a%22:%7B%22$numberInt%22:%221%22%7D%7D"
    assert shell_api.put(path, '{"_id":{"a":1}}').status == 201
    assert shell_api.put(path, '{"_id":{"a":true}}').pointers() == ["/_id"]
    assert things.count_documents({}) == 1
