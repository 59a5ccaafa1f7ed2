"""Real, uneven records through everything: one by one, by import, out again, and over a crash."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pycountry
import pytest
import vega_datasets

from demijohn.exits import Exit
from tests.conftest import Starter
from tests.support.api import Api
from tests.support.client import Command

LANGUAGES = Path(pycountry.__file__).parent / "databases"
MEASUREMENTS = Path(vega_datasets.__file__).parent / "_data"
Record = dict[str, Any]


def _records() -> list[Record]:
    """About nine thousand.

    Languages and countries have fields that come and go, and every script; measurements have
    nulls, and numbers of both kinds.
    """
    found: list[Record] = []
    for name in ("iso3166-1", "iso3166-3", "iso639-3"):
        (part,) = json.loads((LANGUAGES / f"{name}.json").read_text("utf-8")).values()
        found += part
    for file in sorted(MEASUREMENTS.glob("*.json")):
        found += json.loads(file.read_text("utf-8"))
    return found


def _bag(records: Iterable[Record]) -> Counter[str]:
    """Records in no order; as text, since 1 and 1.0 are equal but not the same."""
    return Counter(json.dumps(record) for record in records)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """The records, checked to be what this test is for."""
    found = _records()
    assert len(found) > 9_000
    assert len({tuple(record) for record in found}) > 15
    assert any(value is None for record in found for value in record.values())
    return found


def _of_each_shape(records: Iterable[Record], most: int) -> list[Record]:
    """The first so many records of each set of fields, in their order."""
    seen: Counter[tuple[str, ...]] = Counter()
    some = []
    for record in records:
        shape = tuple(record)
        seen[shape] += 1
        if seen[shape] <= most:
            some.append(record)
    return some


@pytest.mark.parametrize(
    "most", [150, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_real_records_one_by_one(
    own_service: Starter, tmp_path: Path, records: list[Record], most: int
) -> None:
    """Each posted on its own; all of them come back, in their order; and again after SIGKILL."""
    some = _of_each_shape(records, most)
    settings = {"DEMIJOHN_DATA_DIR": str(tmp_path / "data")}
    service = own_service(settings)
    api = Api(service.url)
    for record in some:
        answer = api.insert(record)
        assert answer.status == 201, (record, answer.body)
    assert api.get("/data").json() == some
    service.kill()
    again = own_service(settings)
    assert Api(again.url).get("/data").json() == some
    assert again.stop() == Exit.OK


def test_real_records_by_import_and_export(
    own_service: Starter, tmp_path: Path, records: list[Record]
) -> None:
    """In as an array and as lines, out as both; every record is there as often as it was sent."""
    settings = {"DEMIJOHN_DATA_DIR": str(tmp_path / "data"), "DEMIJOHN_WORKERS": "2"}
    half = len(records) // 2
    array = json.dumps(records[:half], ensure_ascii=False, indent=1)
    (tmp_path / "array.json").write_text(array, encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in records[half:])
    (tmp_path / "lines.ndjson").write_text(lines, encoding="utf-8")
    service = own_service(settings)
    for name in ("array.json", "lines.ndjson"):
        assert Command(tmp_path, "import", name, "--url", service.url).end().code == Exit.OK
    service.kill()
    again = own_service(settings)
    for arguments in (["out.ndjson"], ["out.json", "--format", "json"]):
        without_id = ("--fields", "-_id", "--url", again.url)
        ended = Command(tmp_path, "export", *arguments, *without_id).end()
        assert ended.code == Exit.OK, ended.err
    out = (tmp_path / "out.ndjson").read_text("utf-8").splitlines()
    assert _bag(json.loads(line) for line in out) == _bag(records)
    assert _bag(json.loads((tmp_path / "out.json").read_text("utf-8"))) == _bag(records)
    assert _bag(Api(again.url).get("/data").json()) == _bag(records)
