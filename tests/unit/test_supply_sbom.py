"""The bill of materials: valid, complete, and the same whenever it is made."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from demijohn import __version__
from tests.support.manifests import ROOT

LOCKS = ["requirements.txt", "requirements-embedded.txt"]
Bill = dict[str, Any]


def _run(lock: Path, goal: Path, *options: str, **environ: str) -> str:
    """Make a bill; what was said on standard error, which is nothing where it was made."""
    done = subprocess.run(
        [sys.executable, "tools/sbom.py", str(lock), "-o", str(goal), *options],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode == 0) == goal.exists()
    return done.stderr


def _bill(goal: Path, lock: str, *options: str, **environ: str) -> Bill:
    assert _run(ROOT / lock, goal, *options, **environ) == ""
    bill: Bill = json.loads(goal.read_text(encoding="utf-8"))
    return bill


@pytest.fixture(scope="module")
def bills(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bill]:
    """The bill of each lock."""
    directory = tmp_path_factory.mktemp("bills")
    return {lock: _bill(directory / lock, lock) for lock in LOCKS}


def _pinned(lock: str) -> dict[str, set[str]]:
    """The purl of each package that this platform needs, with the sums that pip accepts for it."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in re.findall(r"^[a-z].*", text, re.MULTILINE):
        pin = Requirement(line.partition(" --hash")[0])
        if pin.marker is None or pin.marker.evaluate():
            purl = f"pkg:pypi/{pin.name}@{str(pin.specifier).removeprefix('==')}"
            found[purl] = set(re.findall(r"sha256:([0-9a-f]{64})", line))
    return found


def _sums(component: Bill) -> set[str]:
    (files,) = component["externalReferences"]
    assert files["type"] == "distribution"
    assert {each["alg"] for each in files["hashes"]} == {"SHA-256"}
    return {each["content"] for each in files["hashes"]}


@pytest.mark.parametrize("lock", LOCKS)
def test_it_is_a_valid_bill_of_all_that_is_pinned(bills: dict[str, Bill], lock: str) -> None:
    """CycloneDX 1.6 by its schema; every pin of this platform is in it with every hash."""
    bill = bills[lock]

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert bill["metadata"]["component"]["version"] == __version__
    assert {each["purl"]: _sums(each) for each in bill["components"]} == _pinned(lock)


def test_the_validator_would_find_a_slip(bills: dict[str, Bill]) -> None:
    """The control of the test above: a component without a name is not valid."""
    bill = copy.deepcopy(bills[LOCKS[0]])
    del bill["components"][0]["name"]

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is not None


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_a_licence(bills: dict[str, Bill], lock: str) -> None:
    """By its SPDX name, as an expression, or in the words of its author."""
    assert [each["name"] for each in bills[lock]["components"] if not each.get("licenses")] == []


def test_it_says_what_needs_what(bills: dict[str, Bill]) -> None:
    """The service needs Flask, Flask needs Werkzeug; nothing is in the bill that nothing needs."""
    bill = bills[LOCKS[0]]
    graph = {each["ref"]: set(each.get("dependsOn", [])) for each in bill["dependencies"]}
    names = {each["bom-ref"]: each["name"] for each in bill["components"]}
    needed = set().union(*graph.values())

    assert "flask" in {names[ref] for ref in graph["demijohn"]}
    (flask,) = (ref for ref, name in names.items() if name == "flask")
    assert "werkzeug" in {names[ref] for ref in graph[flask]}
    assert names.keys() - needed == set()


def test_the_embedded_database_is_in_its_own_bill_alone(bills: dict[str, Bill]) -> None:
    """The runtime, and so the image, holds nothing of it; its licence is not the service's."""
    runtime, embedded = ({each["name"] for each in bills[lock]["components"]} for lock in LOCKS)

    assert runtime < embedded
    assert "secantusdb" in embedded - runtime


def test_it_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    """Byte by byte, serial number and all; its time is SOURCE_DATE_EPOCH's, or there is none."""
    for name in ("one", "two"):
        _bill(tmp_path / name, LOCKS[0], PYTHONHASHSEED=str(len(name) + ord(name[0])))
    dated = _bill(tmp_path / "dated", LOCKS[0], SOURCE_DATE_EPOCH="1700000000")

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert "timestamp" not in json.loads((tmp_path / "one").read_text())["metadata"]
    assert dated["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


@pytest.mark.skipif(sys.platform != "linux", reason="the image is for Linux")
def test_that_of_an_image_names_its_base(tmp_path: Path) -> None:
    """Its digest where it has one, the operating system and the interpreter beside our packages."""
    digest = "0123456789abcdef" * 4
    bill = _bill(tmp_path / "bill.json", LOCKS[0], "--image", f"python:3@sha256:{digest}")
    kinds = {each["type"]: each for each in bill["components"]}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert kinds["container"]["name"] == "python:3"
    assert kinds["container"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert kinds["platform"]["version"] == sysconfig.get_python_version() + "." + str(
        sys.version_info.micro
    )
    assert "operating-system" in kinds
    assert {each["purl"] for each in bill["components"] if "purl" in each} >= set(_pinned(LOCKS[0]))


def test_what_is_pinned_and_not_there_is_no_bill(tmp_path: Path) -> None:
    """A bill of an environment that is not the lock's would be a lie; none is made."""
    lock = tmp_path / "requirements.txt"
    text = (ROOT / LOCKS[0]).read_text(encoding="utf-8")
    lock.write_text(re.sub(r"^flask==.*? ", "flask==0.1 ", text, flags=re.MULTILINE), "utf-8")

    said = _run(lock, tmp_path / "bill.json")

    assert said.startswith("sbom.py: flask 0.1 is pinned, and not in ")
