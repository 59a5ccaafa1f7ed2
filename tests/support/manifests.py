"""The manifests as they lie in deploy/, read strictly; and what the Dockerfile says beside them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "base"
LOCAL = DEPLOY / "overlays" / "local"
POLICIES = DEPLOY / "components" / "network-policy" / "network-policy.yaml"
Manifest = dict[str, Any]


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a name may stand once in a mapping; the parser alone keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the parser's own signature
        names = [name.value for name, _ in node.value]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[0]} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def parse(text: str) -> list[Manifest]:
    """The documents of a text. Raises YAMLError also for a name that stands twice."""
    return [each for each in yaml.load_all(text, Loader=_StrictLoader) if each is not None]


def read(path: Path) -> list[Manifest]:
    """The documents of a file."""
    return parse(path.read_text(encoding="utf-8"))


def kustomizations() -> list[Path]:
    """Every kustomization of deploy/."""
    return sorted(DEPLOY.rglob("kustomization.yaml"))


def object_files() -> list[Path]:
    """Every file of deploy/ that holds objects for the API server."""
    return sorted(set(DEPLOY.rglob("*.yaml")) - set(kustomizations()))


def objects() -> list[Manifest]:
    """Every object of deploy/."""
    return [each for path in object_files() for each in read(path)]


def of_kind(kind: str) -> list[Manifest]:
    """Every object of that kind, at least one."""
    found = [each for each in objects() if each["kind"] == kind]
    assert found, f"there is no {kind} in {DEPLOY}"
    return found


def one(kind: str, name: str) -> Manifest:
    """The one object of that kind and name."""
    (found,) = (each for each in of_kind(kind) if each["metadata"]["name"] == name)
    return found


def workloads() -> list[Manifest]:
    """Every object that makes pods from a template."""
    return [each for each in objects() if "template" in each.get("spec", {})]


def pod_spec(workload: Mapping[str, Any]) -> dict[str, Any]:
    """What the pods of a workload are."""
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def pod_labels(workload: Mapping[str, Any]) -> dict[str, str]:
    """The labels of the pods of a workload."""
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of a pod, those that run before the others and beside them too."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def container(workload: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The container of that name."""
    (found,) = (each for each in containers(pod_spec(workload)) if each["name"] == name)
    return found


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector takes an object with these labels; an empty one takes all.

    Kubernetes API reference, "LabelSelector": all requirements have to hold.
    """
    wanted = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        _holds(each, labels) for each in selector.get("matchExpressions", [])
    )


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values", [])
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":  # which holds where there is no such label, too
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    raise ValueError(f"no operator of a label selector: {requirement['operator']}")


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar below a value, as text, each with the path that leads to it."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from texts(each, f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from texts(each, f"{path}[{number}]")
    else:
        yield path, str(value)


def dockerfile() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each as its name and the rest, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    return [(line.split()[0], line.split(None, 1)[1].strip()) for line in text.splitlines() if line]


def image_environ() -> dict[str, str]:
    """What the image's last stage sets in the environment."""
    pairs = [shlex.split(rest) for name, rest in dockerfile() if name == "ENV"]
    return dict(each.split("=", 1) for line in pairs for each in line)


def image_version() -> str:
    """The version on the image's label."""
    labels = " ".join(rest for name, rest in dockerfile() if name == "LABEL")
    found = re.search(r'image\.version="([^"]+)"', labels)
    assert found
    return found[1]
