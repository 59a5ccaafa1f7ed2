"""`demijohn export`: the documents of a collection as lines or an array, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import click

from demijohn.cli.client import (
    CANONICAL,
    ClientError,
    ConnectionLost,
    Service,
    collection_option,
    service_key,
    service_url,
)
from demijohn.cli.gzipped import zipped
from demijohn.cli.progress import Report, progress
from demijohn.cli.saying import complain, shown
from demijohn.exits import Exit
from demijohn.formats.media_types import NDJSON

STDOUT = "-"
GZIP_SUFFIX = ".gz"
BUFFER = 256 * 1024
MEGABYTE = 1_000_000

Format = Literal["ndjson", "json"]

EXAMPLES = """\b
Examples:
  demijohn export backup.ndjson.gz --collection movies --extended
  demijohn export --filter '{"year": {"$gt": 1999}}' --fields title,-_id --format json
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, made definite."""

    file: str
    url: str
    collection: str
    asked: dict[str, str]
    """Parameters of the list of documents, handed through."""
    extended: bool
    form: Format
    packed: bool

    @property
    def accept(self) -> str:
        """The media type to be asked for."""
        return CANONICAL if self.extended else NDJSON


@click.command("export", epilog=EXAMPLES)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True), default=STDOUT)
@click.option("--url", metavar="URL", help="The service.  [env: DEMIJOHN_URL]")
@collection_option
@click.option("--extended", is_flag=True, help="As canonical Extended JSON: every type is kept.")
@click.option("--filter", metavar="JSON", help="Only documents that it matches.")
@click.option("--sort", metavar="PATHS", help="In this order, such as -year,title.")
@click.option("--fields", metavar="PATHS", help="Only these, such as title,-_id.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "json"]),
    default="ndjson",
    show_default=True,
    help="One document a line, or one array.",
)
@click.option("--gzip", is_flag=True, help="Packed; so is a FILE whose name ends in .gz.")
def export_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    file: str,
    url: str | None,
    collection: str,
    extended: bool,
    form: Format,
    gzip: bool,
    **asked: str | None,
) -> None:
    """Write the documents of a collection to FILE (or to standard output, for -).

    They are never all in memory. FILE appears, or is replaced, only once everything has arrived:
    until then the export writes to a file beside it (.FILE.….part) and removes that if it fails.
    On standard output a part may have been written before something fails: trust it only with
    exit code 0.

    --filter, --sort and --fields are those of the HTTP interface.
    """
    options = Options(
        file=file,
        url=service_url(url),
        collection=collection,
        asked={name: value for name, value in asked.items() if value is not None},
        extended=extended,
        form=form,
        packed=gzip or file.endswith(GZIP_SUFFIX),
    )
    sys.exit(run(options))


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


def run(options: Options) -> Exit:
    """Export, and say on standard error how it went."""
    count, file = Count(), options.file
    try:
        _export(options, count)
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
    complain(f"{count}.")
    return Exit.OK


def _export(options: Options, count: Count) -> None:
    """Write every document, counting; raises what `run` sorts."""
    on_screen = options.file == STDOUT and sys.stdout.isatty()
    service = Service(options.url, options.collection, service_key())
    with (
        service.documents(options.asked, options.accept) as chunks,
        _sink(options.file) as sink,
        progress(None, quiet=on_screen) as report,
    ):
        pieces = FRAMES[options.form](_counted(chunks, count, report))
        if options.packed:
            pieces = zipped(pieces)
        elif on_screen:
            pieces = shown(pieces)
        for piece in pieces:
            sink.write(piece)


def _counted(chunks: Iterator[bytes], count: Count, report: Report) -> Iterator[bytes]:
    """The same chunks. Raises NotWhole where they end in the middle of a line."""
    last = b"\n"
    for chunk in chunks:
        yield chunk
        count.bytes += len(chunk)
        count.documents += chunk.count(b"\n")
        report(count.bytes, f"{count.documents:,} documents")
        last = chunk[-1:]
    if last != b"\n":
        raise NotWhole("the last document has no end")


def _as_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    return chunks


def _as_array(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """In JSON a line end is in no string: here it is always the end of a document."""
    lead = b"["
    for chunk in chunks:
        text = chunk.removesuffix(b"\n")
        yield lead + text.replace(b"\n", b",\n")
        lead = b",\n" if len(text) < len(chunk) else b""
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
    complain(f"{message} {left}")
    return code


def _drop_stdout() -> None:
    """Let what is still buffered for a reader who has gone (`| head`) go nowhere, quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
