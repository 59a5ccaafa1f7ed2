"""`python -m tests.bench.transfer`: a collection up and down, beside MongoDB's own tools.

Rates: `mongoimport` and `mongoexport` (one worker, the same write concern), `curl` on the streams
of the service, and `demijohn import` and `export`, in interleaved rounds on one database. Memory:
the peak of the worker over what it has at rest, while collections of growing size go up and down.
`MONGO_TOOLS` names the directory of MongoDB's tools where they are not on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pymongo

from tests.bench import report
from tests.bench.database import fastest
from tests.bench.report import MIB, Report, spread, table
from tests.bench.usage import Growth
from tests.support.service import Service, clean_environ, serving

NAME = "MONGO_TOOLS"
"""The environment variable that names the directory of `mongoimport` and `mongoexport`."""
COLLECTION = "transfer"
_RATES = """\
{documents:,} documents of about {size} bytes, {rounds} rounds, interleaved; one worker each. Ratio:
over the first row's rate in the same round; medians (least–most) of the rounds.
"""
_MEMORY = """\
Peak of the service's worker above its rest, in MiB, while a collection of so many documents goes
up by `curl` as NDJSON, and down again.
"""
Move = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts that every move works on."""

    directory: Path
    uri: str
    service: Service

    @property
    def url(self) -> str:
        """Where the collection's documents are."""
        return f"http://127.0.0.1:{self.service.port}/v1/collections/{COLLECTION}/documents"

    def lines(self, documents: int) -> Path:
        """A file of so many documents, each a line."""
        path = self.directory / f"{documents}.ndjson"
        if not path.exists():
            with path.open("w", encoding="utf-8") as out:
                for number in range(documents):
                    out.write(json.dumps(_document(number)) + "\n")
        return path

    def empty(self) -> None:
        """Drop the collection."""
        with pymongo.MongoClient[dict[str, object]](self.uri) as client:
            client["flask_db"][COLLECTION].drop()

    def require(self, documents: int) -> None:
        """Raise RuntimeError unless the collection has exactly so many."""
        with pymongo.MongoClient[dict[str, object]](self.uri) as client:
            found = client["flask_db"][COLLECTION].count_documents({})
        if found != documents:
            raise RuntimeError(f"{found} documents in place of {documents}")


def imports(bench: Bench, lines: Path) -> dict[str, Move]:
    """The ways up, by name."""
    target = ("--uri", bench.uri, "--db", "flask_db", "--collection", COLLECTION)
    moves: dict[str, Move] = {}
    if program := _tool("mongoimport"):
        concern = ("--writeConcern", '{"w":"majority","j":true}')
        moves["mongoimport"] = lambda: _run(program, *target, *concern, "--file", str(lines))
    moves["curl, NDJSON"] = lambda: _upload(bench, lines)
    moves["demijohn import"] = lambda: _demijohn(
        bench, "import", "--collection", COLLECTION, str(lines)
    )
    return moves


def exports(bench: Bench) -> dict[str, Move]:
    """The ways down, by name."""
    out = str(bench.directory / "out.ndjson")
    target = ("--uri", bench.uri, "--db", "flask_db", "--collection", COLLECTION)
    moves: dict[str, Move] = {}
    if program := _tool("mongoexport"):
        moves["mongoexport"] = lambda: _run(program, *target, "--out", out)
    moves["curl, relaxed Extended JSON"] = lambda: _download(bench, out, "; mode=relaxed")
    moves["curl, plain JSON"] = lambda: _download(bench, out, "")
    moves["demijohn export"] = lambda: _demijohn(bench, "export", "--collection", COLLECTION, out)
    return moves


def _tool(name: str) -> str | None:
    directory = os.environ.get(NAME)
    return shutil.which(name, path=directory) if directory else shutil.which(name)


def _upload(bench: Bench, lines: Path) -> None:
    kind = "Content-Type: application/x-ndjson"
    answer = _run("curl", "-sSf", "-X", "POST", "-T", str(lines), "-H", kind, bench.url)
    summary = json.loads(answer.splitlines()[-1])
    if summary["failed"]:
        raise RuntimeError(f"refused: {answer[:500]}")


