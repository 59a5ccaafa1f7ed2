"""A cluster that is a script called `kubectl`, which answers from files; and drills that use it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.client import Ended
from tests.support.drills import INCONCLUSIVE
from tests.support.processes import wait_until
from tests.support.service import clean_environ

KUBECTL = r'''
import json, os, pathlib, signal, subprocess, sys, time

here = pathlib.Path(__file__).parent
words = [each for each in sys.argv[1:] if not each.startswith("--request-timeout")]


def fail(message):
    sys.exit(message)


def give(name, otherwise):
    path = here / f"{name}.json"
    print(path.read_text()) if path.exists() else fail(otherwise)


def pods(*kinds):
    items = []
    for name, ending in kinds:
        metadata = {"name": name, "uid": name, **({"deletionTimestamp": "now"} if ending else {})}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        items.append({"metadata": metadata, "status": status})
    scratch = here / "scratch"
    scratch.write_text(json.dumps({"items": items}))
    scratch.replace(here / "pods.json")


def autoscaler():
    """It goes up and down by how often it has been asked."""
    seen = here / "asked"
    asked = int(seen.read_text()) + 1 if seen.exists() else 1
    seen.write_text(str(asked))
    size, cpu = (5, 90) if 16 < asked < 24 else (2, 20)
    pods(*((f"p{at}", False) for at in range(size)))
    value = json.loads((here / "hpa.json").read_text())
    value["status"]["currentReplicas"] = size
    current = {"name": "cpu", "current": {"averageUtilization": cpu}}
    value["status"]["currentMetrics"] = [{"type": "Resource", "resource": current}]
    print(json.dumps(value))
    sizes = [5] if asked > 16 else []
    sizes += [2] if asked >= 24 else []
    events = [
        {"metadata": {"uid": str(at)}, "message": f"New size: {size}; reason: x",
         "lastTimestamp": str(at)}
        for at, size in enumerate(sizes)
    ]
    (here / "events.json").write_text(json.dumps({"items": events}))


def start_job():
    """The Job's container as a process here, with a /tmp of its own and no setting of anybody's."""
    job = json.load(sys.stdin)
    (here / "job.json").write_text(json.dumps(job))
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    environ = {name: value for name, value in os.environ.items() if "DEMIJOHN" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", *map(own, command)],
        cwd=here, env=environ, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=(here / "log").open("wb"), stderr=subprocess.STDOUT,
    )
    (here / "pid").write_text(str(process.pid))


def own(word):
    """Where a path of the pod lies here."""
    return word.replace("/tmp/", f"{here}/")


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def follow():
    with (here / "log").open() as log:
        while True:
            is_over = not runs((here / "pid").read_text())
            print(log.read(), end="", flush=True)
            if is_over:
                return
            time.sleep(0.1)


match words:
    case ["create", "-f", "-"]:
        start_job()
    case ["get", "pods", "-l", selector, *_] if selector.startswith("job-name="):
        pod = {"metadata": {"name": "load"}, "status": {"phase": "Running"}}
        print(json.dumps({"items": [pod]}))
    case ["logs", "--follow", "load"]:
        follow()
    case ["exec", "-i", "load", "--", "sh", "-c", script]:
        sys.exit(subprocess.run(["sh", "-c", own(script)]).returncode)
    case ["exec", "load", "--", "sh", "-c", script]:
        number = script.split()[1].removeprefix("-")
        os.kill(int((here / "pid").read_text()), getattr(signal, f"SIG{number}"))
    case ["delete", "job", name, *_]:
        (here / "deleted").write_text(name)
        if runs(pid := int((here / "pid").read_text())):
            os.kill(pid, signal.SIGKILL)
        time.sleep(float(os.environ.get("DELETING_TAKES", 0)))
    case ["get", "deployment", name, *_]:
        give("deployment", f'Error from server (NotFound): deployments.apps "{name}" not found')
    case ["get", "pods", *_]:
        give("pods", "Unable to connect to the server: connection refused")
    case ["get", "pods.v1beta1.metrics.k8s.io", *_]:
        give("metrics", 'error: the server doesn\'t have a resource type "pods"')
    case ["get", "hpa.v2.autoscaling", name, *_]:
        if not (here / "hpa.json").exists():
            fail(f'Error from server (NotFound): hpa "{name}" not found')
        autoscaler()
    case ["get", "events", *_]:
        give("events", "no events")
    case ["get", "secret", name, *_]:
        give("secret", f'Error from server (NotFound): secrets "{name}" not found')
    case ["rollout", "restart", _]:
        pods(("old-0", True), ("old-1", True), ("new-0", False), ("new-1", False))
        subprocess.run(os.environ["ON_RESTART"], shell=True, check=True)
    case ["rollout", "status", *_]:
        time.sleep(3)
        pods(("new-0", False), ("new-1", False))
    case _:
        fail(f"error: unknown: {words}")
'''

DEPLOYMENT = {
    "metadata": {"name": "flask-deployment"},
    "spec": {
        "selector": {"matchLabels": {"app": "flask-app"}},
        "template": {"spec": {"containers": [{"name": "flask-app", "image": "app:1"}]}},
    },
}
CPU = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
HPA = {
    "spec": {
        "minReplicas": 2,
        "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": CPU}],
    },
    "status": {},
}
_TRIES = 3
POD = {"metadata": {"name": "old-0", "uid": "old-0"}, "status": {"conditions": []}}


class Cluster:
    """What the script answers from, and drills that use it.

    `settings` are environment variables of every drill, and `on_restart` is a shell's line that
    runs when the Deployment is restarted.
    """

    def __init__(self, directory: Path) -> None:
        """Take a directory, where drills run and their reports go."""
        self.directory = directory
        self.settings: dict[str, str] = {}
        self.on_restart = "true"
        self._programs = directory / "programs"
        self._programs.mkdir()
        self._objects: dict[str, Any] = {}
        script = self._programs / "kubectl"
        script.write_text(f"#!{sys.executable}\n{KUBECTL}", encoding="utf-8")
        script.chmod(0o755)

    def has(self, **objects: Any) -> None:
        """Put objects into the cluster."""
        self._objects |= objects
        for name, value in objects.items():
            (self._programs / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")

    def is_at(self, size: int) -> None:
        """Have its autoscaler begin at 2 or at 5 replicas; it asks for the other by and by."""
        (self._programs / "asked").write_text("17" if size == 5 else "0", encoding="utf-8")

    def drill(self, *words: str, uri: str = "", path: str | None = None) -> Ended:
        """Run `demijohn drill`."""
        done = subprocess.run(
            [sys.executable, "-m", "demijohn", "drill", *words],
            cwd=self.directory,
            env=self._environ(uri, {"PATH": path} if path else {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def conclusive_drill(self, *words: str, uri: str) -> Ended:
        """Run `demijohn drill`, again where it says that it proves nothing.

        So it does where this machine stands still for seconds: its generator falls behind.
        """
        ended = self.drill(*words, uri=uri)
        for _ in range(_TRIES - 1):
            if ended.code != INCONCLUSIVE:
                break
            self._begin_anew()
            ended = self.drill(*words, uri=uri)
        return ended

    def _begin_anew(self) -> None:
        (self._programs / "asked").unlink(missing_ok=True)
        self.has(**self._objects)
        shutil.rmtree(self.directory / "drill-report")

    def stopped(self, number: signal.Signals, *words: str, uri: str, twice: bool = False) -> Ended:
        """Run it until its first plain line is there, and send it a signal.

        With `twice` send another, when its Job is being deleted.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "demijohn", "drill", *words],
            cwd=self.directory,
            env=self._environ(uri, {"PYTHONUNBUFFERED": "1"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(number)
        if twice:
            wait_until((self._programs / "deleted").exists, "it deletes its Job")
            process.send_signal(number)
        out, err = process.communicate(timeout=100)
        return Ended(process.returncode, first + out, err)

    def report(self) -> dict[str, Any]:
        """The report for programs."""
        text = (self.directory / "drill-report" / "report.json").read_text(encoding="utf-8")
        value: dict[str, Any] = json.loads(text)
        return value

    def seen(self) -> str:
        """All that drills have left: what the cluster was given, the load's log, the report."""
        folders = (self._programs, self.directory / "drill-report")
        files = [each for folder in folders for each in folder.iterdir()]
        return "".join(each.read_text(encoding="utf-8") for each in files)

    def _environ(self, uri: str, more: dict[str, str]) -> dict[str, str]:
        path = f"{self._programs}:{os.environ['PATH']}"
        ours = {"PATH": path, "DEMIJOHN_DRILL_URI": uri, "ON_RESTART": self.on_restart}
        return clean_environ({**ours, **self.settings, **more})
