"""What the manifests ask of a cluster: resources, probes, drain, scaling, the database's start."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import yaml

from demijohn.cli import main
from demijohn.cli.secrets import NAME, create_command, secret
from demijohn.launcher.sockets import check_reach
from demijohn.settings import Settings, load
from demijohn.store.uri import check_uri
from tests.support.manifests import (
    DEPLOY,
    LOCAL,
    container,
    image_environ,
    of_kind,
    one,
    pod_labels,
    pod_spec,
    read,
    workloads,
)


def _deployment() -> dict[str, Any]:
    return one("Deployment", "flask-deployment")


def _app() -> dict[str, Any]:
    return container(_deployment(), "flask-app")


def _database() -> dict[str, Any]:
    return one("StatefulSet", "mongodb")


def _settings() -> Settings:
    """What the service is told in the local overlay: by its image, its ConfigMap and the Secret."""
    (given,) = read(LOCAL / "flask-settings.yaml")
    return load({**image_environ(), **given["data"], "MONGODB_URI": _secret()["uri"]})


def _secret() -> dict[str, str]:
    """What `demijohn secrets create` makes when it is told nothing."""
    options = {option.name: option.default for option in create_command.params}
    made = secret(str(options["host"]), str(options["set_name"]))["stringData"]
    assert isinstance(made, dict)
    return made


def test_the_autoscaler_owns_the_number_of_replicas() -> None:
    """No file names it, or each `apply` would undo what the autoscaler did."""
    assert "replicas" not in _deployment()["spec"]


def test_the_service_asks_for_what_the_guide_says() -> None:
    """Requests 256Mi and 200m, limits 512Mi and 500m."""
    assert _app()["resources"] == {
        "requests": {"memory": "256Mi", "cpu": "200m"},
        "limits": {"memory": "512Mi", "cpu": "500m"},
    }


def test_every_container_has_requests_and_a_memory_limit() -> None:
    """The scheduler knows what it places; no container can take a node's memory."""
    for workload in workloads():
        spec = pod_spec(workload)
        for each in [*spec.get("initContainers", []), *spec["containers"]]:
            assert set(each["resources"]["requests"]) == {"memory", "cpu"}
            assert "memory" in each["resources"]["limits"]


