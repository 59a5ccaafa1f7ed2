"""`demijohn import` and `export` on a terminal, among documents, files and services of others."""

from __future__ import annotations

import json
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.support.client import demijohn, ndjson, read_ndjson
from tests.support.database import Database
from tests.support.hostile import LONG, TEXTS, seen_as_control
from tests.support.service import Service, clean_environ
from tests.support.terminal import Terminal

DOCUMENTS = [{"_id": text, "value": text, text: text, "in": [{text: 1}]} for text in TEXTS.values()]
STORABLE = [each for each in DOCUMENTS if not any("\0" in key or key[:1] == "$" for key in each)]
"""The others have keys that are no field's name, and are refused, with a pointer to them."""
NO_JSON = b"\x1b]0;taken"
OF_TERMINALS = {"\x1b", "\r"}
"""The commands' own: a bar that is drawn again and again, and what a tty makes of a line's end."""
Documents = list[dict[str, Any]]


@pytest.fixture
def collection(database: Database) -> str:
    """A collection of hostile documents' own, empty at first; its name."""
    with MongoClient[dict[str, Any]](database.uri) as client:
        client["flask_db"]["hostile"].delete_many({})
    return "hostile"


def _on_terminal(directory: Path, *words: str) -> tuple[int, str]:
    """Run the command on a terminal; its exit code, and all that was written to that."""
    line = shlex.join([sys.executable, "-m", "demijohn", *words])
    terminal = Terminal(line, cwd=directory, environ=clean_environ({}))
    code, _ = terminal.finish(120)
    return code, terminal.raw.decode()


def _obeyed(written: str) -> set[str]:
    """What of it is neither text nor the commands' own."""
    texts = [text for text in TEXTS.values() if seen_as_control(text) and text in written]
    return (seen_as_control(written) - OF_TERMINALS) | set(texts)


def test_an_import_shows_names_and_reasons_as_text(
    service: Service, collection: str, tmp_path: Path
) -> None:
    """The file's name, the refused keys and the reject file's name do nothing to the terminal."""
    name = "\x1b]52;c;QQ==\x07\x9b5m\u202e\n.ndjson"
    (tmp_path / name).write_bytes(ndjson([*DOCUMENTS, {"long": LONG}, *DOCUMENTS]) + NO_JSON)

    code, written = _on_terminal(
        tmp_path, "import", name, "--collection", collection, "--url", service.url
    )

    assert code == 1
    assert _obeyed(written) == set()
    assert r"\x1b]52;c;QQ==\x07\x9b5m\u202e" in written
    lines = read_ndjson(next(tmp_path.glob("*.rejected.ndjson")))
    rejected = sorted(lines, key=lambda each: each["record"])
    assert len(rejected) == 2 * len(DOCUMENTS) - len(STORABLE) + 1
    assert rejected[-1]["document"] == NO_JSON.decode()
    assert all(each["document"] in DOCUMENTS for each in rejected[:-1])


def test_an_export_to_a_screen_is_the_same_json(
    service: Service, collection: str, tmp_path: Path
) -> None:
    """On a terminal the documents are spelt so that it obeys nothing; in a file as ever."""
    (tmp_path / "in.ndjson").write_bytes(ndjson(STORABLE))
    where = ("--collection", collection, "--url", service.url)
    assert demijohn(tmp_path, "import", "in.ndjson", *where).code == 0

    code, written = _on_terminal(tmp_path, "export", "--sort", "_id", *where)
    assert demijohn(tmp_path, "export", "out.ndjson", "--sort", "_id", *where).code == 0

    lines = [line for line in written.split("\r\n") if line.startswith("{")]
    assert code == 0
    assert _obeyed(written) == set()
    assert [json.loads(line) for line in lines] == read_ndjson(tmp_path / "out.ndjson")
    assert len(lines) == len(STORABLE)
    assert "\x9b5;35m" in (tmp_path / "out.ndjson").read_text("utf-8")


@pytest.mark.parametrize("words", [("import", "in.ndjson"), ("export",)], ids=["import", "export"])
@pytest.mark.parametrize("kind", ["a problem", "no problem"])
def test_a_service_of_others_is_quoted(words: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    """What any server says of itself and of a record in its problems is shown as text."""
    (tmp_path / "in.ndjson").write_bytes(b"{}\n")
    everything = "|".join(TEXTS.values())
    problem = {"code": everything, "title": everything, "detail": everything, "pointer": everything}
    body = json.dumps(problem if kind == "a problem" else [everything], ensure_ascii=False)

    with _answering(body.encode()) as url:
        code, written = _on_terminal(tmp_path, *words, "--url", url)

    assert code == 1
    assert _obeyed(written) == set()
    assert kind == "no problem" or r"\x1b]52;c;cm0gLXJmIH4K\x07" in written


@pytest.mark.parametrize(
    "words",
    [
        ("import", "{}"),
        ("import", "--url", "{}", "x"),
        ("export", "/nowhere/{}", "--url", "http://127.0.0.1:1"),
        ("export", "--format", "{}"),
        ("export", "--{}"),
        ("serve", "--host", "{}"),
        ("serve", "--data-dir", "/dev/null/{}"),
        ("{}",),
    ],
    ids=" ".join,
)
def test_words_of_a_command_line_are_quoted(words: tuple[str, ...], tmp_path: Path) -> None:
    """Whatever a script pastes into a command line, the complaint about it is text."""
    pasted = "".join(text for text in TEXTS.values() if "\0" not in text and "/" not in text)

    code, written = _on_terminal(tmp_path, *(each.replace("{}", pasted) for each in words))

    assert code != 0
    assert _obeyed(written) == set()


@contextmanager
def _answering(body: bytes) -> Iterator[str]:
    """A server of others, with the same 422 for every request; its address."""
    head = b"HTTP/1.1 422 %%s\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, head + body), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:  # it is closed
            return
        threading.Thread(target=_answer, args=(connection, answer), daemon=True).start()


def _answer(connection: socket.socket, answer: bytes) -> None:
    """Say it once something has come, and leave when all has: a reset would take it away."""
    with connection, suppress(OSError):
        connection.recv(65_536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass
