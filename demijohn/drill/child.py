"""The process that makes the load: lines on standard output, steered by signals.

SIGUSR1 raises the rate by a step, SIGUSR2 lowers it to its lowest, SIGTERM or SIGINT ends the run
with the result. It is the same process here and in a Job.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import uvloop

from demijohn.drill.errors import DrillError
from demijohn.drill.load import Load, Plan
from demijohn.drill.outcomes import Line


def _key_from(pipe: Path) -> str:
    """The key that somebody writes into a named pipe, which is made here and gone afterwards.

    It waits for as long as that takes. Raises DrillError.
    """
    try:
        os.mkfifo(pipe, 0o600)
        try:
            return pipe.read_text(encoding="ascii").strip()
        finally:
            pipe.unlink()
    except (OSError, UnicodeDecodeError):
        raise DrillError(f"{pipe}: no key can be read there.") from None


def run(plan: Plan, out: BinaryIO, key_pipe: Path | None = None) -> bool:
    """Carry the plan out; False where it could not be, which the last line says.

    With a pipe, the key comes from there.
    """
    try:
        if key_pipe is not None:
            plan = replace(plan, key=_key_from(key_pipe))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(plan, out))
    except DrillError as error:
        _write(out, Line(error=str(error)))
        return False
    return True


async def _run(plan: Plan, out: BinaryIO) -> None:
    def report(line: Line) -> None:
        try:
            _write(out, line)
        except BrokenPipeError:
            load.stop()  # nobody is there any more to steer it

    load = Load(plan, report)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, load.step_up)
    loop.add_signal_handler(signal.SIGUSR2, load.fall)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, load.stop)
    await load.run()


def _write(out: BinaryIO, line: Line) -> None:
    out.write(line.model_dump_json(exclude_none=True).encode() + b"\n")
    out.flush()
