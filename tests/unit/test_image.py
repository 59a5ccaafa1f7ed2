"""The Dockerfile, as far as it can be judged without building it."""

from __future__ import annotations

import json
import re

from demijohn import __version__
from demijohn.settings import PREFIX, Settings, load, variable
from tests.support.manifests import ROOT, dockerfile, image_environ, image_version


def _rest(name: str) -> list[str]:
    """What stands behind every instruction of that name."""
    return [rest for each, rest in dockerfile() if each == name]


def test_its_settings_are_real_ones() -> None:
    """Every variable that the image sets is a setting, with a value that it takes."""
    ours = {name: value for name, value in image_environ().items() if name.startswith(PREFIX)}

    settings = load(ours)

    assert {variable(name) for name in settings.model_fields_set} == set(ours)
    assert ours
    assert settings.host == "0.0.0.0"


def test_the_ports_that_it_tells_of_are_those_that_it_listens_on() -> None:
    """EXPOSE names the default port and the management port."""
    (ports,) = _rest("EXPOSE")

    assert ports.split() == [str(Settings().port), image_environ()["DEMIJOHN_MANAGEMENT_PORT"]]


def test_its_label_is_this_version() -> None:
    """`docker inspect` says which version this is; the package and the image never differ."""
    assert image_version() == __version__


def test_its_base_can_be_chosen() -> None:
    """Both stages start from the same argument, whose default is a version and no `latest`."""
    name, _, default = _rest("ARG")[0].partition("=")

    assert name == "BASE"
    assert re.fullmatch(r"python:3\.1[1-9]-slim-[a-z]+", default)
    assert [each.split()[0] for each in _rest("FROM")] == ["${BASE}", "${BASE}"]


def test_its_requirements_are_checked_wheels() -> None:
    """The service's and the bill's: each has the hash of its lock, and nothing is compiled."""
    installs = [each for each in _rest("RUN") if "pip install" in each]

    assert len(installs) == 2
    for install in installs:
        assert "--require-hashes" in install
        assert "--only-binary :all:" in install
        assert "--no-cache-dir" in install


def test_its_bill_of_materials_is_made_in_the_build() -> None:
    """From what has been installed by then, with the base's name; its tools stay in that stage."""
    steps = dockerfile()
    (made,) = (number for number, (_, rest) in enumerate(steps) if "--output" in rest)
    last = max(number for number, (name, _) in enumerate(steps) if name == "FROM")

    assert re.search(r'--packages "\$packages" +--image "\$BASE" ', steps[made][1])
    assert made < last
    assert _rest("COPY")[-1] == "--from=build /opt/demijohn /opt/demijohn"


def test_its_commands_are_not_given_to_a_shell() -> None:
    """Exec form: entry point, command and health check are lists."""
    check = _rest("HEALTHCHECK")[0].partition(" CMD ")[2]

    for given in (*_rest("ENTRYPOINT"), *_rest("CMD"), check):
        assert isinstance(json.loads(given), list)


def test_its_user_is_a_number() -> None:
    """Kubernetes cannot tell of a name that it is not root."""
    (user,) = _rest("USER")

    assert re.fullmatch(r"[1-9][0-9]{4,}:[1-9][0-9]{4,}", user)


def test_only_what_it_is_made_of_is_sent_to_the_engine() -> None:
    """No documents, no `.env`, no history: all is left out but what the Dockerfile copies."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {each.split()[0] for each in _rest("COPY") if not each.startswith("--from")}

    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied
