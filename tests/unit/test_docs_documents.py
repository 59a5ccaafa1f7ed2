"""The pages on documents, versions and exactly-once writes, and the code, say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import bson
import pytest
from bson import Code, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from demijohn.documents import patch, records
from demijohn.edge.routes import DOCUMENT, DOCUMENTS
from demijohn.errors import problem_classes
from demijohn.formats import bson_values as bv
from demijohn.formats import media_types
from demijohn.formats.bson_values import Value, elements, encode, from_python
from demijohn.formats.extended_in import parse_extended_id
from demijohn.formats.id_values import LONGEST_ID, id_refusal
from demijohn.formats.ids import from_segment, to_segment
from demijohn.formats.json_faults import LEVELS, MOST_FAULTS
from demijohn.formats.spelling import Spelling
from demijohn.patches import json_patch, operators
from demijohn.patches.conditions import LOGICAL, PULL
from demijohn.settings import LARGEST_DOCUMENT, Settings
from demijohn.store.by_value import LARGEST_COMPARED
from demijohn.store.transaction import ATTEMPTS, PATIENCE
from demijohn.web import document_operations as about
from demijohn.web.openapi.description import template
from demijohn.web.openapi.operation import Operation
from demijohn.web.openapi.problems import EVERYWHERE

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
MIB = 1024 * 1024
BY_METHOD = {
    "POST": (DOCUMENTS, about.CREATE),
    "GET": (DOCUMENT, about.READ),
    "PUT": (DOCUMENT, about.PUT),
    "PATCH": (DOCUMENT, about.PATCH),
    "DELETE": (DOCUMENT, about.DELETE),
}
OPERATIONS = [operation for _, operation in BY_METHOD.values()]
HEX = bytes.fromhex("65a1f0c2b9d4e83a7c15f206")
COUNTED_X, COUNTED_C = b"\2\0\0\0x\0", b"\2\0\0\0c\0"
BY_TYPE = {
    "string": from_python("x"),
    "boolean": from_python(True),
    "null": from_python(None),
    "document": from_python({"a": True}),
    "array": from_python([True]),
    "32-bit integer": from_python(5),
    "64-bit integer": from_python(Int64(5)),
    "double": from_python(5.0),
    "double, not finite": from_python(float("nan")),
    "Decimal128": from_python(Decimal128("1.50")),
    "ObjectId": from_python(ObjectId(HEX)),
    "date": from_python(DatetimeMS(1_795_435_200_000)),
    "date before 1970": from_python(DatetimeMS(-4_861_728_000_000)),
    "binary": from_python(b"xx"),
    "UUID": from_python(Binary(bytes.fromhex("c8edabc3f7384ca3b68dab92a91478a3"), 4)),
    "regular expression": from_python(Regex("^a", "i")),
    "timestamp": from_python(Timestamp(1, 2)),
    "code": from_python(Code("f()")),
    "code with scope": from_python(Code("f()", {"a": 1})),
    "MinKey": from_python(MinKey()),
    "MaxKey": from_python(MaxKey()),
    "symbol (old)": Value(bv.SYMBOL, COUNTED_X),
    "undefined (old)": Value(bv.UNDEFINED, b""),
    "DBPointer (old)": Value(bv.DB_POINTER, COUNTED_C + HEX),
}
"""An example of every type, by its name on the page."""


def _text(page: str) -> str:
    return (REFERENCE / page).read_text(encoding="utf-8")


def _prose(page: str) -> str:
    """The page's text, each paragraph on a line of its own."""
    return re.sub(r"(?<!\n)\n(?=\S)", " ", _text(page))


def _table(page: str, head: str) -> list[list[str]]:
    """The cells of the table whose head begins so; a code span loses its marks if it is alone."""
    section = _text(page).partition(f"\n| {head} |")[2].partition("\n\n")[0]
    rows = [line for line in section.splitlines()[2:] if line.startswith("| ")]
    assert rows, head
    return [
        [re.sub(r"^`([^`]*)`$", r"\1", cell) for cell in row[2:-2].split(" | ")] for row in rows
    ]


def _codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _outcomes(operation: Operation) -> tuple[str, str]:
    """The statuses of an operation's answers, and those of the answers without a document."""
    full = ", ".join(str(answer.status) for answer in operation.answers if answer.status != 204)
    none = "204" if any(answer.status == 204 for answer in operation.answers) else ""
    created = "201, no body" if "201" in full else ""
    minimal = "; ".join(filter(None, (none, created)))
    takes_prefer = about.PREFER in operation.parameters
    return full or none, minimal if takes_prefer else "–"


