"""A real Kubernetes for tests: the current kubectl context, in a namespace of the tests' own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import psutil
import yaml

from demijohn import __version__
from tests.support.processes import kill_all, wait_until

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "tests" / "cluster" / "overlay"
IMAGE = f"flask-mongodb-app:{__version__}"
APP = "app=flask-app"
DATABASE = "app=mongodb"
NODE_PORT = 30500
LAST_OPTION = "authSource=admin"
AT_ONCE = ("--grace-period=0", "--force", "--ignore-not-found")
"""Options of `kubectl delete` for pods whose end nobody looks at."""
SLOW = 180.0
"""Seconds for what takes pods, volumes and probes."""


class RefusedError(AssertionError):
    """kubectl said no; the text is what it said."""


class Cluster:
    """What tests ask of the cluster, through kubectl."""

    def __init__(self, namespace: str) -> None:
        """Take the namespace that everything happens in."""
        self.namespace = namespace
        self.node = os.environ.get("CLUSTER_NODE", "127.0.0.1")
        self.url = f"http://{self.node}:{NODE_PORT}"

    def run(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the namespace; what it printed. Raises RefusedError where it fails."""
        done = subprocess.run(
            ["kubectl", "--namespace", self.namespace, *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=SLOW + 60,
            check=False,
        )
        if done.returncode:
            raise RefusedError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """What `kubectl get` says, parsed."""
        return json.loads(self.run("get", *arguments, "-o", "json"))

    def created(self) -> Self:
        """Make the namespace anew, at the Pod Security level `restricted`."""
        self.run("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=true")
        self.run("create", "namespace", self.namespace)
        level = "pod-security.kubernetes.io/enforce=restricted"
        self.run("label", "namespace", self.namespace, level)
        return self

    def deleted(self) -> None:
        """Delete the namespace; return once nothing runs in it and its node port is free.

        Nobody waits for its pods' grace, nor for the cluster to clear the rest away.
        """
        self.run("delete", "services,deployments,statefulsets", "--all", "--cascade=orphan")
        self.run("delete", "pods", "--all", "--grace-period=0", "--force")
        self.run("delete", "namespace", self.namespace, "--wait=false")

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects made by a test."""
        self.run("apply", "-f", "-", given=yaml.safe_dump_all(objects))

    def run_in_shell(self, script: str) -> None:
        """Run a line of the guide, with `kubectl` meaning this namespace."""
        named = script.replace("kubectl ", f"kubectl --namespace {self.namespace} ")
        subprocess.run(["sh", "-ec", named], check=True, capture_output=True, timeout=SLOW)

    def create_secret(self, verb: str = "create") -> None:
        """Make the passwords as the guide does: the command into `kubectl create`."""
        made = demijohn("secrets", "create")
        # The stand-in alone: its server sorts its records of retryable writes at each further one.
        self.run(
            verb, "-f", "-", given=made.replace(LAST_OPTION, f"{LAST_OPTION}&retryWrites=false")
        )

    def deploy(self, overlay: Path = OVERLAY) -> None:
        """Apply an overlay and wait until all of it is ready."""
        self.run("apply", "-k", str(overlay))
        self.settle()

    def settle(self) -> None:
        """Wait until the database and every replica of the service are ready and none is going."""
        self.rolled_out()
        wait_until(lambda: not self.leaving(APP), "old pods are gone", SLOW)

    def rolled_out(self) -> None:
        """Wait until the database and every replica of the service are ready."""
        for name in ("statefulset/mongodb", "deployment/flask-deployment"):
            try:
                self.run("rollout", "status", name, f"--timeout={SLOW:.0f}s")
            except RefusedError as error:
                raise RefusedError(f"{error}\n{self.situation()}") from error

    def situation(self) -> str:
        """What an operator would look at: the pods, what befell them, and what they say."""
        asked = (
            ("get", "pods", "-o", "wide"),
            ("get", "events", "--sort-by=.metadata.creationTimestamp"),
            ("logs", "-l", APP, "--prefix", "--tail=15"),
            ("logs", "-l", DATABASE, "--prefix", "--tail=15"),
            ("top", "pods"),
        )
        return "\n".join(self._tried(*each) for each in asked)

    def _tried(self, *arguments: str) -> str:
        try:
            return self.run(*arguments)
        except RefusedError as error:
            return str(error)

    def pods(self, label: str) -> list[dict[str, Any]]:
        """The pods with the label, those that are going away too."""
        items: list[dict[str, Any]] = self.get("pods", "-l", label)["items"]
        return items

    def end_leaving(self, label: str) -> None:
        """End the pods at once that have been told to stop, without the rest of their grace."""
        names = [f"pod/{pod['metadata']['name']}" for pod in self.leaving(label)]
        if names:
            self.run("delete", *names, *AT_ONCE)

    def leaving(self, label: str) -> list[dict[str, Any]]:
        """The pods with the label that have been told to stop."""
        return [pod for pod in self.pods(label) if "deletionTimestamp" in pod["metadata"]]

    def ready(self, label: str) -> list[dict[str, Any]]:
        """The pods with the label that are ready and stay."""
        return [
            pod
            for pod in self.pods(label)
            if "deletionTimestamp" not in pod["metadata"] and _is_ready(pod)
        ]

    def restarts(self, label: str) -> int:
        """How often containers of the pods with the label were started again."""
        return sum(
            status["restartCount"]
            for pod in self.pods(label)
            for status in pod["status"].get("containerStatuses", [])
        )

    def kill(self, pod: Mapping[str, Any]) -> None:
        """SIGKILL to every process of a pod: those of this machine, where the pod runs on it.

        Elsewhere the nearest that kubectl has: a deletion without grace.
        """
        uid = pod["metadata"]["uid"]
        found = [each for each in psutil.process_iter() if uid in _control_groups(each.pid)]
        if not found:
            name = f"pod/{pod['metadata']['name']}"
            self.run("delete", name, "--grace-period=0", "--force")
        kill_all(found)

    def recreate(self, *, changed: str = "[]", replicas: int = 2) -> None:
        """Replace every pod of the service at one time, not one after another as a rollout does.

        `changed` is a JSON patch (RFC 6902) of the Deployment. Returns when the new pods are ready.
        """
        name = "deployment/flask-deployment"
        self.run("scale", name, "--replicas=0")
        self.hasten_to_replicas(0)
        self.run("patch", name, "--type=json", "-p", changed)
        self.run("scale", name, f"--replicas={replicas}")
        self.settle()

    def scale_limits(self, least: int, most: int) -> None:
        """Have the autoscaler keep the number of replicas between these."""
        patch = {"spec": {"minReplicas": least, "maxReplicas": most}}
        self.run("patch", "hpa", "flask-hpa", "--type=merge", "-p", json.dumps(patch))

    def wait_for_replicas(self, count: int) -> None:
        """Wait until there are exactly so many ready pods of the service and none is going."""
        wait_until(lambda: self._has_replicas(count), f"{count} replicas", SLOW)

    def hasten_to_replicas(self, count: int) -> None:
        """The same for who does not look at how the others go: they get no time for it."""

        def has_come() -> bool:
            self.end_leaving(APP)
            return self._has_replicas(count)

        wait_until(has_come, f"{count} replicas", SLOW)

    def forget_connections(self) -> None:
        """Have the lab's node forget where connections to the node port led.

        One whose client closes it when its pod has gone is never closed properly. For minutes the
        node goes on sending all that comes from its port to that pod: a new connection that is
        given the port fails with "No route to host", however well the service is.
        """
        if os.environ.get("CLUSTER_LAB"):
            words = ["conntrack", "-D", "-p", "tcp", "--orig-port-dst", str(NODE_PORT)]
            # It fails where there is nothing to forget.
            subprocess.run(words, check=False, capture_output=True, timeout=SLOW)

    def _has_replicas(self, count: int) -> bool:
        return len(self.ready(APP)) == count and not self.leaving(APP)


def demijohn(*arguments: str) -> str:
    """Run a command of ours; what it printed."""
    command = [str(ROOT / ".venv" / "bin" / "demijohn"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SLOW, check=False)
    if done.returncode:
        raise RefusedError(f"demijohn {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def restricted_pod(name: str, command: Sequence[str], **labels: str) -> dict[str, Any]:
    """A pod of our image that the level `restricted` lets in, and that runs one command."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container = {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": security,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def _control_groups(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
    except OSError:
        return ""


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
