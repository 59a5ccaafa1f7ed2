"""The pure parts of `demijohn import`: ids, gzip, numbering, problems and the rejects file."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demijohn.cli.client import Problem, parse_problem, split_lines
from demijohn.cli.gzipped import Damaged, unzipped, zipped
from demijohn.cli.handoff import OVERHEAD, Handoff, Record
from demijohn.cli.identity import Identity
from demijohn.cli.rejects import Rejects, reject_line

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def problem(status: int, code: str) -> Problem:
    """An answer of the service."""
    return Problem(status, code, "because")


def identity(*, extended: bool = False) -> Identity:
    """One whose ids can be foretold."""
    return Identity(extended=extended, clock=lambda: 1.5, random=lambda size: b"\xab" * size)


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b'{"a": 1}', b'{"a": 1,"_id":"00000001ababababab000007"}'),
        (b"{ }", b'{"_id":"00000001ababababab000007"}'),
        (b'{"a": {"_id": 1}}', b'{"a": {"_id": 1},"_id":"00000001ababababab000007"}'),
        (b'{\r\n"a": 1\n}', b'{\t\t"a": 1,"_id":"00000001ababababab000007"}'),
        (b'{"_id": 1}', b'{"_id": 1}'),
        (b'{ "_id" :null}', b'{ "_id" :null}'),
        (b'{"a": 1, "_id": 1}', b'{"a": 1, "_id": 1}'),
        (b'{"a": 1, "\\u005fid": 1}', b'{"a": 1, "\\u005fid": 1}'),
        (b"[1]", b"[1]"),
        (b"nope", b"nope"),
    ],
)
def test_records_without_an_id_get_one(raw: bytes, line: bytes) -> None:
    """It is an ObjectId of the record's own at the end, on one line; others stay as they are."""
    assert identity().spell(Record(7, raw)) == line


@given(st.dictionaries(st.text(), json_values).filter(lambda value: "_id" not in value))
def test_an_id_is_all_that_is_added(value: dict[str, object]) -> None:
    """Any object is the same but for its `_id`, however it is printed; in either spelling."""
    raw = json.dumps(value, indent=1).encode()

    plain = json.loads(identity().spell(Record(1, raw)))
    extended = json.loads(identity(extended=True).spell(Record(1, raw)))

    assert plain == value | {"_id": "00000001ababababab000001"}
    assert extended == value | {"_id": {"$oid": "00000001ababababab000001"}}


@given(st.text(alphabet='{}[]":, \n\\a1', max_size=12))
def test_what_is_no_object_does_not_become_one(text: str) -> None:
    """What was no JSON object before it got an id is none afterwards, so that it is refused."""
    line = identity().spell(Record(1, text.encode()))

    assert _is_object(line) == _is_object(text.encode())


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def test_ids_are_in_the_order_of_the_records() -> None:
    """Sorted by `_id`, documents are as they were in the input, past any count of three bytes."""
    numbers = [1, 2, 255, 256, 2**24 - 1, 2**24, 2**24 + 1]

    lines = [identity().spell(Record(number, b"{}")) for number in numbers]

    assert len(set(lines)) == len(lines)
    assert lines == sorted(lines)


def test_another_run_has_other_ids() -> None:
    """Two imports of one file at one time are two sets of documents."""
    first, second = Identity(extended=False), Identity(extended=False)

    assert first.spell(Record(1, b"{}")) != second.spell(Record(1, b"{}"))


@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 40), st.integers(0, 20))
def test_gzip_is_recognised(members: list[bytes], size: int, zeros: int) -> None:
    """Of one member or several, in chunks of any size, zeros behind; it gives what was packed."""
    packed = b"".join(gzip.compress(b"{" + each) for each in members) + bytes(zeros)
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]

    expected = b"".join(b"{" + each for each in members) or bytes(zeros)
    assert b"".join(unzipped(iter(chunks))) == expected


@given(st.lists(st.binary(max_size=9).filter(lambda each: b"\x1f" not in each)))
def test_what_is_no_gzip_passes(chunks: list[bytes]) -> None:
    """Any other input is left as it is."""
    assert b"".join(unzipped(iter(chunks))) == b"".join(chunks)


@pytest.mark.parametrize("left", [2, 11, 30, -9, -1])
def test_cut_gzip_is_damaged(left: int) -> None:
    """Wherever a packed input ends before its end, that is noticed."""
    packed = gzip.compress(bytes(range(256)))[:left]

    with pytest.raises(Damaged, match="is cut"):
        list(unzipped(iter([packed])))


def test_altered_gzip_is_damaged() -> None:
    """An input whose checksum is another is not taken for whole, nor is what follows it."""
    packed = bytearray(gzip.compress(b"{}"))
    packed[-8] ^= 1

    with pytest.raises(Damaged, match="is damaged"):
        list(unzipped(iter([bytes(packed)])))
    with pytest.raises(Damaged, match="is damaged"):
        list(unzipped(iter([gzip.compress(b"{}") + b"{}"])))


def test_a_bomb_comes_in_pieces() -> None:
    """However well an input was packed, little of it is in memory at one time."""
    pieces = list(unzipped(iter([zlib.compress(bytes(50_000_000), wbits=31)])))

    assert max(map(len, pieces)) <= 256 * 1024
    assert sum(map(len, pieces)) == 50_000_000


@given(st.lists(st.binary(), min_size=1))
def test_packed_output_is_gzip(chunks: list[bytes]) -> None:
    """What is packed is unpacked by others; what was not given to its end, by nobody."""
    packed = list(zipped(iter(chunks)))

    assert gzip.decompress(b"".join(packed)) == b"".join(chunks)
    with pytest.raises(EOFError):
        gzip.decompress(b"".join(packed[:-1]))


