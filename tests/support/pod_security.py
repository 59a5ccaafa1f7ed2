"""What Kubernetes' Pod Security level `restricted` asks of a pod, and what this project adds to it.

Written from "Pod Security Standards" in Kubernetes' documentation (1.34). The cluster tests have a
real API server judge the same pods; this one also names the fault, and needs no cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.manifests import containers

Spec = Mapping[str, Any]
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
"""The types of volumes that `restricted` lets in."""
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)


def faults(spec: Spec) -> list[str]:
    """What a pod's specification does that it must not do; none if it is as it should be."""
    found = list(_pod_faults(spec))
    for container in containers(spec):
        name = container["name"]
        found += [f"{name}: {each}" for each in _container_faults(spec, container)]
    return found


def _pod_faults(spec: Spec) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", []):
        yield from (f"volume of type {each}" for each in set(volume) - {"name"} - VOLUMES)
    security = spec.get("securityContext", {})
    yield from _context_faults(security)
    for sysctl in security.get("sysctls", []):
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    # Beyond `restricted`: nothing here speaks to the API server.
    if spec.get("automountServiceAccountToken") is not False:
        yield "a service-account token"


def _container_faults(spec: Spec, container: Spec) -> Iterator[str]:
    security = container.get("securityContext", {})
    yield from _context_faults(security)
    yield from _privilege_faults(security)
    yield from _user_faults(spec.get("securityContext", {}), security)
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "a port of the host"
    if any(handler.get("host") for handler in _handlers(container)):
        yield "a probe of another host"
    # Beyond `restricted`: what is written has to be a volume.
    if security.get("readOnlyRootFilesystem") is not True:
        yield "a root file system that can be written"


def _context_faults(security: Spec) -> Iterator[str]:
    """What is wrong in a pod's or a container's security context on its own."""
    if security.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"
    if security.get("runAsUser") == 0:
        yield "user 0"
    if security.get("appArmorProfile", {}).get("type") == "Unconfined":
        yield "AppArmor off"
    selinux = security.get("seLinuxOptions", {})
    if selinux.get("type", "") not in SELINUX_TYPES or {"user", "role"} & set(selinux):
        yield "SELinux options"


def _privilege_faults(security: Spec) -> Iterator[str]:
    if security.get("privileged"):
        yield "privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "privilege escalation"
    if security.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = security.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities kept"
    # Stricter than `restricted`, which lets NET_BIND_SERVICE be added.
    if capabilities.get("add"):
        yield "capabilities added"


def _user_faults(pod: Spec, security: Spec) -> Iterator[str]:
    """What a container inherits from its pod, and may say otherwise."""
    merged = {**pod, **security}
    if merged.get("runAsNonRoot") is not True:
        yield "runAsNonRoot is not there"
    # By number: of a name nobody can tell that it is not root.
    if not isinstance(merged.get("runAsUser"), int):
        yield "no user by number"
    # Stricter than `restricted`, which lets a node's own profiles be named.
    if merged.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "seccomp is not RuntimeDefault"


def _handlers(container: Spec) -> Iterator[Spec]:
    """The addresses that a container's probes and hooks name."""
    hooks = container.get("lifecycle", {})
    probes = (container.get(f"{kind}Probe", {}) for kind in ("startup", "readiness", "liveness"))
    for action in (*probes, hooks.get("postStart", {}), hooks.get("preStop", {})):
        yield from (action[kind] for kind in ("httpGet", "tcpSocket") if kind in action)
