"""`demijohn export`: every document of a service as NDJSON or a JSON array, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import click

from demijohn.cli.client import ClientError, ConnectionLost, Service, service_url
from demijohn.cli.progress import Report, progress
from demijohn.exits import Exit
from demijohn.formats.json_stream import RecordSplitter, SplitError

STDOUT = "-"
LARGEST_RECORD = 128 * 1024 * 1024
"""A document of 16 MiB BSON is longer as JSON: at worst six bytes for each control character."""
BUFFER = 256 * 1024
MEGABYTE = 1_000_000

Format = Literal["ndjson", "json"]

EXAMPLES = """\b
Examples:
  demijohn export backup.ndjson
  demijohn export --format json --url http://10.0.0.7:30500 | gzip > backup.json.gz
"""


@click.command("export", epilog=EXAMPLES)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default=STDOUT)
@click.option("--url", metavar="URL", help="The service.  [env: DEMIJOHN_URL]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "json"]),
    default="ndjson",
    show_default=True,
    help="One document a line, or one array.",
)
def export_command(*, file: str, url: str | None, form: Format) -> None:
    """Write every document of a service to FILE (or to standard output, for -).

    Documents come as GET /data gives them, without _id, their bytes unchanged, and are never
    all in memory. FILE appears, or is replaced, only once everything has arrived: until then the
    export writes to a file beside it (.FILE.….part) and removes that if it fails. On standard
    output a part may have been written before something fails: trust it only with exit code 0.
    """
    sys.exit(run(file, service_url(url), form))


class NotWhole(Exception):
    """What came is only a part; the text is why, for people."""


@dataclass(slots=True)
class Count:
    """What has arrived so far."""

    documents: int = 0
    bytes: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"{self.documents} documents, {self.bytes / MEGABYTE:.1f} MB"


def run(file: str, url: str, form: Format) -> Exit:
    """Export to `file`, and say on standard error how it went."""
    count = Count()
    try:
        _export(file, url, form, count)
    except KeyboardInterrupt:
        return _fail(f"Stopped after {count}.", file, Exit.INTERRUPTED)
    except BrokenPipeError:
        _drop_stdout()
        return Exit.FAILED
    except (NotWhole, ConnectionLost) as error:
        return _fail(f"Cut after {count}: {error}.", file)
    except ClientError as error:
        return _fail(str(error), file)
    except OSError as error:
        return _fail(f"{file} cannot be written: {error.strerror}.", file)
    click.echo(f"{count}.", err=True)
    return Exit.OK


def _export(file: str, url: str, form: Format, count: Count) -> None:
    """Write every document, counting; raises what `run` sorts."""
    on_screen = file == STDOUT and sys.stdout.isatty()
    with (
        Service(url) as service,
        service.documents() as chunks,
        _sink(file) as sink,
        progress(None, quiet=on_screen) as report,
    ):
        for piece in FRAMES[form](_documents(chunks, count, report)):
            sink.write(piece)


def _documents(chunks: Iterator[bytes], count: Count, report: Report) -> Iterator[bytes]:
    """The documents of the array that the chunks spell; raises NotWhole for a part of one."""
    try:
        for document in _split(_counted(_array(chunks), count, report)):
            count.documents += 1
            yield document
    except SplitError as error:
        raise NotWhole(str(error)) from error


def _array(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, if they begin an array: the splitter would take any text for lines."""
    head = b""
    for chunk in chunks:
        if not head:
            head = chunk.lstrip()[:1]
            if head not in (b"", b"["):
                break
        yield chunk
    if head != b"[":
        raise NotWhole("the answer is no JSON array")


def _counted(chunks: Iterator[bytes], count: Count, report: Report) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        count.bytes += len(chunk)
        report(count.bytes, f"{count.documents:,} documents")


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    splitter = RecordSplitter(LARGEST_RECORD)
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.finish()


def _as_lines(documents: Iterator[bytes]) -> Iterator[bytes]:
    for document in documents:
        yield document + b"\n"


def _as_array(documents: Iterator[bytes]) -> Iterator[bytes]:
    lead = b"["
    for document in documents:
        yield lead + document
        lead = b",\n"
    yield b"[]\n" if lead == b"[" else b"]\n"


FRAMES: dict[Format, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "ndjson": _as_lines,
    "json": _as_array,
}


@contextmanager
def _sink(file: str) -> Iterator[BinaryIO]:
    """Where the export goes: standard output, a device or pipe, or a file that appears whole."""
    target = Path(os.path.realpath(file))
    if file == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif target.exists() and not target.is_file():
        with target.open("wb") as sink:
            yield sink
    else:
        with _whole_file(target) as sink:
            yield sink


@contextmanager
def _whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target that takes its place, flushed to disk, if all goes well."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("xb", buffering=BUFFER) as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _fail(message: str, file: str, code: Exit = Exit.FAILED) -> Exit:
    """Say what went wrong and what that means for the output."""
    left = "The output is not whole." if file == STDOUT else f"{file} was not written."
    click.echo(f"{message} {left}", err=True)
    return code


def _drop_stdout() -> None:
    """Let what is still buffered for a reader who has gone (`| head`) go nowhere, quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