def test_every_request_is_listed() -> None:
    """Method, path and the statuses of success, with a document in the answer and without."""
    listed = {cells[0]: (cells[2], cells[3]) for cells in _table("documents.md", "Request")}

    assert listed == {
        f"{method} {template(rule)}": _outcomes(operation)
        for method, (rule, operation) in BY_METHOD.items()
    }


def test_every_header_is_listed() -> None:
    """Those of requests that these routes read, and those of their answers; none that is gone."""
    listed = {(cells[0], cells[1]) for cells in _table("documents.md", "Header")}
    parameters = (each for operation in OPERATIONS for each in operation.parameters)
    answers = (each for operation in OPERATIONS for each in operation.answers)

    assert listed == {
        ("Accept", "requests"),  # OpenAPI has no parameters of these two names
        ("Content-Type", "requests"),
        *((each.name, "requests") for each in parameters if each.place == "header"),
        *((header.name, "answers") for each in answers for header in each.headers),
    }


def test_what_prefer_takes() -> None:
    """The values that the header's row names are those that are followed."""
    (row,) = (cells for cells in _table("documents.md", "Header") if cells[0] == "Prefer")

    assert _codes(row[2]) == re.findall(r"`(return=\w+)`", about.PREFER.description)


@pytest.mark.parametrize("cells", _table("documents.md", "`_id`, in Extended JSON"), ids=str)
def test_ids_in_paths(cells: list[str]) -> None:
    """Each example of an id is that segment, and the segment is that id."""
    written, segment = cells
    document_id = parse_extended_id(written.encode())

    assert unquote(to_segment(document_id)) == segment
    assert from_segment(segment) == document_id


def test_what_is_no_id() -> None:
    """The types that the page says no id is of are those that are refused, and no other."""
    (named,) = re.findall(r"No `_id` is of type (.*?), and none is", _prose("documents.md"))
    refused = {name.removesuffix(" (old)") for name, value in BY_TYPE.items() if id_refusal(value)}

    assert set(re.split(", | or ", named)) == refused


@pytest.mark.parametrize("cells", _table("documents.md", "BSON"), ids=lambda cells: cells[0])
def test_spellings(cells: list[str]) -> None:
    """Each type is spelt as the table says, in plain JSON and in both modes of the other."""
    name, *shown = cells
    document = encode({"v": BY_TYPE[name]})

    assert [each.render(document).decode() for each in Spelling] == [
        f'{{"v":{text}}}\n' for text in shown
    ]


def test_every_type_is_in_the_table() -> None:
    """All of BSON's (bsonspec.org), and each by an example of its own."""
    assert {cells[0] for cells in _table("documents.md", "BSON")} == set(BY_TYPE)
    assert {value.kind for value in BY_TYPE.values()} == {*range(1, 0x14), bv.MIN_KEY, bv.MAX_KEY}


def test_every_kind_of_patch_is_listed() -> None:
    """The media types that PATCH reads, and an example of each that is run."""
    text = _text("documents.md")

    assert [cells[0] for cells in _table("documents.md", "Media type")] == list(patch.READERS)
    assert [
        each for each in patch.READERS if f"-X PATCH -H 'Content-Type: {each}'" not in text
    ] == []
    assert set(media_types.DOCUMENTS) <= set(patch.READERS)


def test_every_operation_of_json_patch_is_listed() -> None:
    """And none that is not carried out."""
    row = dict(_table("documents.md", "Media type"))[media_types.JSON_PATCH]

    assert _codes(row) == list(json_patch._READERS)


def test_every_operator_is_listed() -> None:
    """What is let through of MongoDB's, wherever it may stand."""
    lists = {name: set(_codes(names) or [names]) for name, names in _table("documents.md", "Of")}

    assert lists == {
        "an update": set(operators._OPERATORS),
        "$push": set(operators._MODIFIERS),
        "$addToSet": {"$each"},
        "the condition of `$pull`": PULL.operators.keys() | LOGICAL,
    }


