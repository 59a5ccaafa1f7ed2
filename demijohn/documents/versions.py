"""A document's version, as an entity tag, and the conditions that name one (RFC 9110, 8.8.3, 13).

The version is a digest of the stored BSON bytes, so that any change of them, of 1 to 1.0 too, is
another version, and one that is undone is the old one again. The tag ends in a letter for the
spelling, since tags are of representations: `"….p"` plain, `"….r"` relaxed, `"….c"` canonical.
Conditions compare the digest alone: a document read in one spelling can be changed by it in
another. The exception is If-None-Match on a read, which asks whether the client's own copy, in its
own spelling, is good.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

from demijohn.errors import BadParameter, PreconditionFailed
from demijohn.formats.spelling import Spelling

DIGEST_BYTES = 24
_TAG = re.compile(r'[\s,]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,[\s,]*|$)')
"""One of a list, with the empty elements around it, which are to be passed over (5.6.1.2)."""


@dataclass(frozen=True, slots=True)
class Tags:
    """What If-Match or If-None-Match names: `*`, or tags without their quotes."""

    any: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Condition:
    """A request's conditions, None where it has none of the kind."""

    match: Tags | None = None
    none_match: Tags | None = None

    @property
    def is_given(self) -> bool:
        """Whether the request has any."""
        return self.match is not None or self.none_match is not None

    def check(self, document: bytes | None, spelling: Spelling) -> None:
        """Raise PreconditionFailed, with the present ETag, where the document does not meet it."""
        if self.is_given:
            version = None if document is None else digest(document)
            _check_match(self.match, version, spelling)
            if self.none_match is not None and _names(self.none_match, version, weakly=True):
                raise _failed("If-None-Match", version, spelling)

    def is_fresh(self, version: str, spelling: Spelling) -> bool:
        """Whether a reader's own copy is of this version and this spelling: 304.

        Raises PreconditionFailed for If-Match.
        """
        _check_match(self.match, version, spelling)
        if self.none_match is None:
            return False
        named = self.none_match.strong | self.none_match.weak
        return self.none_match.any or _opaque(version, spelling) in named


def digest(document: bytes) -> str:
    """The version of stored bytes: 32 characters of base64 for URLs."""
    return urlsafe_b64encode(blake2b(document, digest_size=DIGEST_BYTES).digest()).decode()


def tag(version: str, spelling: Spelling) -> str:
    """The strong entity tag of a version in a spelling."""
    return f'"{_opaque(version, spelling)}"'


def parse_tags(name: str, text: str | None) -> Tags | None:
    """The tags in the header `name`, None without it. Raises BadParameter."""
    if text is None:
        return None
    if text.strip() == "*":
        return Tags(any=True)
    strong: set[str] = set()
    weak: set[str] = set()
    at = 0
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None:
            break
        (weak if found[1] else strong).add(found[2])
        at = found.end()
    if at < len(text) or not (strong or weak):
        raise BadParameter(
            f'{name} is neither * nor a list of entity tags, each in double quotes: "….p".'
        )
    return Tags(strong=frozenset(strong), weak=frozenset(weak))


def _opaque(version: str, spelling: Spelling) -> str:
    return f"{version}.{spelling.value}"


def _check_match(match: Tags | None, version: str | None, spelling: Spelling) -> None:
    if match is not None and not _names(match, version, weakly=False):
        raise _failed("If-Match", version, spelling)


def _names(tags: Tags, version: str | None, *, weakly: bool) -> bool:
    if version is None:
        return False
    if tags.any:
        return True
    named = tags.strong | tags.weak if weakly else tags.strong
    return not named.isdisjoint(_opaque(version, each) for each in Spelling)


def _failed(name: str, version: str | None, spelling: Spelling) -> PreconditionFailed:
    headers = () if version is None else (("ETag", tag(version, spelling)),)
    detail = f"The document is not as {name} demands."
    return PreconditionFailed(detail, headers=headers)
