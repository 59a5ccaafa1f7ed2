"""The Job that makes the load from inside the cluster."""

from __future__ import annotations

import time
from typing import Any

import orjson

from demijohn.drill.errors import DrillError
from demijohn.drill.kubectl import Kubectl

URL = "http://flask-service:5000"
LABEL = "demijohn-drill"
PATIENCE = 120.0
"""Seconds for the pod to start; an image may have to be fetched."""
_GRACE = 30
_GONE_WITHIN = _GRACE + 30.0
"""Seconds for the Job to be gone: its pod's grace period, and what the cluster takes."""
KEY_PIPE = "/tmp/demijohn-key"  # noqa: S108 (in the pod)
"""Where the load waits for its key: a named pipe, so that no disk and no object ever has it."""
_HOPELESS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
     "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)  # fmt: skip


def manifest(name: str, image: str, arguments: list[str], deadline: float) -> dict[str, Any]:
    """A Job that passes the Pod Security level `restricted`.

    The arguments are those of `demijohn`; after `deadline` seconds the cluster ends the pod,
    should nobody else.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app": LABEL}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(deadline),
            "ttlSecondsAfterFinished": 600,
            "template": {
                "metadata": {"labels": {"app": LABEL}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": _GRACE,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(image, arguments)],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def _container(image: str, arguments: list[str]) -> dict[str, Any]:
    return {
        "name": "load",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["demijohn", *arguments],
        # Requests low, for a small cluster; a limit that a thousand requests a second fit below.
        "resources": {
            "requests": {"cpu": "200m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 (in the pod)
    }


def create(kubectl: Kubectl, job: dict[str, Any], patience: float = PATIENCE) -> str:
    """Create the Job; the name of its pod once that runs. Raises DrillError."""
    name = job["metadata"]["name"]
    kubectl.run("create", "-f", "-", feed=orjson.dumps(job))
    deadline = time.monotonic() + patience
    while True:
        pods = kubectl.get("pods", "-l", f"job-name={name}")["items"]
        if pods and _has_started(pods[0]):
            return str(pods[0]["metadata"]["name"])
        if time.monotonic() > deadline:
            raise DrillError(f"The Job's pod does not start: {_obstacle(kubectl, name, pods)}")
        time.sleep(0.5)


def _obstacle(kubectl: Kubectl, name: str, pods: list[dict[str, Any]]) -> str:
    """Why there is no pod, or why it waits: said here, since the Job is deleted at the end."""
    conditions = [each for pod in pods for each in pod.get("status", {}).get("conditions") or []]
    said = [str(each["message"]) for each in conditions if each.get("message")]
    if not said:
        about = f"involvedObject.name={name},type=Warning"
        events = kubectl.get("events", "--field-selector", about)["items"]
        said = [str(each.get("message")) for each in events]
    return said[-1] if said else "the cluster does not say why."


def _has_started(pod: dict[str, Any]) -> bool:
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            raise DrillError(
                f"The Job's pod can't start: {waiting['reason']}: {waiting.get('message', '')}"
            )
    return status.get("phase") in ("Running", "Succeeded", "Failed")


def hand_over(kubectl: Kubectl, pod: str, key: str) -> None:
    """Write the key into the pipe that the load has made. Raises KubectlError."""
    script = f"until [ -p {KEY_PIPE} ]; do sleep 0.1; done; cat > {KEY_PIPE}"
    kubectl.run("exec", "-i", pod, "--", "sh", "-c", script, feed=f"{key}\n".encode())


def delete(kubectl: Kubectl, name: str) -> None:
    """Delete the Job once its pod has ended, and so its load; nothing where it is gone already.

    Raises KubectlError where it does not come to that.
    """
    words = ("--ignore-not-found", "--cascade=foreground", f"--timeout={_GONE_WITHIN:.0f}s")
    kubectl.run("delete", "job", name, *words, timeout=_GONE_WITHIN + 5)
