"""The peers' pinned requirements, a folder for each environment. `make lock` writes them."""

from __future__ import annotations

import re
from pathlib import Path

_SHOWN = ("eve", "fastapi", "flask", "granian", "gunicorn", "pymongo", "uvicorn")


def versions() -> dict[str, str]:
    """By environment: what in it has a name that readers know, and which version it is."""
    found = {}
    for lock in sorted(Path(__file__).parent.glob("*/requirements.txt")):
        pins = re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
        known = (f"{name} {version}" for name, version in pins if name in _SHOWN)
        found[f"environment {lock.parent.name}"] = ", ".join(known)
    return found