def _download(bench: Bench, out: str, mode: str) -> None:
    _run("curl", "-sSf", "-H", f"Accept: application/x-ndjson{mode}", "-o", out, bench.url)


def _demijohn(bench: Bench, *arguments: str) -> None:
    url = {"DEMIJOHN_URL": f"http://127.0.0.1:{bench.service.port}"}
    _run(sys.executable, "-m", "demijohn", *arguments, environ=clean_environ(url))


def _run(*command: str, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ends with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _seconds(move: Move) -> float:
    began = time.perf_counter()
    move()
    return time.perf_counter() - began


def _rates(bench: Bench, documents: int, rounds: int, out: Report) -> None:
    lines = bench.lines(documents)
    up: list[dict[str, float]] = []
    down: list[dict[str, float]] = []
    for _ in range(rounds):
        found = {}
        for name, move in imports(bench, lines).items():
            bench.empty()
            found[name] = documents / _seconds(move)
            bench.require(documents)
        up.append(found)
        down.append({name: documents / _seconds(move) for name, move in exports(bench).items()})
    size = lines.stat().st_size // documents
    note = _RATES.format(documents=documents, size=size, rounds=rounds)
    for title, rates in (("Up", up), ("Down", down)):
        out.add(title, note, _table(title, rates), rates)


def _table(title: str, rounds: list[dict[str, float]]) -> str:
    first = next(iter(rounds[0]))
    rows = [
        [
            name,
            spread(each[name] for each in rounds).text(),
            spread(each[name] / each[first] for each in rounds).text(2),
        ]
        for name in rounds[0]
    ]
    return table([title, "documents a second", f"ratio to {first}"], rows)


def _memory(bench: Bench, sizes: list[int], out: Report) -> None:
    rows, figures = [], []
    for size in sizes:
        lines = bench.lines(size)
        bench.empty()
        up = _growth(bench, lambda lines=lines: _upload(bench, lines))  # type: ignore[misc]
        bench.require(size)
        target = str(bench.directory / "out.ndjson")
        down = _growth(bench, lambda target=target: _download(bench, target, ""))  # type: ignore[misc]
        figures.append({"documents": size, "up": up, "down": down})
        rows.append([f"{size:,}", f"{up / MIB:.1f}", f"{down / MIB:.1f}"])
    out.add("Memory", _MEMORY, table(["documents", "up", "down"], rows), figures)


def _growth(bench: Bench, move: Move) -> int:
    growth = Growth(bench.service.process.pid)
    move()
    return growth.bytes()


def _document(number: int) -> dict[str, object]:
    return {
        "n": number,
        "name": f"Ada {number}",
        "born": "1815-12-10",
        "score": number / 7,
        "tags": ["mathematics", "engines", str(number % 97)],
        "address": {"city": "London", "zip": f"{number % 100_000:05}"},
    }


@click.command()
@click.option("--documents", default=100_000, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(0))
@click.option("--size", "sizes", multiple=True, type=click.IntRange(1), help="For memory.")
def main(documents: int, rounds: int, sizes: tuple[int, ...]) -> None:
    """Measure rates and memory of whole collections."""
    with tempfile.TemporaryDirectory(prefix="demijohn-transfer-") as name:
        server, database = fastest(Path(name))
        database.start()
        settings = {"MONGODB_URI": database.uri, "DEMIJOHN_WORKERS": "1"}
        try:
            with serving(Path(name), settings) as service:
                bench = Bench(Path(name), database.uri, service)
                out = Report("transfer", report.facts("python -m tests.bench.transfer", server))
                if rounds:
                    _rates(bench, documents, rounds, out)
                if sizes:
                    _memory(bench, list(sizes), out)
                click.echo(f"Kept in {out.write()}")
        finally:
            database.stop()


if __name__ == "__main__":
    main()
