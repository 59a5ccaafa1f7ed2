"""Every pod that is shipped complies with `restricted`, and the check would tell if it did not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.cluster import restricted_pod
from tests.support.manifests import pod_spec, workloads
from tests.support.pod_security import faults

Spec = dict[str, Any]


@pytest.mark.parametrize("workload", workloads(), ids=lambda each: each["metadata"]["name"])
def test_every_pod_is_restricted(workload: dict[str, Any]) -> None:
    """Not root, no capabilities, no token, seccomp, a read-only root: every container."""
    assert faults(pod_spec(workload)) == []


def test_a_pod_without_a_security_context_has_every_fault() -> None:
    """What the copied guide ships: nothing is switched off by itself."""
    assert faults({"containers": [{"name": "c"}]}) == [
        "a service-account token",
        "c: privilege escalation",
        "c: capabilities kept",
        "c: runAsNonRoot is not there",
        "c: no user by number",
        "c: seccomp is not RuntimeDefault",
        "c: a root file system that can be written",
    ]


def _set(**values: Any) -> Callable[[Spec], None]:
    """Change something of the pod."""
    return lambda spec: spec.update(values)


def _pod(**values: Any) -> Callable[[Spec], None]:
    """Change something in the pod's security context."""
    return lambda spec: spec["securityContext"].update(values)


def _container(**values: Any) -> Callable[[Spec], None]:
    """Change something of the container."""
    return lambda spec: spec["containers"][0].update(values)


def _context(**values: Any) -> Callable[[Spec], None]:
    """Change something in the container's security context."""
    return lambda spec: spec["containers"][0]["securityContext"].update(values)


CONTROLS: list[tuple[Callable[[Spec], None], str]] = [
    (_set(hostNetwork=True), "hostNetwork"),
    (_set(hostPID=True), "hostPID"),
    (_set(hostIPC=True), "hostIPC"),
    (_set(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "volume of type hostPath"),
    (_set(volumes=[{"name": "v", "nfs": {"server": "s", "path": "/"}}]), "volume of type nfs"),
    (_set(automountServiceAccountToken=True), "a service-account token"),
    (_pod(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctl kernel.msgmax"),
    (_pod(runAsUser=0), "user 0"),
    (_pod(runAsNonRoot=False), "p: runAsNonRoot is not there"),
    (_pod(seccompProfile={"type": "Unconfined"}), "p: seccomp is not RuntimeDefault"),
    (_pod(seLinuxOptions={"type": "spc_t"}), "SELinux options"),
    (_pod(appArmorProfile={"type": "Unconfined"}), "AppArmor off"),
    (_pod(windowsOptions={"hostProcess": True}), "hostProcess"),
    (_context(runAsUser=0), "p: user 0"),
    (_context(runAsUser="demijohn"), "p: no user by number"),
    (_context(runAsNonRoot=False), "p: runAsNonRoot is not there"),
    (_context(seccompProfile={"type": "Localhost"}), "p: seccomp is not RuntimeDefault"),
    (_context(privileged=True), "p: privileged"),
    (_context(allowPrivilegeEscalation=True), "p: privilege escalation"),
    (_context(procMount="Unmasked"), "p: procMount"),
    (_context(capabilities={"drop": ["NET_RAW"]}), "p: capabilities kept"),
    (_context(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}), "p: capabilities added"),
    (_context(readOnlyRootFilesystem=False), "p: a root file system that can be written"),
    (_container(ports=[{"containerPort": 1, "hostPort": 1}]), "p: a port of the host"),
    (
        _container(livenessProbe={"tcpSocket": {"port": 1, "host": "h"}}),
        "p: a probe of another host",
    ),
    (
        _container(lifecycle={"preStop": {"httpGet": {"port": 1, "host": "h"}}}),
        "p: a probe of another host",
    ),
]


@pytest.mark.parametrize(("change", "fault"), CONTROLS, ids=[fault for _, fault in CONTROLS])
def test_a_single_step_outside_is_named(change: Callable[[Spec], None], fault: str) -> None:
    """The controls: a pod that complies, with one thing changed, has that one fault."""
    spec = copy.deepcopy(restricted_pod("p", ["true"])["spec"])
    assert faults(spec) == []

    change(spec)

    assert faults(spec) == [fault]


def test_init_containers_and_sidecars_are_looked_at() -> None:
    """The control: what runs before or beside the others is judged as they are."""
    spec = copy.deepcopy(restricted_pod("p", ["true"])["spec"])
    spec["initContainers"] = [{**copy.deepcopy(spec["containers"][0]), "name": "early"}]
    spec["initContainers"][0]["securityContext"]["privileged"] = True

    assert faults(spec) == ["early: privileged"]
