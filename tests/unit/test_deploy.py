"""The manifests, file by file: valid, of one mind with each other, and as the guide has them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from demijohn import __version__
from demijohn.edge.tellers import DATA
from demijohn.settings import Settings
from tests.support.manifests import (
    BASE,
    LOCAL,
    ROOT,
    Manifest,
    container,
    containers,
    kustomizations,
    matches,
    object_files,
    objects,
    of_kind,
    one,
    parse,
    pod_labels,
    pod_spec,
    read,
    texts,
    workloads,
)

OLDEST, NEWEST = "1.30", "1.34"
"""The versions of Kubernetes that are promised: the first, and the one that the tests run on."""
GUIDE_FILES = {
    "flask-deployment.yaml",
    "flask-service.yaml",
    "hpa.yaml",
    "mongodb-statefulset.yaml",
    "mongodb-service.yaml",
}


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


# Valid, each alone and all together


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", object_files(), ids=lambda path: path.name)
def test_every_object_is_valid(path: Path, version: str) -> None:
    """Against the API's own schemas, names that it does not know refused."""
    for manifest in read(path):
        assert kubernetes_validate.validate(manifest, version, strict=True) == version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maxReplicas: 5", "maxReplicas: five"),
        ("maxReplicas: 5", "maxReplica: 5"),
        ("averageUtilization: 70", "averageUtilisation: 70"),
    ],
)
def test_a_slip_would_be_found(old: str, new: str) -> None:
    """The control: a value of another type, a name that is not there, on each level."""
    text = (BASE / "hpa.yaml").read_text(encoding="utf-8")
    assert old in text

    (manifest,) = parse(text.replace(old, new))

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, NEWEST, strict=True)


def test_the_copied_guides_autoscaler_would_be_found() -> None:
    """The control: `autoscaling/v2beta2` is gone, and every manifest of it is refused."""
    gone = {**one("HorizontalPodAutoscaler", "flask-hpa"), "apiVersion": "autoscaling/v2beta2"}

    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(gone, NEWEST, strict=True)


def test_a_name_that_stands_twice_would_be_found() -> None:
    """The control: YAML keeps the last of two, which nobody sees."""
    with pytest.raises(yaml.YAMLError, match="app stands twice"):
        parse("labels: {app: a, app: b}")


@pytest.mark.parametrize("path", kustomizations(), ids=lambda path: path.parent.name)
def test_every_kustomization_lists_what_is_there(path: Path) -> None:
    """What it names exists, and no file beside it is left out."""
    (listed,) = read(path)
    named = {(path.parent / each).resolve() for each in listed.get("resources", ())}
    beside = {each for each in object_files() if each.parent == path.parent}

    assert [each for each in named if not each.exists()] == []
    assert beside - named == set()


def test_objects_have_names_of_their_own() -> None:
    """No two objects of a kind share a name: `apply` would merge them."""
    names = [_name(each) for each in objects()]

    assert sorted(names) == sorted(set(names))


# The guide's names, and where they may be applied


def test_the_guides_files_are_there() -> None:
    """Someone who knows the guide finds every file where it was, and each can be applied alone."""
    assert {path.name for path in BASE.iterdir()} >= GUIDE_FILES
    assert [name for name in GUIDE_FILES if len(read(BASE / name)) != 1] == []
    assert all((ROOT / name).is_file() for name in ("app.py", "requirements.txt", "Dockerfile"))


def test_the_guides_objects_are_there() -> None:
    """Under their own names: objects, container, volume, image, URI, database, collection, port."""
    names = {_name(each) for each in objects()}
    deployment = one("Deployment", "flask-deployment")
    app = container(deployment, "flask-app")

    assert names >= {
        "Deployment/flask-deployment",
        "Service/flask-service",
        "HorizontalPodAutoscaler/flask-hpa",
        "StatefulSet/mongodb",
        "Service/mongodb",
    }
    assert pod_labels(deployment)["app"] == "flask-app"
    assert app["image"].startswith("flask-mongodb-app:")
    assert "MONGODB_URI" in [each["name"] for each in app["env"]]
    (claim,) = one("StatefulSet", "mongodb")["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "mongo-persistent-storage"
    assert (Settings().database, DATA, Settings().port) == ("flask_db", "data", 5000)


@pytest.mark.parametrize("path", [*object_files(), *kustomizations()], ids=str)
def test_no_file_chooses_a_namespace(path: Path) -> None:
    """`kubectl get services flask-service` answers in the namespace that one is in."""
    for manifest in read(path):
        assert "namespace" not in manifest
        assert "namespace" not in manifest.get("metadata", {})


# Images


def _all_containers() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{workload['metadata']['name']}/{each['name']}", each)
        for workload in workloads()
        for each in containers(pod_spec(workload))
    ]


@pytest.mark.parametrize(("place", "container"), _all_containers())
def test_images_are_pinned(place: str, container: dict[str, Any]) -> None:
    """A whole version as the tag, and no pull of what is there: local clusters have no registry."""
    del place
    name, _, tag = container["image"].partition(":")

    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", tag)
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert name in {"flask-mongodb-app", "mongo"}
    if name == "flask-mongodb-app":
        assert tag == __version__


# What finds what


def _selected(selector: dict[str, Any]) -> list[Manifest]:
    """The workloads whose pods a selector takes; a plain mapping is a Service's selector."""
    if not {"matchLabels", "matchExpressions"} & set(selector):
        selector = {"matchLabels": selector}
    return [each for each in workloads() if matches(selector, pod_labels(each))]


@pytest.mark.parametrize("workload", workloads(), ids=_name)
def test_workloads_select_their_own_pods(workload: Manifest) -> None:
    """And no one else's."""
    assert _selected(workload["spec"]["selector"]) == [workload]