@given(st.lists(st.binary(max_size=9)))
def test_lines_of_an_answer(chunks: list[bytes]) -> None:
    """Lines are the same however they arrive; one without an end is not given."""
    assert list(split_lines(iter(chunks))) == b"".join(chunks).split(b"\n")[:-1]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"detail": "x"}', b'{"code": 5}', b"\xff"]
)
def test_strangers_answers_are_no_problems(body: bytes) -> None:
    """An answer without a code is told apart, whatever it holds."""
    parsed = parse_problem(502, body)

    assert (parsed.typed, parsed.code) == (False, "http-502")
    assert "502" in str(parsed)


@given(json_values)
def test_any_json_is_read_as_a_problem(value: object) -> None:
    """Whatever JSON a service answers with, the client does not fall over it."""
    body = {"code": "a-code", "detail": value, "pointer": value}

    parsed = parse_problem(422, json.dumps(body).encode())

    assert parsed.code in ("a-code", "http-422")
    assert reject_line(Record(1, b"{}"), parsed)


@given(json_values)
def test_rejected_json_keeps_its_own_bytes(value: object) -> None:
    """A line of the rejects file holds the record as it was written, on one line."""
    raw = json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")

    line = reject_line(Record(3, raw), problem(422, "invalid-document"))

    assert line.count(b"\n") == 1
    kept = json.loads(line)["document"]
    assert kept in (value, raw.decode("utf-8", "backslashreplace"))


def test_rejected_numbers_are_not_reparsed() -> None:
    """2^64 and 1.50 stand in the rejects file as they stood in the input."""
    raw = b'{"n": 18446744073709551616, "x": 1.50, "x": 1e400}'

    line = reject_line(Record(1, raw), Problem(422, "c", "d", "/n"))

    assert line.endswith(b'"document":' + raw + b"}\n")
    assert json.loads(line)["pointer"] == "/n"


@pytest.mark.parametrize("raw", [b"NaN", b"-Infinity", b"1 2", b"", b"[" * 100_000, b'"\xff"'])
def test_what_is_no_json_is_kept_as_a_string(raw: bytes) -> None:
    """Text that JSON parsers elsewhere would not take does not spoil its line."""
    line = reject_line(Record(1, raw), problem(400, "malformed-json"))

    assert json.loads(line)["document"] == raw.decode("utf-8", "backslashreplace")


@given(st.binary())
def test_any_bytes_are_kept_as_valid_json(raw: bytes) -> None:
    """Whatever the record is, its line is JSON."""
    line = reject_line(Record(1, raw), problem(400, "malformed-json"))

    assert json.loads(line)["record"] == 1


@pytest.mark.parametrize(("append", "lines"), [(False, 1), (True, 2)])
def test_rejects_file_begins_with_its_first_line(
    append: bool,  # noqa: FBT001 (a case)
    lines: int,
    tmp_path: Path,
) -> None:
    """Without a refusal there is no file; with one an older file goes or stays, as asked."""
    path = tmp_path / "r.ndjson"
    Rejects(path, append=False).close()
    assert not path.exists()

    path.write_bytes(b"{}\n")
    rejects = Rejects(path, append=append)
    rejects.write(Record(1, b"{}"), problem(422, "c"))
    rejects.close()

    assert len(path.read_bytes().splitlines()) == lines


def test_handoff_is_bounded() -> None:
    """It takes no more than it may hold, but always one record, of whatever size."""
    small = Handoff(OVERHEAD + 100, 10**6, 10)
    assert small.offer(Record(1, b"x" * 1000), 0)
    assert not small.offer(Record(2, b"x"), 0)
    taken = small.take()
    assert not small.offer(Record(2, b"x"), 0), "what is under way still takes its room"
    small.settle(taken)
    assert small.offer(Record(2, b"x"), 0)


def test_empty_records_have_a_weight() -> None:
    """Millions of tiny records do not pile up either."""
    handoff = Handoff(10 * OVERHEAD, 10**6, 1000)

    assert sum(handoff.offer(Record(number, b""), 0) for number in range(1, 100)) == 10


def numbers(records: list[Record]) -> list[int]:
    """Their numbers."""
    return [record.number for record in records]


def filled(*sizes: int, text: int = 100, records: int = 3) -> Handoff:
    """A handoff with records of these sizes waiting, and what it gives at most at one time."""
    handoff = Handoff(10**6, text, records)
    for number, size in enumerate(sizes, 1):
        assert handoff.offer(Record(number, b"x" * size), 0)
    handoff.end(discard=False)
    return handoff


def test_what_waits_is_taken_together() -> None:
    """As many as there are, up to the bounds; one larger than those goes alone."""
    handoff = filled(1, 1, 1, 1, 99, 2, 500, 1)

    taken = [numbers(handoff.take()) for _ in range(6)]

    assert taken == [[1, 2, 3], [4, 5], [6], [7], [8], []]


def test_handoff_knows_what_is_settled() -> None:
    """Discarded records were never taken; those written off can't be settled afterwards."""
    handoff = filled(1, 1, 1, records=1)
    first, second = handoff.take(), handoff.take()

    handoff.end(discard=True)

    assert handoff.take() == []
    assert handoff.last_taken == 2
    assert handoff.settle(second)
    assert not handoff.wait_settled(0)
    assert handoff.write_off() == [first]
    assert not handoff.settle(first)
    assert handoff.wait_settled(0)
