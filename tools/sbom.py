"""Writes the software bill of materials: CycloneDX 1.6, JSON (ECMA-424).

    sbom.py REQUIREMENTS -o FILE [--packages DIRECTORY] [--image BASE]

Says for each pinned package of REQUIREMENTS that this platform needs: version, licence, purl, what
it needs in turn, and the SHA-256 sums that pip accepts for it. Licences and needs are read from the
packages as installed in DIRECTORY; one that is not there in the pinned version ends it with exit
code 1. With --image the bill is that of the image, made inside its build: BASE is the name of the
base image, whose operating system, Debian packages and interpreter are listed too.

The same input gives the same bytes: the serial number is made from the contents, and the time is
that of SOURCE_DATE_EPOCH (seconds, as reproducible-builds.org specifies it), or left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_string
from importlib.metadata import Distribution, distributions
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
DPKG_STATUS = Path("/var/lib/dpkg/status")
NAMELESS_LICENCES = {"License :: OSI Approved"}
"""Classifiers that name a family and no licence."""
AMBIGUOUS = {"MIT License": "MIT", "BSD License": "BSD (variant not stated)"}


class DiffersError(Exception):
    """What is installed is not what is pinned."""


@dataclass(frozen=True)
class Pin:
    """One entry of a lock: a version and the SHA-256 sums (hexadecimal) of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins(lock: Path) -> list[Pin]:
    """The entries of a lock whose marker holds for this platform."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [_pin(entry) for entry in entries if _is_needed(_requirement(entry))]


def _requirement(entry: str) -> Requirement:
    return Requirement(entry.partition(" --hash")[0])


def _pin(entry: str) -> Pin:
    wanted = _requirement(entry)
    (specifier,) = wanted.specifier
    hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
    return Pin(canonicalize_name(wanted.name), specifier.version, tuple(hashes))


def _is_needed(wanted: Requirement) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": ""})


def found_in(packages: Path) -> dict[str, Distribution]:
    """What is installed there, by its canonical name."""
    return {canonicalize_name(each.name): each for each in distributions(path=[str(packages)])}


def fields(distribution: Distribution, name: str) -> list[str]:
    """The values of a field of its metadata that are not empty."""
    return [each for each in distribution.metadata.get_all(name, []) if each]


def licences(distribution: Distribution) -> list[License]:
    """What a package says of its licence: SPDX where it can be read so, else in its own words."""
    classifiers = {
        each for each in fields(distribution, "Classifier") if each.startswith("License ::")
    }
    named = sorted(each.split(" :: ")[-1] for each in classifiers - NAMELESS_LICENCES)
    # A whole licence text may stand in the old field.
    short = [each for each in fields(distribution, "License") if "\n" not in each]
    said = fields(distribution, "License-Expression") or named or short
    make = LicenseFactory().make_from_string
    return [make(AMBIGUOUS.get(each, each)) for each in said]


def component(pin: Pin, distribution: Distribution) -> Component:
    """A Python package. Its sums are of its files, wherever they are fetched from."""
    sums = [HashType(alg=HashAlgorithm.SHA_256, content=each) for each in pin.hashes]
    purl = PackageURL("pypi", name=pin.name, version=pin.version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        hashes=sums,
        comment="the files that pip accepts",
    )
    return Component(
        name=pin.name,
        version=pin.version,
        bom_ref=str(purl),
        purl=purl,
        description=next(iter(fields(distribution, "Summary")), None),
        licenses=licences(distribution),
        external_references=[files],
    )


def needs(requirements: list[str]) -> set[str]:
    """The names in `Requires-Dist` lines (or their like) that this platform needs, extras aside."""
    wanted = map(Requirement, requirements)
    return {canonicalize_name(each.name) for each in wanted if _is_needed(each)}


def service() -> Component:
    """What the bill is of."""
    text = (ROOT / "demijohn" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return Component(
        type=ComponentType.APPLICATION,
        name="demijohn",
        version=version,
        bom_ref="demijohn",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )


def python_bill(lock: Path, packages: Path) -> Bom:
    """The bill of a lock. Raises DiffersError."""
    bom, here = Bom(), found_in(packages)
    bom.metadata.component = root = service()
    made: dict[str, Component] = {}
    for pin in pins(lock):
        if pin.name not in here or here[pin.name].version != pin.version:
            raise DiffersError(f"{pin.name} {pin.version} is pinned, and not in {packages}")
        made[pin.name] = component(pin, here[pin.name])
    bom.components.update(made.values())
    for name, each in made.items():
        wanted = needs(here[name].requires or [])
        bom.register_dependency(each, [made[other] for other in sorted(wanted & made.keys())])
    bom.register_dependency(root, [made[name] for name in sorted(_direct() & made.keys())])
    return bom


def _direct() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return needs(project["dependencies"] + project["optional-dependencies"]["embedded"])


def of_the_image(base: str) -> Iterator[Component]:
    """What the image holds beside our packages: base, operating system, its packages, Python."""
    name, _, digest = base.partition("@sha256:")
    yield Component(
        type=ComponentType.CONTAINER,
        name=name,
        bom_ref=f"base:{base}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
        properties=[Property(name="demijohn:base", value=base)],
    )
    python = PackageURL("generic", name="python", version=platform.python_version())
    yield _component_of(python, ComponentType.PLATFORM)
    system = platform.freedesktop_os_release()
    distro = f"{system['ID']}-{system.get('VERSION_ID', 'rolling')}"
    yield Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=system["ID"],
        version=system.get("VERSION_ID"),
        bom_ref=f"os:{distro}",
    )
    if DPKG_STATUS.exists():
        yield from debian_packages(DPKG_STATUS.read_text(encoding="utf-8"), system["ID"], distro)


def debian_packages(status: str, vendor: str, distro: str) -> Iterator[Component]:
    """The installed packages of a dpkg status file (deb822; purl of type `deb`)."""
    for paragraph in filter(None, status.split("\n\n")):
        entry = message_from_string(paragraph)
        if entry["Status"] == "install ok installed":
            about = {"arch": entry["Architecture"], "distro": distro}
            purl = PackageURL("deb", vendor, entry["Package"], entry["Version"], about)
            yield _component_of(purl, ComponentType.LIBRARY)


def _component_of(purl: PackageURL, kind: ComponentType) -> Component:
    return Component(type=kind, name=purl.name, version=purl.version, bom_ref=str(purl), purl=purl)


def written(bom: Bom) -> str:
    """The bill as JSON, the same for the same contents."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    # None leaves them out; the library would take the clock and a random number.
    when = datetime.fromtimestamp(int(epoch), UTC) if epoch else None
    bom.metadata.timestamp = when  # type: ignore[assignment]
    bom.serial_number = None  # type: ignore[assignment]
    bom.serial_number = uuid5(NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _arguments() -> argparse.Namespace:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(sysconfig.get_path("purelib"))
    parser.add_argument("requirements", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=here, help="a site-packages directory")
    parser.add_argument("--image", metavar="BASE", help="made in the image's build, from this base")
    return parser.parse_args()


def main() -> None:
    """Do what the command line asks for."""
    asked = _arguments()
    try:
        bom = python_bill(asked.requirements, asked.packages)
    except DiffersError as differs:
        sys.exit(f"sbom.py: {differs}")
    if asked.image:
        bom.components.update(of_the_image(asked.image))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(written(bom), encoding="utf-8")


if __name__ == "__main__":
    main()