def test_the_bounds_are_those_of_the_code() -> None:
    """Each number of the table, and of the prose that says it again."""
    body = Settings.model_fields["max_body"].default
    clauses = f"{PULL.most_clauses}, in {PULL.deepest} levels"
    most = f"{LARGEST_DOCUMENT // MIB} MiB"

    assert [cells[1] for cells in _table("documents.md", "Bound")] == [
        f"{body // MIB} MiB; `DEMIJOHN_MAX_BODY`, up to {most}",
        most,
        f"{LEVELS} levels",
        f"{LONGEST_ID:,} bytes",
        str(json_patch.MOST_OPERATIONS),
        str(operators.MOST_PATHS),
        clauses,
        str(MOST_FAULTS),
    ]
    assert f"at most {LONGEST_ID:,} bytes, counted as canonical" in _prose("documents.md")


def test_the_numbers_of_the_other_pages() -> None:
    """How long records are kept, how much of an answer is, and how often a write is tried."""
    once, versions = _prose("idempotency.md"), _prose("versions.md")

    assert f"it goes after {records.KEPT // 3600} hours" in once
    assert f"A body of more than {records.LARGEST_BODY // 1024} KiB is not kept" in once
    assert f"in the collection `{records.COLLECTION}`" in once
    assert f"tried again, {ATTEMPTS} times in all, and not after {PATIENCE:g} seconds" in versions
    assert f"larger than {LARGEST_COMPARED // MIB} MiB" in versions


def test_the_letters_of_tags() -> None:
    """What an entity tag ends in, by the media type of the answer."""
    assert _table("versions.md", "ETag") == [
        [f'"….{each.value}"', each.media_type] for each in Spelling
    ]


def test_every_method_has_its_conditions() -> None:
    """What a cell says is asked of the service (tests/process/test_reference_examples.py)."""
    methods = " ".join(cells[0] for cells in _table("versions.md", "Method"))

    assert set(re.findall(r"[A-Z]+", methods)) == {*BY_METHOD, "HEAD"}


def _rows_with_codes() -> Iterator[tuple[set[str], str]]:
    """The codes of problems in each row of what to do, and what to do."""
    for answer, _, action in _table("idempotency.md", "Answer"):
        yield set(re.findall(r"`([a-z-]+)`", answer)) or {answer}, action


def test_every_problem_of_a_write_has_its_advice() -> None:
    """By its code or its status, each problem that a write can meet is in the table of answers."""
    rows = " ".join(answer for answer, _, _ in _table("idempotency.md", "Answer"))
    named = set(re.findall(r"`([a-z-]+)`", rows))
    by_status = set(re.findall(r"\b[45]\d\d\b(?! `)", rows))
    writes = (about.CREATE, about.PUT, about.PATCH, about.DELETE)
    met = {*EVERYWHERE, *(each for operation in writes for each in operation.problems)}

    assert [
        each.code for each in met if each.code not in named and str(each.status) not in by_status
    ] == []
    assert named <= {each.code for each in problem_classes()}


def test_the_loop_does_what_the_table_says() -> None:
    """What the program tries again is what the table says to send again, code by code."""
    program = _text("idempotency.md").partition("```python\n")[2].partition("\n```")[0]
    found = next(
        node.value
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PASSING"
    )
    again = (codes for codes, action in _rows_with_codes() if "again with the same key" in action)

    told = {code for codes in again for code in codes if re.fullmatch("[a-z-]+", code)}
    assert ast.literal_eval(found) == told


def test_which_problem_occurs_where() -> None:
    """For each method the list names what its operation can meet, and no more."""
    section = _text("errors.md").partition("\n## Which one where\n")[2].partition("\n## ")[0]
    section = re.sub(r"\n +", " ", section)
    listed: dict[str, set[str]] = {method: set() for method in BY_METHOD}
    for methods, codes in re.findall(r"^- (.*?): (.*)$", section, re.MULTILINE):
        for method in _codes(methods):
            listed[method] |= set(_codes(codes))

    assert listed == {
        method: {each.code for each in {*EVERYWHERE, *operation.problems}}
        for method, (_, operation) in BY_METHOD.items()
    }


def test_the_examples_are_what_is_stored() -> None:
    """The values that stand for each type survive being a document: none is a fault of the test."""
    for name, value in BY_TYPE.items():
        ((_, stored),) = elements(encode({"v": value}))
        assert stored == value, name
    assert bson.decode(encode({"v": BY_TYPE["string"]})) == {"v": "x"}
