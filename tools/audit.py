"""Asks the OSV database for known vulnerabilities of every pinned package, by pip-audit.

    audit.py [--osv-url URL] REQUIREMENTS...

Packages whose marker does not hold here (those of other systems) are not asked for. Exit codes: 0,
nothing is known; 1, something is, and is printed; 2, it could not be found out. Silence is no good
news: before all else it asks for an old release that is known to be vulnerable, and where that one
is not reported, the answers for ours would be worth nothing.

--osv-url is for a mirror, where api.osv.dev is out of reach: an address that answers the query of
https://google.github.io/osv.dev/post-v1-query/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OSV = "https://api.osv.dev/v1/query"
KNOWN = ("jinja2", "2.4.1")
"""A release with advisories of its own since 2014; OSV's documentation asks for it, too."""
Package = dict[str, Any]
"""One of pip-audit's report: its name, its version, its vulnerabilities."""


class UnknownError(Exception):
    """It could not be found out what is known."""


def ask(url: str, locks: list[Path]) -> list[Package]:
    """What is known of each package of the locks. Raises UnknownError."""
    options = ["--vulnerability-service=osv", f"--osv-url={url}", "--format=json"]
    options += ["--disable-pip", "--require-hashes", "--strict", "--progress-spinner=off"]
    files = [f"--requirement={lock}" for lock in locks]
    done = subprocess.run(  # noqa: S603 - our own interpreter and options
        [sys.executable, "-m", "pip_audit", *options, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: list[Package] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        raise UnknownError(reason) from None
    unasked = [each["name"] for each in report if "vulns" not in each]
    if unasked:
        raise UnknownError(f"no answer for {', '.join(unasked)}")
    return report


def check_source(url: str) -> None:
    """Raise UnknownError unless the source knows what it has to know."""
    name, version = KNOWN
    with tempfile.TemporaryDirectory() as directory:
        lock = Path(directory) / "requirements.txt"
        lock.write_text(f"{name}=={version} --hash=sha256:{'0' * 64}\n", encoding="utf-8")
        (known,) = ask(url, [lock])
    if not known["vulns"]:
        raise UnknownError(f"it does not know that {name} {version} is vulnerable")


def told(package: Package) -> list[str]:
    """A line for each vulnerability of a package."""
    return [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        f" {' '.join(vulnerability['aliases'])}".rstrip()
        + f"; fixed in {', '.join(vulnerability['fix_versions']) or 'no release'}"
        for vulnerability in package["vulns"]
    ]


def main() -> int:
    """Do what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--osv-url", default=OSV)
    parser.add_argument("requirements", nargs="+", type=Path)
    asked = parser.parse_args()
    try:
        check_source(asked.osv_url)
        packages = ask(asked.osv_url, asked.requirements)
    except UnknownError as unknown:
        print(
            f"Not audited: {asked.osv_url} gave no usable answer ({unknown}).\n"
            "It takes a network that reaches the OSV database, or OSV_URL=… of a mirror of it.",
            file=sys.stderr,
        )
        return 2
    lines = [line for each in packages for line in told(each)]
    print("\n".join([*lines, f"{len(packages)} packages asked for, {len(lines)} vulnerabilities"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