@pytest.mark.parametrize(
    ("kind", "name", "workload"),
    [
        ("Service", "flask-service", "flask-deployment"),
        ("Service", "mongodb", "mongodb"),
        ("PodDisruptionBudget", "flask-pdb", "flask-deployment"),
        ("PodDisruptionBudget", "mongodb-pdb", "mongodb"),
    ],
)
def test_services_and_budgets_select_the_pods_that_they_are_for(
    kind: str, name: str, workload: str
) -> None:
    """A selector that is one letter off selects nothing, and says nothing."""
    selected = _selected(one(kind, name)["spec"]["selector"])

    assert [each["metadata"]["name"] for each in selected] == [workload]


@pytest.mark.parametrize("policy", of_kind("NetworkPolicy"), ids=_name)
def test_policies_select_pods_that_there_are(policy: Manifest) -> None:
    """A policy for nobody would protect nobody."""
    assert _selected(policy["spec"]["podSelector"])


def test_the_autoscaler_has_a_target() -> None:
    """`flask-hpa` names the Deployment by its kind and name."""
    target = one("HorizontalPodAutoscaler", "flask-hpa")["spec"]["scaleTargetRef"]

    deployment = one(target["kind"], target["name"])
    assert deployment["apiVersion"] == target["apiVersion"]


@pytest.mark.parametrize("service", of_kind("Service"), ids=_name)
def test_services_lead_to_ports_by_name(service: Manifest) -> None:
    """Every port of a Service is one that a container of the pods behind it declares."""
    (workload,) = _selected(service["spec"]["selector"])
    declared = {
        port["name"]: port["containerPort"]
        for each in containers(pod_spec(workload))
        for port in each.get("ports", [])
    }

    for port in service["spec"]["ports"]:
        assert declared[port["targetPort"]] == port["port"]


def test_the_management_port_is_not_behind_the_service() -> None:
    """Metrics and probes are not for whoever reaches the node port."""
    ports = one("Service", "flask-service")["spec"]["ports"]

    assert [(each["port"], each["targetPort"], each["nodePort"]) for each in ports] == [
        (5000, "http", 30500)
    ]


def test_the_databases_service_has_no_address_of_its_own() -> None:
    """Headless, known before it is ready, and the one that the StatefulSet's pods are named by."""
    service = one("Service", one("StatefulSet", "mongodb")["spec"]["serviceName"])["spec"]

    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True


# Settings and credentials


def test_credentials_come_from_the_secret_alone() -> None:
    """One Secret, by name; none is shipped, and none is generated."""
    kinds = {each["kind"] for each in objects()}
    generators = [name for path in kustomizations() for name in read(path)[0] if "enerator" in name]

    assert "Secret" not in kinds
    assert generators == []
    app = container(one("Deployment", "flask-deployment"), "flask-app")
    assert [each["valueFrom"] for each in app["env"] if each["name"] == "MONGODB_URI"] == [
        {"secretKeyRef": {"name": "flask-mongodb-auth", "key": "uri"}}
    ]
    volumes = pod_spec(one("StatefulSet", "mongodb"))["volumes"]
    assert {each["secret"]["secretName"] for each in volumes if "secret" in each} == {
        "flask-mongodb-auth"
    }


def _variables(manifest: Manifest) -> list[dict[str, Any]]:
    """The variables that the containers of a workload are given, one by one."""
    if "template" not in manifest.get("spec", {}):
        return []
    return [name for each in containers(pod_spec(manifest)) for name in each.get("env", [])]


def _credentials(manifest: Manifest) -> list[str]:
    """Where a manifest has something that looks like a password."""
    in_uri = re.compile(r"://[^/@ ]*:[^/@ ]*@")
    random = re.compile(r"[0-9a-fA-F]{16,}|[0-9A-Za-z+/]{32,}")
    secret = re.compile("PASSWORD|SECRET|TOKEN|URI|KEY")
    return [
        *(path for path, text in texts(manifest) if in_uri.search(text) or random.search(text)),
        *(
            each["name"]
            for each in _variables(manifest)
            if secret.search(each["name"]) and "value" in each
        ),
    ]


@pytest.mark.parametrize("manifest", objects(), ids=_name)
def test_no_manifest_holds_a_password(manifest: Manifest) -> None:
    """Nor a URI with one, nor anything that looks made at random."""
    assert _credentials(manifest) == []


@pytest.mark.parametrize("name", ["MONGODB_URI", "MONGO_INITDB_ROOT_PASSWORD"])
def test_a_password_would_be_found(name: str) -> None:
    """The control: the copied guide's way, a value in plain text."""
    spec = {"containers": [{"name": "c", "env": [{"name": name, "value": "short"}]}]}

    assert _credentials({"spec": {"template": {"spec": spec}}}) == [name]
    assert _credentials({"args": ["mongodb://user:short@mongodb/"]}) == [".args[0]"]
    assert _credentials({"data": {"any": "0123456789abcdef" * 2}}) == [".data.any"]


def test_open_mode_is_spelt_out_in_the_local_overlay_alone() -> None:
    """Who uses the base for anything else has to decide it anew."""
    (settings,) = read(LOCAL / "flask-settings.yaml")
    app = container(one("Deployment", "flask-deployment"), "flask-app")
    elsewhere = [path for path in object_files() if "AUTH: " in path.read_text(encoding="utf-8")]

    assert settings["data"] == {"DEMIJOHN_AUTH": "open"}
    assert app["envFrom"] == [{"configMapRef": {"name": "flask-settings", "optional": True}}]
    assert settings["metadata"]["name"] == "flask-settings"
    assert elsewhere == [LOCAL / "flask-settings.yaml"]
