"""What a MONGODB_URI may ask for; without the driver, so that the launcher can tell at once."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from demijohn.settings import SettingsError

_FORM = re.compile(r"mongodb(\+srv)?://[^/?]+")


def check_uri(uri: str) -> None:
    """Refuse what is no MongoDB URI, or asks for less than `w=majority, j=true`.

    Raises SettingsError, whose message quotes nothing that could be a password. See the MongoDB
    manual, "Connection String Options".
    """
    if not _FORM.match(uri):
        raise SettingsError(["MONGODB_URI: it must begin with mongodb:// or mongodb+srv://"])
    query = uri.partition("?")[2].replace(";", "&")
    options = {name.lower(): value for name, value in parse_qsl(query)}
    wanted = options.get("w", "majority")
    if wanted != "majority":
        raise SettingsError(
            [f"MONGODB_URI: w={wanted} is not what writes here get: w=majority. Leave w out."]
        )
    journal = options.get("journal", options.get("j", "true"))
    if journal.lower() != "true":
        raise SettingsError(
            ["MONGODB_URI: journal=false would lose acknowledged writes in a crash. Leave it out."]
        )
