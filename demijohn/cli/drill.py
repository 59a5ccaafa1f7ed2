"""`demijohn drill`: promises put to the test on the user's own cluster."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from demijohn.cli.client import service_key, service_url
from demijohn.cli.saying import fail, say
from demijohn.exits import Exit
from demijohn.settings import SettingsError, load_here

if TYPE_CHECKING:
    from demijohn.drill.kubectl import Kubectl
    from demijohn.drill.load import Plan
    from demijohn.drill.report import Report
    from demijohn.drill.run import Setup, View

RATE = 200.0
LOWEST = 20.0
Command = Callable[..., Any]


@click.group("drill")
def drill_command() -> None:
    """Put promises to the test on your own cluster.

    A drill uses kubectl, in its current context unless --context says otherwise, and the address
    of the service, to which it shows the key in DEMIJOHN_KEY, if there is one. It counts failures
    at the client, repeats no request, reads its documents in the database itself, writes a report,
    and ends with 0 if the promise held, 1 if it did not or the drill could not be carried out, 3 if
    the promise was not really put to the test.
    """
    if os.name == "nt":
        fail(
            Exit.FAILED, "`demijohn drill` needs Linux, macOS or WSL (Windows Subsystem for Linux)."
        )


@dataclass(frozen=True, slots=True)
class Options:
    """What the options that all drills share say."""

    url: str | None
    context: str | None
    namespace: str | None
    report: Path
    keep: bool


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the options of the drills under load say."""

    rate: float
    highest: float
    in_cluster: bool
    image: str | None
    timeout: float
    has_hpa: bool = False


def _cluster_options(command: Command) -> Command:
    """The options of every drill, handed to the command as one value."""

    @wraps(command)
    def collect(
        *,
        url: str | None,
        context: str | None,
        namespace: str | None,
        report: Path,
        keep: bool,
        **rest: object,
    ) -> None:
        command(options=Options(url, context, namespace, report, keep), **rest)

    decorated: Command = collect
    for option in (
        click.option("--keep", is_flag=True, help="Leave the drill's documents in the database."),
        click.option(
            "--report",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path("drill-report"),
            show_default=True,
            help="Where the report goes.",
        ),
        click.option("--namespace", metavar="NAME", help="kubectl's namespace."),
        click.option("--context", metavar="NAME", help="kubectl's context."),
        click.option("--url", metavar="URL", help="The service.  [env: DEMIJOHN_URL]"),
    ):
        decorated = option(decorated)
    return decorated


def _load_options(command: Command) -> Command:
    """The options of every drill under load."""
    decorated = command
    for option in (
        click.option("--image", help="The Job's image.  [default: the Deployment's]"),
        click.option(
            "--in-cluster",
            is_flag=True,
            help="Make the load in a Job, at http://flask-service:5000 unless --url is given.",
        ),
        click.option(
            "--rate",
            type=click.FloatRange(min=1),
            default=RATE,
            show_default=True,
            help="Requests a second.",
        ),
    ):
        decorated = option(decorated)
    return decorated


@drill_command.command("autoscale")
@_cluster_options
@_load_options
@click.option(
    "--max-rate",
    type=click.FloatRange(min=1),
    default=2000.0,
    show_default=True,
    help="The most requests a second that the load is raised to.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="Of load; the wait for the least replicas before it does not count.",
)
def autoscale_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    rate: float,
    max_rate: float,
    in_cluster: bool,
    image: str | None,
    timeout: float,
    options: Options,
) -> None:
    """Load until the CPU passes its target and all replicas are there; then back to the least.

    Needs the metrics API. With the autoscaler as shipped it takes about ten minutes.
    """
    load = LoadOptions(rate, max(rate, max_rate), in_cluster, image, timeout, has_hpa=True)
    _carry_out("autoscale", options, lambda scene: _autoscale(scene, load))


@drill_command.command("rollout")
@_cluster_options
@_load_options
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="For each rollout.",
)
def rollout_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    options: Options,
    rate: float,
    times: int,
    in_cluster: bool,
    image: str | None,
    timeout: float,
) -> None:
    """Restart the Deployment under load: no request fails, no document is lost or doubled."""
    load = LoadOptions(rate, rate, in_cluster, image, timeout)
    _carry_out("rollout", options, lambda scene: _rollout(scene, load, times))


@drill_command.command("data")
@_cluster_options
def data_command(*, options: Options) -> None:
    """POST, GET, and the same documents read in the database itself."""
    _carry_out("data", options, _data)


@drill_command.command("load")
@click.option("--url", metavar="URL", help="The service.  [env: DEMIJOHN_URL]")
@click.option("--run", "name", metavar="NAME", help="What marks the documents.  [default: random]")
@click.option("--rate", type=click.FloatRange(min=1), default=RATE, show_default=True)
@click.option("--max-rate", type=click.FloatRange(min=1), help="Where steps up end.")
@click.option("--low-rate", type=click.FloatRange(min=1), default=LOWEST, show_default=True)
@click.option("--streams", is_flag=True, help="Insert 8 MiB of ballast, keep streams open.")
@click.option("--burst", is_flag=True, help="Begin with 1000 requests by 10 clients.")
@click.option("--seconds", type=click.FloatRange(min=1), help="When to end by itself.")
@click.option("--key-pipe", type=click.Path(path_type=Path), hidden=True)
def load_command(  # noqa: PLR0913 (one parameter an option: click's calling convention)
    *,
    url: str | None,
    name: str | None,
    rate: float,
    max_rate: float | None,
    low_rate: float,
    streams: bool,
    burst: bool,
    seconds: float | None,
    key_pipe: Path | None,
) -> None:
    """Make the load of a drill, and nothing else: what the drills start, here or as a Job.

    Prints one line of JSON a second and the result as the last one. SIGUSR1 raises the rate by
    half, SIGUSR2 lowers it to --low-rate, SIGTERM ends it. The documents stay.
    """
    from demijohn.drill import child  # noqa: PLC0415 (not on Windows)
    from demijohn.drill.load import Plan  # noqa: PLC0415

    plan = Plan(
        url=service_url(url),
        run=name or _new_name(),
        rate=rate,
        highest=max(rate, max_rate or rate),
        lowest=low_rate,
        has_streams=streams,
        has_burst=burst,
        seconds=seconds,
        key=service_key(),
    )
    sys.exit(Exit.OK if child.run(plan, sys.stdout.buffer, key_pipe) else Exit.FAILED)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drill is carried out with."""

    name: str
    """The run's."""
    began: datetime
    options: Options
    kubectl: Kubectl
    view: View


def _carry_out(drill: str, options: Options, act: Callable[[Scene], Report]) -> None:
    """Carry a drill out, show its verdict, write its report, and end with its exit code."""
    from demijohn.cli.drill_view import viewing  # noqa: PLC0415 (only where a drill runs)
    from demijohn.drill.errors import DrillError  # noqa: PLC0415
    from demijohn.drill.kubectl import Kubectl  # noqa: PLC0415
    from demijohn.drill.report import check  # noqa: PLC0415
    from demijohn.drill.signals import as_interrupts  # noqa: PLC0415

    kubectl = Kubectl(context=options.context, namespace=options.namespace)
    try:
        check(options.report)
        with as_interrupts(), viewing() as view:
            report = act(Scene(_new_name(), datetime.now(UTC), options, kubectl, view))
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    except DrillError as error:
        fail(Exit.FAILED, f"drill {drill}: {error}")
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
        sys.exit(Exit.INTERRUPTED)
    _show(report)
    _write(drill, report, options.report)
    sys.exit(report.verdict.outcome)


def _autoscale(scene: Scene, load: LoadOptions) -> Report:
    from demijohn.drill.autoscale import drill_autoscale, longest  # noqa: PLC0415
    from demijohn.drill.report import Report  # noqa: PLC0415

    setup, plan = _prepared(scene, load, longest(load.timeout))
    scaled = drill_autoscale(setup, plan, load.timeout)
    return Report(
        drill="autoscale",
        name=scene.name,
        url=plan.url,
        began=scene.began,
        verdict=scaled.verdict,
        run=scaled.run,
        scaling=scaled.scaling,
    )


def _rollout(scene: Scene, load: LoadOptions, times: int) -> Report:
    from demijohn.drill.report import Report  # noqa: PLC0415
    from demijohn.drill.rollout import drill_rollout, longest  # noqa: PLC0415

    setup, plan = _prepared(scene, load, longest(times, load.timeout))
    run, verdict = drill_rollout(setup, plan, times, load.timeout)
    return Report("rollout", scene.name, plan.url, scene.began, verdict, run)


def _data(scene: Scene) -> Report:
    from demijohn.drill.data import Service, drill_data  # noqa: PLC0415
    from demijohn.drill.report import Report  # noqa: PLC0415

    service = Service(service_url(scene.options.url), service_key())
    keeps = scene.options.keep
    compared = drill_data(scene.kubectl, load_here(), service, scene.name, keeps=keeps)
    steps = tuple(compared.steps)
    return Report("data", scene.name, service.url, scene.began, compared.verdict, steps=steps)


def _prepared(scene: Scene, load: LoadOptions, longest: float) -> tuple[Setup, Plan]:
    """What the drills under load work with, and the load that they make for so long at most."""
    from demijohn.drill import job  # noqa: PLC0415
    from demijohn.drill.cluster import read_deployment  # noqa: PLC0415
    from demijohn.drill.generator import SLACK, InCluster  # noqa: PLC0415
    from demijohn.drill.load import Plan  # noqa: PLC0415
    from demijohn.drill.run import Setup  # noqa: PLC0415

    options, kubectl = scene.options, scene.kubectl
    given = job.URL if load.in_cluster and options.url is None else options.url
    url, key, settings = service_url(given), service_key(), load_here()
    deployment = read_deployment(kubectl)
    image = load.image or deployment.image
    inside = InCluster(kubectl, image, longest + SLACK) if load.in_cluster else None
    setup = Setup(kubectl, deployment, settings, scene.view, inside, load.has_hpa, options.keep)
    return setup, Plan(
        url=url,
        run=scene.name,
        rate=load.rate,
        highest=load.highest,
        lowest=min(LOWEST, load.rate),
        has_streams=not load.has_hpa,
        has_burst=load.has_hpa,
        key=key,
    )


def _show(report: Report) -> None:
    """Print the report's tables and what the verdict is."""
    from demijohn.drill.report import WORDS, summary  # noqa: PLC0415

    for line in summary(report):
        say(line)
    verdict = report.verdict
    for each in verdict.broken:
        say(f"Broken: {each}.")
    for each in verdict.missed:
        say(f"Not put to the test: {each}.")
    for note in report.run.notes if report.run is not None else ():
        say(note)
    say(f"The promise {_PHRASES[WORDS[verdict.outcome]]}. ", ends="")


def _write(drill: str, report: Report, directory: Path) -> None:
    """Write the report, once its verdict is known to who looks on, and say where it is."""
    from demijohn.drill.errors import DrillError  # noqa: PLC0415
    from demijohn.drill.report import write  # noqa: PLC0415

    try:
        paths = write(report, directory)
    except DrillError as error:
        click.echo()
        fail(Exit.FAILED, f"drill {drill}: {error}")
    say(f"{paths[0]} has it all.")


_PHRASES = {
    "held": "held",
    "broken": "did not hold",
    "inconclusive": "was not really put to the test",
}


def _new_name() -> str:
    return uuid.uuid4().hex[:12]
