"""What somebody else may have put where configurations lie; no server that we have takes it."""

from __future__ import annotations

import bson
import pytest
from bson.datetime_ms import DatetimeMS

from demijohn.documents import collections
from demijohn.errors import InternalError

FAR = DatetimeMS(10**15)
"""A date that Python has no value for."""
NO_TEXT = bson.encode({"_id": "a", "x": "~~~~"}).replace(b"~~~~", b"\xff\xfe\xc0~")


@pytest.mark.parametrize(
    "stored",
    [bson.encode({"_id": "a", "version": FAR}), bson.encode({"_id": FAR}), NO_TEXT],
    ids=["version", "id", "text"],
)
def test_whatever_lies_there_is_read(stored: bytes) -> None:
    """It has no version of ours, and as a configuration it is refused; nothing else is raised."""
    found = collections._decoded(stored)

    assert collections._version(found) == collections._NO_VERSION
    with pytest.raises(InternalError, match="cannot be read"):
        collections._checked(found)
