"""Bytes as text that fits into a URL and a header: base64url without padding (RFC 4648, 5)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64


def write_opaque(content: bytes) -> str:
    """The text of some bytes."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def read_opaque(text: str) -> bytes | None:
    """The bytes that are written so, None for what `write_opaque` has not written."""
    try:
        content = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (NotBase64, UnicodeEncodeError):
        return None
    return content if write_opaque(content) == text else None
