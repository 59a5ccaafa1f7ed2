"""Probes, metrics and the problem pages: what operators and puzzled clients ask for."""

from __future__ import annotations

import html

from demijohn.auth.caller import EVERY, Caller, Level
from demijohn.edge.reply import Reply, json_reply
from demijohn.errors import DatabaseUnavailable, NotFound, Problem, ShuttingDown, problem_classes
from demijohn.store.status import Status
from demijohn.telemetry import metrics as telemetry

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}
code{{background:#8882;padding:.1em .3em;border-radius:.2em}}</style>
{content}
</html>
"""
_PAGE_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("Cache-Control", "max-age=3600"),
)


class Operations:
    """The operators' routes, each a function of what is known now; none asks the database."""

    def __init__(self, status: Status, metrics: telemetry.Metrics) -> None:
        """Take the database's status and the metrics."""
        self._status = status
        self._metrics = metrics
        self.draining = False
        """Set once, when the process has been told to stop."""
        self.ending = False
        """Set once, when the whole service stops: then nobody listens behind this process."""

    def probe(self, path: str, caller: Caller) -> Reply:
        """The answer of `/livez`, `/readyz` or `/metrics`.

        Details and metrics are for who may read every collection. Raises Unauthenticated,
        Forbidden.
        """
        if path == "/livez":
            return json_reply(200, {"status": "live"})
        if path == "/readyz":
            return self._ready(caller)
        caller.check(Level.READ, EVERY)
        caller.check_whole()
        self.sample()
        return Reply(200, (("Content-Type", telemetry.CONTENT_TYPE),), self._metrics.exposition())

    def sample(self) -> None:
        """Set the figures that are looked at, not counted."""
        self._metrics.database_up.set(int(self._status.up))

    def _ready(self, caller: Caller) -> Reply:
        """Ready once the database has answered, and until the process is told to stop.

        A database that is lost later shows in the body, not in the status: with every replica
        unready a Kubernetes Service refuses connections, and nobody would get the promised 503.
        """
        if self.draining:
            raise ShuttingDown("This process has been told to stop.")
        if not self._status.reached:
            raise DatabaseUnavailable("The database has not been reached yet.")
        said = {"status": "ready"}
        if caller.may(Level.READ, EVERY) and caller.rows is None:
            said["database"] = "up" if self._status.up else "down"
        return json_reply(200, said)


def problem_page(code: str) -> Reply:
    """The page that a problem's `type` points at. Raises NotFound."""
    for problem in problem_classes():
        if problem.code == code:
            return _page(problem.title, _describe(problem))
    raise NotFound("There is no problem of that code.")


def problem_index() -> Reply:
    """The list of all problems."""
    rows = "".join(
        f'<li><a href="/problems/{each.code}"><code>{each.code}</code></a> '
        f"{each.status}: {html.escape(each.title)}</li>"
        for each in problem_classes()
    )
    return _page("Problems", f"<h1>Problems</h1><ul>{rows}</ul>")


def _describe(problem: type[Problem]) -> str:
    retry = (
        f"<p>The answer has <code>Retry-After: {problem.retry_after}</code>.</p>"
        if problem.retry_after is not None
        else ""
    )
    parts = html.escape(problem.meaning).split("`")
    meaning = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return (
        f"<h1>{html.escape(problem.title)}</h1><p>Code <code>{problem.code}</code>, status "
        f'{problem.status}.</p><p>{meaning}</p>{retry}<p><a href="/problems">All problems</a></p>'
    )


def _page(title: str, content: str) -> Reply:
    body = _PAGE.format(title=html.escape(title), content=content)
    return Reply(200, _PAGE_HEADERS, body.encode())