def test_probes_ask_the_management_port() -> None:
    """Three of them, apart: alive, ready, alive; where no request of a client is in the way."""
    app = _app()
    probes = {kind: app[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    ports = {each["name"]: each["containerPort"] for each in app["ports"]}

    assert probes == {
        "startup": {"path": "/livez", "port": "management"},
        "readiness": {"path": "/readyz", "port": "management"},
        "liveness": {"path": "/livez", "port": "management"},
    }
    assert ports == {"http": _settings().port, "management": _settings().management_port}


def test_probes_are_patient() -> None:
    """A pod that is busy is not killed for it: 5 seconds for an answer, six silences in a row."""
    app = _app()
    kinds = ("startup", "readiness", "liveness")

    assert [app[f"{kind}Probe"]["timeoutSeconds"] for kind in kinds] == [5, 5, 5]
    assert app["livenessProbe"]["failureThreshold"] == 6


def test_readiness_is_noticed_within_the_drain_delay() -> None:
    """The pod goes on serving for longer than it takes the cluster to see that it is leaving."""
    probe = _app()["readinessProbe"]

    assert probe["periodSeconds"] * probe.get("failureThreshold", 3) < _settings().drain_delay


def test_a_rollout_never_has_fewer_pods() -> None:
    """One more first, then one less."""
    assert _deployment()["spec"]["strategy"]["rollingUpdate"] == {
        "maxUnavailable": 0,
        "maxSurge": 1,
    }


def test_the_drain_fits_in_the_grace_period() -> None:
    """The delay, what is under way, and five seconds to spare; Kubernetes kills at its end."""
    settings = _settings()
    grace = pod_spec(_deployment())["terminationGracePeriodSeconds"]

    assert settings.drain_delay == 10
    assert grace >= settings.drain_delay + settings.drain_timeout + 5


def test_the_drain_is_the_services_own() -> None:
    """No hook: the service would not learn of it, and kept-alive connections would be cut."""
    assert [each["name"] for each in pod_spec(_deployment())["containers"]] == ["flask-app"]
    assert "lifecycle" not in _app()


def test_connections_are_not_kept_for_ever() -> None:
    """New pods get their share: a client that keeps its connection stays on its first pod else."""
    assert _settings().connection_max_age == 60


def test_pods_spread_over_nodes_where_they_can() -> None:
    """And start on one node all the same."""
    (spread,) = pod_spec(_deployment())["topologySpreadConstraints"]

    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    assert spread["labelSelector"] == {"matchLabels": pod_labels(_deployment())}


def test_the_services_user_is_the_images() -> None:
    """10001, in both places; what the pod may write is /tmp, of a bounded size."""
    assert pod_spec(_deployment())["securityContext"]["runAsUser"] == 10001
    assert _app()["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    (tmp,) = pod_spec(_deployment())["volumes"]
    assert re.fullmatch(r"\d+Mi", tmp["emptyDir"]["sizeLimit"])


def test_the_local_overlay_starts_a_service() -> None:
    """Image, ConfigMap and Secret together are settings that the service takes, on a network."""
    settings = _settings()

    check_reach(settings)
    check_uri(str(settings.mongodb_uri))
    assert (settings.host, settings.auth, settings.log_format) == ("0.0.0.0", "open", "json")


def test_the_component_of_keys_mounts_what_it_names() -> None:
    """The file that the setting names lies in the volume, and what is patched is there."""
    (component,) = read(DEPLOY / "components" / "keys" / "kustomization.yaml")
    settings, deployment = (yaml.safe_load(each["patch"]) for each in component["patches"])
    spec = deployment["spec"]["template"]["spec"]
    ((container,), (volume,)) = spec["containers"], spec["volumes"]
    (mount,) = container["volumeMounts"]

    assert settings["metadata"] == {"name": "flask-settings"}
    assert (deployment["metadata"]["name"], container["name"]) == ("flask-deployment", "flask-app")
    assert load(settings["data"]).auth == "keys"
    assert settings["data"]["DEMIJOHN_KEYS_FILE"] == f"{mount['mountPath']}/keys.json"
    # Not by `subPath`: such a file stays as it is when the Secret changes.
    assert set(mount) == {"name", "mountPath", "readOnly"}
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)


def test_the_autoscaler_scales_from_two_to_five() -> None:
    """At 70 % of the CPU requested: up at once, down after five minutes by one pod a minute."""
    hpa = one("HorizontalPodAutoscaler", "flask-hpa")
    spec = hpa["spec"]

    assert hpa["apiVersion"] == "autoscaling/v2"
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert [each["resource"] for each in spec["metrics"]] == [
        {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    ]
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0
    # From two to five in one step.
    assert [(each["type"], each["value"]) for each in up["policies"]] == [("Pods", 3)]
    assert down["stabilizationWindowSeconds"] == 300
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_a_drained_node_takes_one_pod_at_a_time() -> None:
    """And broken ones without asking: a database that does not start must not hold up a node."""
    for budget in of_kind("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_database_is_a_replica_set_of_one() -> None:
    """The same set in its own arguments, in its configurator's and in the URI that is made."""
    args = container(_database(), "mongodb")["args"]
    configurator = container(_database(), "configurator")["args"]

    assert _database()["spec"]["replicas"] == 1
    assert "--replSet=rs0" in args
    assert "--set=rs0" in configurator
    assert "replicaSet=rs0" in _secret()["uri"]
    assert f"@{_database()['spec']['serviceName']}:27017/" in _secret()["uri"]


def test_the_database_names_its_member_by_the_pods_own_name() -> None:
    """The full name that the kubelet writes into /etc/hosts: no DNS in the way of a new start."""
    service = one("Service", "mongodb")

    assert not [
        each
        for each in container(_database(), "configurator")["args"]
        if each.startswith("--member")
    ]
    assert _database()["spec"]["serviceName"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"


def test_the_databases_memory_is_its_own() -> None:
    """What it requests is its limit, so that the node takes it from others first."""
    resources = container(_database(), "mongodb")["resources"]

    assert resources["requests"]["memory"] == resources["limits"]["memory"]
    assert pod_spec(_database())["terminationGracePeriodSeconds"] == 60


def test_the_database_keeps_a_gibibyte() -> None:
    """The guide's volume claim, mounted where the database writes."""
    (claim,) = _database()["spec"]["volumeClaimTemplates"]
    database = container(_database(), "mongodb")

    assert claim["spec"]["resources"]["requests"] == {"storage": "1Gi"}
    assert {"name": claim["metadata"]["name"], "mountPath": "/data/db"} in database["volumeMounts"]
    assert "--dbpath=/data/db" in database["args"]


def test_the_key_file_is_one_that_mongod_takes() -> None:
    """Copied by its own user, to memory, mode 0400: a Secret volume's 0440 is refused."""
    copy = container(_database(), "keyfile")
    keyfile = {each["name"]: each for each in pod_spec(_database())["volumes"]}["keyfile"]

    assert copy["command"][:3] == ["install", "-m", "0400"]
    assert keyfile["emptyDir"]["medium"] == "Memory"
    assert f"--keyFile={copy['command'][-1]}" in container(_database(), "mongodb")["args"]
    assert pod_spec(_database())["securityContext"]["runAsUser"] == 999
    assert pod_spec(_database())["securityContext"]["fsGroup"] == 999


def test_the_configurator_runs_beside_the_database() -> None:
    """For all its life, since the first user can only be made from the same host."""
    sidecar = container(_database(), "configurator")
    mounts = {each["name"]: each for each in sidecar["volumeMounts"]}

    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["image"] == _app()["image"]
    assert mounts["secret-logins"] == {
        "name": "secret-logins",
        "mountPath": "/run/secrets/mongodb",
        "readOnly": True,
    }


def test_the_configurator_is_a_command_of_ours(tmp_path: Path) -> None:
    """Its arguments are options that the command takes; the Secret has the files that it reads."""
    name, *arguments = container(_database(), "configurator")["args"]
    given = [each.replace("/run/secrets/mongodb", str(tmp_path)) for each in arguments]

    command = main.get_command(click.Context(main), name)

    assert command
    context = command.make_context(name, given)
    assert context.params["ready_file"] == Path("/tmp/ready")
    assert container(_database(), "configurator")["readinessProbe"]["exec"] == {
        "command": ["test", "-f", "/tmp/ready"]
    }
    assert {"uri", "root-password", "drill-password", "keyfile"} == set(_secret())


def test_the_secret_has_what_the_manifests_read() -> None:
    """Its name, and each key that a manifest names."""
    mounted = [each["secret"] for each in pod_spec(_database())["volumes"] if "secret" in each]
    files = {item["path"]: item["key"] for each in mounted for item in each["items"]}
    key = _app()["env"][0]["valueFrom"]["secretKeyRef"]
    keyfile = container(_database(), "keyfile")["command"][3]

    assert {each["secretName"] for each in mounted} == {NAME}
    assert files == {name: name for name in _secret()}
    assert key["name"] == NAME
    assert key["key"] in _secret()
    assert Path(keyfile).name in _secret()


def test_the_database_images_own_set_up_is_not_used() -> None:
    """`MONGO_INITDB_…` would first start a server outside of any replica set."""
    database = container(_database(), "mongodb")

    assert database["command"] == ["mongod"]
    assert "env" not in database
    assert "envFrom" not in database
