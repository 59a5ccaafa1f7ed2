"""What the cluster says of the Deployment, its pods and its autoscaler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from demijohn.drill.behavior import scale_down_seconds
from demijohn.drill.errors import DrillError
from demijohn.drill.kubectl import Kubectl, KubectlError

DEPLOYMENT = "flask-deployment"
CONTAINER = "flask-app"
HPA = "flask-hpa"
HPA_KIND = "hpa.v2.autoscaling"
MANAGEMENT_PORT = 9090
_OVER = frozenset({"Failed", "Succeeded"})
_METRICS_TIMEOUT = 2.0
"""Seconds for a pod's metrics: what they say later is not of the moment when it was told to end."""
_STREAMS = re.compile(rb"^demijohn_streams(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)
_NEW_SIZE = re.compile(r"New size: (\d+)")
HOW_TO_GET_METRICS = (
    "The autoscaler has nothing to go by without the metrics API. Minikube: `minikube addons "
    "enable metrics-server`. kind and others: `kubectl apply -f https://github.com/"
    "kubernetes-sigs/metrics-server/releases/latest/download/components.yaml` (on kind with the "
    "argument --kubelet-insecure-tls added to its container). Then wait a minute."
)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod, as far as a drill cares."""

    name: str
    uid: str
    is_ready: bool
    is_ending: bool
    """Whether it has been told to end."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is rolled out and scaled."""

    name: str
    selector: str
    image: str


@dataclass(frozen=True, slots=True)
class Hpa:
    """The autoscaler's limits and what it sees now."""

    least: int
    most: int
    target: int
    """Percent of the CPU request."""
    replicas: int
    utilization: int | None
    """The same, as measured; None while it is unknown."""
    scale_down: float = 0.0
    """Seconds that it needs to come from the most to the least."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """One event of the autoscaler: it asked for a new size."""

    uid: str
    count: int
    when: str
    """RFC 3339, which sorts as text."""
    size: int


def read_deployment(kubectl: Kubectl) -> Deployment:
    """The guide's Deployment. Raises DrillError where it is not there."""
    try:
        return parse_deployment(kubectl.get("deployment", DEPLOYMENT))
    except KubectlError as error:
        if error.is_not_found:
            raise DrillError(
                f"There is no Deployment {DEPLOYMENT} in this context and namespace. "
                "The guide's part 2 makes it; --context and --namespace look elsewhere."
            ) from None
        raise


def parse_deployment(value: Mapping[str, Any]) -> Deployment:
    """From its JSON."""
    labels = value["spec"]["selector"]["matchLabels"]
    containers = value["spec"]["template"]["spec"]["containers"]
    ours = next((each for each in containers if each["name"] == CONTAINER), containers[0])
    return Deployment(
        name=value["metadata"]["name"],
        selector=",".join(f"{name}={label}" for name, label in labels.items()),
        image=ours["image"],
    )


def read_pods(kubectl: Kubectl, selector: str) -> list[Pod]:
    """The pods that the selector names, ending ones too."""
    return parse_pods(kubectl.get("pods", "-l", selector)["items"])


def parse_pods(items: Iterable[Mapping[str, Any]]) -> list[Pod]:
    """From their JSON; what is left of pods that are over (an eviction leaves some) is no pod."""
    return [parse_pod(each) for each in items if each.get("status", {}).get("phase") not in _OVER]


def parse_pod(value: Mapping[str, Any]) -> Pod:
    """From its JSON."""
    conditions = value.get("status", {}).get("conditions", [])
    return Pod(
        name=value["metadata"]["name"],
        uid=value["metadata"]["uid"],
        is_ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
        is_ending="deletionTimestamp" in value["metadata"],
    )


def read_hpa(kubectl: Kubectl) -> Hpa:
    """The guide's autoscaler. Raises DrillError where it is not there."""
    try:
        return parse_hpa(kubectl.get(HPA_KIND, HPA))
    except KubectlError as error:
        if error.is_not_found:
            raise DrillError(
                f"There is no HorizontalPodAutoscaler {HPA} in this context and namespace: "
                "`kubectl apply -f deploy/base/hpa.yaml` makes it."
            ) from None
        raise


def parse_hpa(value: Mapping[str, Any]) -> Hpa:
    """From its JSON (autoscaling/v2). Raises DrillError where it does not go by CPU."""
    spec, status = value["spec"], value.get("status", {})
    targets = [each["resource"]["target"] for each in spec["metrics"] if _is_cpu(each)]
    if not targets or "averageUtilization" not in targets[0]:
        raise DrillError(f"{HPA} does not go by the CPU's utilization: nothing to drill.")
    seen = [
        each["resource"]["current"] for each in status.get("currentMetrics") or [] if _is_cpu(each)
    ]
    least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
    return Hpa(
        least=least,
        most=most,
        target=targets[0]["averageUtilization"],
        replicas=status.get("currentReplicas") or 0,
        utilization=seen[0].get("averageUtilization") if seen else None,
        scale_down=scale_down_seconds(spec.get("behavior") or {}, most, least),
    )


def _is_cpu(metric: Mapping[str, Any]) -> bool:
    return metric.get("type") == "Resource" and metric["resource"]["name"] == "cpu"


def measures(kubectl: Kubectl, selector: str) -> bool:
    """Whether the metrics API has figures of these pods yet.

    Raises DrillError, which says what to do, where there is no metrics API.
    """
    try:
        found = kubectl.get("pods.v1beta1.metrics.k8s.io", "-l", selector)
    except KubectlError as error:
        if is_no_such_api(error):
            raise DrillError(f"No metrics API ({error.message}). {HOW_TO_GET_METRICS}") from None
        raise
    return bool(found.get("items"))


def is_no_such_api(error: KubectlError) -> bool:
    """Whether the cluster has no such API at all, in contrast to one that is out of order."""
    return error.is_not_found or "doesn't have a resource type" in error.message


def read_rescales(kubectl: Kubectl) -> list[Rescale]:
    """The autoscaler's events that the cluster still remembers, oldest first."""
    fields = f"involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={HPA}"
    found = kubectl.get("events", "--field-selector", f"{fields},reason=SuccessfulRescale")
    return parse_rescales(found["items"])


def parse_rescales(events: Iterable[Mapping[str, Any]]) -> list[Rescale]:
    """From the events' JSON; those that name no size are left out."""
    rescales = [
        Rescale(
            uid=each["metadata"]["uid"],
            count=each.get("count") or 1,
            when=each.get("lastTimestamp") or each.get("eventTime") or "",
            size=int(size[1]),
        )
        for each in events
        if (size := _NEW_SIZE.search(each.get("message", "")))
    ]
    return sorted(rescales, key=lambda each: each.when)


def since(before: Iterable[Rescale], after: Iterable[Rescale]) -> list[Rescale]:
    """The events that are new or have happened again; by their identity, not by clocks."""
    known = {(each.uid, each.count) for each in before}
    return [each for each in after if (each.uid, each.count) not in known]


def streams_on(kubectl: Kubectl, pod: str) -> int | None:
    """How many streamed answers a pod has under way by its own metrics; None if it can't say."""
    try:
        path = _metrics_path(kubectl, pod)
        return parse_streams(kubectl.run("get", "--raw", path, timeout=_METRICS_TIMEOUT))
    except KubectlError:
        return None


def parse_streams(exposition: bytes) -> int | None:
    """From Prometheus' text format."""
    values = [float(each) for each in _STREAMS.findall(exposition)]
    return int(sum(values)) if values else None


def _metrics_path(kubectl: Kubectl, pod: str) -> str:
    namespace = kubectl.namespace or current_namespace(kubectl)
    return f"/api/v1/namespaces/{namespace}/pods/{pod}:{MANAGEMENT_PORT}/proxy/metrics"


def current_namespace(kubectl: Kubectl) -> str:
    """The namespace of the context that is in force."""
    words = ("config", "view", "--minify", "-o", "jsonpath={..namespace}")
    said = kubectl.run(*words, timeout=_METRICS_TIMEOUT)
    return said.decode().strip() or "default"
