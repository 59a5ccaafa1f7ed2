"""docs/reference/cluster.md and the files of deploy/ say the same, table by table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from demijohn.cli.secrets import secret
from tests.support.manifests import (
    DEPLOY,
    LOCAL,
    ROOT,
    container,
    containers,
    image_environ,
    object_files,
    one,
    pod_spec,
    read,
    workloads,
)


def _table(title: str) -> set[str]:
    """The rows of the table below a heading, its head left out."""
    page = (ROOT / "docs" / "reference" / "cluster.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert rows, title
    return set(rows[2:])


def test_every_object_is_listed() -> None:
    """Each with its kind, its name and its file, and none that is gone."""
    assert _table("Objects") == {
        f"| {each['kind']} | `{each['metadata']['name']}` | `{path.relative_to(DEPLOY)}` |"
        for path in object_files()
        for each in read(path)
    }


def _amounts(resources: dict[str, str]) -> str:
    return f"{resources['memory']}, {resources.get('cpu', '–')}"


def test_every_container_is_listed() -> None:
    """With its image and what it may use."""
    assert _table("Containers") == {
        f"| `{workload['metadata']['name']}` | `{each['name']}` | `{each['image']}` "
        f"| {_amounts(each['resources']['requests'])} | {_amounts(each['resources']['limits'])} |"
        for workload in workloads()
        for each in containers(pod_spec(workload))
    }


def test_every_port_is_listed() -> None:
    """By container, name and number; the node port beside it."""
    rows = _table("Ports")
    (node_port,) = (port["nodePort"] for port in one("Service", "flask-service")["spec"]["ports"])

    assert {row.rpartition(" | ")[0] for row in rows} == {
        f"| `{each['name']}` | `{port['name']}` | {port['containerPort']}"
        for workload in workloads()
        for each in containers(pod_spec(workload))
        for port in each.get("ports", [])
    }
    assert any(f"port {node_port} of any node" in row for row in rows)


def test_every_key_of_the_secret_is_listed() -> None:
    """And none that `demijohn secrets create` does not make."""
    made = secret("mongodb:27017", "rs0")["stringData"]

    assert isinstance(made, dict)
    assert {row.split("`")[1] for row in _table("The Secret")} == set(made)


def test_every_setting_is_listed() -> None:
    """What the service is told, and by what."""
    (given,) = read(LOCAL / "flask-settings.yaml")
    image = {name: value for name, value in image_environ().items() if name.startswith("DEMI")}

    assert _table("Settings") == {
        "| `MONGODB_URI` | – | the Secret, key `uri` |",
        *(f"| `{name}` | `{value}` | the image |" for name, value in image.items()),
        *(
            f"| `{name}` | `{value}` | the ConfigMap of the local overlay |"
            for name, value in given["data"].items()
        ),
    }


def _asked(probe: dict[str, Any]) -> str:
    if "httpGet" in probe:
        return f"`{probe['httpGet']['path']}`"
    if "exec" in probe:
        return f"the file `{probe['exec']['command'][-1]}`"
    assert "tcpSocket" in probe
    return "the port"


def _probes() -> Iterator[str]:
    for each in (found for workload in workloads() for found in containers(pod_spec(workload))):
        for kind in ("startup", "readiness", "liveness"):
            if probe := each.get(f"{kind}Probe"):
                # What is not said is Kubernetes' own: API reference, "Probe".
                failures, seconds = probe.get("failureThreshold", 3), probe.get("timeoutSeconds", 1)
                yield (
                    f"| `{each['name']}` | {kind} | {_asked(probe)} | {probe['periodSeconds']} s "
                    f"| {failures} in a row, {seconds} s each |"
                )


def test_every_probe_is_listed() -> None:
    """With what it asks, how often, and when it is taken as failed."""
    assert _table("Probes") == set(_probes())


def test_the_numbers_are_the_files_own() -> None:
    """Scaling, stopping and evicting, as the manifests have it."""
    hpa = one("HorizontalPodAutoscaler", "flask-hpa")["spec"]
    app, database = one("Deployment", "flask-deployment"), one("StatefulSet", "mongodb")
    up, down = hpa["behavior"]["scaleUp"], hpa["behavior"]["scaleDown"]
    update = app["spec"]["strategy"]["rollingUpdate"]
    target = hpa["metrics"][0]["resource"]["target"]["averageUtilization"]
    requested = int(container(app, "flask-app")["resources"]["requests"]["cpu"].removesuffix("m"))
    per_pod = requested * target // 100
    graces = [pod_spec(each)["terminationGracePeriodSeconds"] for each in (app, database)]
    rows = _table("Scaling, stopping, evicting")

    beginnings = {
        f"| replicas | {hpa['minReplicas']} to {hpa['maxReplicas']} |",
        f"| target | {target} % of the CPU requested | {per_pod} millicores of {requested},",
        f"| up | {_policy(up)}, at once |",
        f"| down | {_policy(down)}, after {down['stabilizationWindowSeconds']} s |",
        f"| rollout | {update['maxSurge']} more, {update['maxUnavailable']} less |",
        f"| grace of the service | {graces[0]} s |",
        f"| grace of the database | {graces[1]} s |",
        f"| evictions | {one('PodDisruptionBudget', 'flask-pdb')['spec']['maxUnavailable']} ",
    }
    assert len(rows) == len(beginnings)
    assert [each for each in beginnings if not any(row.startswith(each) for row in rows)] == []


def _policy(behaviour: dict[str, Any]) -> str:
    (policy,) = behaviour["policies"]
    pods = f"{policy['value']} pod{'s' if policy['value'] > 1 else ''}"
    return f"{pods} in {policy['periodSeconds']} s"
