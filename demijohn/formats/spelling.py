"""The spellings of a document, and a document that a client has sent in one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from demijohn.formats import extended_in, extended_out, media_types, plain_in, plain_out
from demijohn.formats.bson_values import LENGTH, Value, check_size, encode, from_python


class Spelling(Enum):
    """How a document is spelt as JSON; the value is what an entity tag ends in."""

    PLAIN = "p"
    RELAXED = "r"
    CANONICAL = "c"

    @property
    def media_type(self) -> str:
        """The Content-Type of a document so spelt."""
        return _MEDIA_TYPES[self]

    def render(self, document: bytes) -> bytes:
        """The text of a stored document, with a newline at its end. Raises InternalError."""
        if self is Spelling.PLAIN:
            return plain_out.render_document(document)
        return extended_out.render(document, canonical=self is Spelling.CANONICAL)

    def render_lines(self, batches: Iterator[bytes]) -> Iterator[bytes]:
        """The texts of batches of concatenated documents, one a line, in chunks.

        Raises InternalError.
        """
        if self is Spelling.PLAIN:
            return plain_out.render_lines(batches)
        return extended_out.render_lines(batches, canonical=self is Spelling.CANONICAL)

    def render_array(self, documents: Iterable[bytes]) -> bytes:
        """The text of an array of documents, without a newline. Raises InternalError."""
        lines = b"".join(self.render_lines(iter([b"".join(documents)])))
        # A line break is in no text but at its end.
        return b"[" + lines[:-1].replace(b"\n", b",") + b"]"


_MEDIA_TYPES = {
    Spelling.PLAIN: media_types.PLAIN,
    Spelling.RELAXED: f"{media_types.EXTENDED}; mode=relaxed",
    Spelling.CANONICAL: f"{media_types.EXTENDED}; mode=canonical",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that a client has sent: BSON of its fields without `_id`, and that, if any."""

    id: Value | None
    fields: bytes

    def under(self, document_id: Value) -> bytes:
        """The document as it is stored: `_id` first. Raises TooLarge past MongoDB's 16 MiB."""
        member = b"%c_id\0%b" % (document_id.kind, document_id.payload)
        size = len(member) + len(self.fields)
        check_size(size)
        return LENGTH.pack(size) + member + self.fields[LENGTH.size :]


def read_draft(body: bytes, *, extended: bool) -> Draft:
    """The document in a request's body, in plain or in Extended JSON.

    Raises MalformedJson, InvalidDocument, TooLarge.
    """
    if extended:
        parsed = extended_in.parse_extended(body)
        return Draft(parsed.id, encode(parsed.fields))
    plain = plain_in.parse_document(body)
    return Draft(
        None if plain.id is None else from_python(plain.id), plain_in.encode_fields(plain.fields)
    )
