"""`demijohn import`: every record of a file into a collection, and an account of each."""

from __future__ import annotations

import errno
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import FileIO
from os import fstat
from pathlib import Path

import click

from demijohn.cli.client import Service, collection_option, service_key, service_url
from demijohn.cli.gzipped import Damaged, unzipped
from demijohn.cli.handoff import Record
from demijohn.cli.identity import Identity
from demijohn.cli.interrupts import Interrupts
from demijohn.cli.progress import Report, progress
from demijohn.cli.rejects import Rejects
from demijohn.cli.saying import complain, say
from demijohn.cli.sending import Limits, Sending, Tally
from demijohn.exits import Exit
from demijohn.formats.json_stream import RecordSplitter, SplitError

CHUNK = 64 * 1024
STDIN = "-"
STDIN_FILENO = 0
EXAMPLES = """\b
Examples:
  demijohn import movies.json
  demijohn import dump.ndjson.gz --collection movies --extended --url http://10.0.0.7:30500
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, made definite."""

    file: str
    url: str
    collection: str
    extended: bool
    rejects: Path
    skip: int
    limits: Limits

    @property
    def name(self) -> str:
        """The input, for people."""
        return "standard input" if self.file == STDIN else self.file


@click.command("import", epilog=EXAMPLES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--url", metavar="URL", help="The service.  [env: DEMIJOHN_URL]")
@collection_option
@click.option("--extended", is_flag=True, help="FILE is MongoDB Extended JSON, of either mode.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Requests on their way at one time.",
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused records go.  [default: FILE's name and .rejected.ndjson, "
    "in the working directory]",
)
@click.option(
    "--skip",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Pass over the first N records, to go on where an import was stopped.",
)
@click.option(
    "--retry-for",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to go on trying while the service fails.",
)
def import_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    file: str,
    url: str | None,
    collection: str,
    extended: bool,
    concurrency: int,
    rejects: Path | None,
    skip: int,
    retry_for: float,
) -> None:
    """Insert the records of FILE (or of standard input, for -) into a collection.

    FILE holds JSON: one object a line (NDJSON), or one array of objects. It may be of any size,
    and gzipped. A record that the service refuses is written to the rejects file with its number
    and the reason, and the others go on.

    A record without an _id gets one here, an ObjectId. So, when an answer got lost, records are
    simply sent again, and none is doubled. Those whose answer never came count as unknown, and
    are kept in the rejects file with the code outcome-unknown and the _id that they were sent with.

    Ctrl-C stops and says how to go on. The exit code is 0 only when every record is in.
    """
    options = Options(
        file=file,
        url=service_url(url),
        collection=collection,
        extended=extended,
        rejects=rejects or _default_rejects(file),
        skip=skip,
        limits=Limits(concurrency, retry_for),
    )
    if file != STDIN and options.rejects.exists() and options.rejects.samefile(file):
        raise click.UsageError("FILE and the rejects file are the same.")
    with _open(file) as source:
        sys.exit(run(options, source))


def run(options: Options, source: FileIO) -> Exit:
    """Import what `source` gives, and say on the terminal how it went."""
    rejects = Rejects(options.rejects, append=options.skip > 0)
    service = Service(options.url, options.collection, service_key())
    identity = Identity(extended=options.extended)
    with Interrupts() as interrupts, closing(rejects), progress(_size(source)) as report:
        sending = Sending(service, identity, rejects, interrupts, options.limits)
        reader = Reader(source, interrupts, report, sending.tally)
        fault = _send_all(reader, sending, options)
        sending.finish()
    return _conclude(options, sending, rejects, fault, interrupted=interrupts.count > 0)


class Reader:
    """The records of a source; reports how far it got."""

    def __init__(
        self, source: FileIO, interrupts: Interrupts, report: Report, tally: Tally
    ) -> None:
        """Take the source, whose reading Ctrl-C may break off, and what is reported."""
        self._source = source
        self._interrupts = interrupts
        self._report = report
        self._tally = tally
        self.read = 0
        """Records given so far."""

    def records(self) -> Iterator[Record]:
        """Each record as soon as it has been read whole.

        Raises SplitError, Damaged, OSError and, on Ctrl-C, KeyboardInterrupt.
        """
        splitter = RecordSplitter()
        for chunk in unzipped(self._chunks()):
            yield from self._numbered(splitter.feed(chunk))
        yield from self._numbered(splitter.finish())

    def _numbered(self, raws: Iterator[bytes]) -> Iterator[Record]:
        for raw in raws:
            self.read += 1
            yield Record(self.read, raw)

    def _chunks(self) -> Iterator[bytes]:
        done = 0
        while True:
            with self._interrupts.breakable():
                chunk = self._source.read(CHUNK)
            if chunk is None:
                raise BlockingIOError(errno.EAGAIN, "it is set not to wait for data")
            if not chunk:
                return
            yield chunk
            done += len(chunk)
            tally = self._tally
            self._report(done, f"{tally.inserted:,} inserted, {tally.refused:,} refused")


def _send_all(reader: Reader, sending: Sending, options: Options) -> str | None:
    """Hand every record to the senders; what is wrong with the input, if something is."""
    try:
        for record in reader.records():
            if record.number > options.skip and not sending.offer(record):
                return None
    except KeyboardInterrupt:
        return None
    except (SplitError, Damaged) as error:
        return f"{options.name}: {error}. Nothing from there on was sent."
    except OSError as error:
        return f"{options.name} cannot be read after record {reader.read}: {error.strerror}."
    if reader.read < options.skip:
        return f"{options.name} has {reader.read} records, fewer than --skip {options.skip}."
    return None


def _conclude(
    options: Options, sending: Sending, rejects: Rejects, fault: str | None, *, interrupted: bool
) -> Exit:
    """Say what happened; the exit code that says the same."""
    tally = sending.tally
    for reason in filter(None, (fault, sending.stopped_by)):
        complain(reason)
    if interrupted or (sending.stopped_by and tally.settled):
        done = max(options.skip, sending.done)
        kinds = f"{tally.inserted} inserted, {tally.refused} refused"
        kinds += f", {tally.unknown} unknown" if tally.unknown else ""
        complain(f"Stopped after {done} records ({kinds}). Go on with --skip {done}.")
    elif not sending.stopped_by:
        say(
            f"{tally.settled} sent: {tally.inserted} inserted, {tally.refused} refused, "
            f"{tally.unknown} unknown."
        )
    if rejects.written:
        complain(f"Those that are not known to be in: {rejects.path}")
    if interrupted:
        return Exit.INTERRUPTED
    whole = tally.settled == tally.inserted and not fault and not sending.stopped_by
    return Exit.OK if whole else Exit.FAILED


def _default_rejects(file: str) -> Path:
    return Path(("import" if file == STDIN else Path(file).name) + ".rejected.ndjson")


def _open(file: str) -> FileIO:
    """The input, unbuffered: a read gives what is there, and loses nothing when broken off."""
    try:
        if file == STDIN:
            return open(STDIN_FILENO, "rb", buffering=0, closefd=False)
        return Path(file).open("rb", buffering=0)
    except OSError as error:
        name = "standard input" if file == STDIN else file
        raise click.UsageError(f"{name} cannot be read: {error.strerror}.") from None


def _size(source: FileIO) -> int | None:
    """The bytes of a regular file; None for what has no end known beforehand."""
    about = fstat(source.fileno())
    return about.st_size if stat.S_ISREG(about.st_mode) else None
