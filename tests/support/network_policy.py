"""What Kubernetes' NetworkPolicies let through: policies and a flow in, allowed or not out.

Written from the API reference, "NetworkPolicy v1 networking.k8s.io", and the documentation page
"Network Policies". A pod is isolated in a direction once a policy selects it for that direction;
then what is let through is the union of what those policies list. Both ends have to let a
connection through; replies always are. Left out: a pod reaches itself, and a node its own pods,
whatever policies say.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.manifests import matches

Policy = Mapping[str, Any]
Protocol = Literal["TCP", "UDP", "SCTP"]
Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it: labels, its namespace with that one's labels, named ports."""

    labels: Mapping[str, str]
    namespace: str = "default"
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, tuple[Protocol, int]] = field(default_factory=dict)

    def all_namespace_labels(self) -> dict[str, str]:
        """With the one that Kubernetes sets itself."""
        return {"kubernetes.io/metadata.name": self.namespace, **self.namespace_labels}


@dataclass(frozen=True)
class Outside:
    """An address that is no pod's."""

    address: str


End = Pod | Outside


@dataclass(frozen=True)
class Flow:
    """A connection that someone wants to open."""

    source: End
    target: End
    port: int
    protocol: Protocol = "TCP"


def is_allowed(flow: Flow, policies: Sequence[Policy]) -> bool:
    """Whether the flow is let through; `policies` are all that there are, of any namespace."""
    return _lets(flow, "Egress", flow.source, flow.target, policies) and _lets(
        flow, "Ingress", flow.target, flow.source, policies
    )


def _lets(
    flow: Flow, direction: Direction, pod: End, peer: End, policies: Sequence[Policy]
) -> bool:
    """Whether one end lets the flow through. Whoever is no pod has no policies."""
    if isinstance(pod, Outside):
        return True
    isolating = [each for each in policies if _isolates(each, pod, direction)]
    return not isolating or any(_lists(each, flow, direction, peer) for each in isolating)


def _isolates(policy: Policy, pod: Pod, direction: Direction) -> bool:
    spec = policy["spec"]
    # Unset, a policy is about what comes in; also about what goes out, if it lists any of that.
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        direction in types
        and pod.namespace == _namespace(policy)
        and matches(spec.get("podSelector", {}), pod.labels)
    )


def _lists(policy: Policy, flow: Flow, direction: Direction, peer: End) -> bool:
    side = "from" if direction == "Ingress" else "to"
    return any(
        _is_peer(rule.get(side), peer, _namespace(policy)) and _is_port(rule.get("ports"), flow)
        for rule in policy["spec"].get(direction.lower()) or []
    )


def _is_peer(peers: Sequence[Policy] | None, end: End, namespace: str) -> bool:
    # None and an empty list both mean anyone.
    return not peers or any(_is_this_peer(each, end, namespace) for each in peers)


def _is_this_peer(peer: Policy, end: End, namespace: str) -> bool:
    if "ipBlock" in peer:
        return isinstance(end, Outside) and _in_block(peer["ipBlock"], end.address)
    if isinstance(end, Outside):
        return False
    # Without a namespaceSelector, the policy's own namespace; with both, both have to hold.
    if "namespaceSelector" in peer:
        in_namespace = matches(peer["namespaceSelector"], end.all_namespace_labels())
    else:
        in_namespace = end.namespace == namespace
    return in_namespace and matches(peer.get("podSelector", {}), end.labels)


def _in_block(block: Policy, address: str) -> bool:
    """Blocks are for addresses outside of the cluster; what they say of pods is not defined."""
    wanted = ipaddress.ip_address(address)
    excluded = any(wanted in ipaddress.ip_network(each) for each in block.get("except", []))
    return wanted in ipaddress.ip_network(block["cidr"]) and not excluded


def _is_port(ports: Sequence[Policy] | None, flow: Flow) -> bool:
    return not ports or any(_is_this_port(each, flow) for each in ports)


def _is_this_port(port: Policy, flow: Flow) -> bool:
    if port.get("protocol", "TCP") != flow.protocol:
        return False
    match port.get("port"):
        case None:
            return True
        case int(number):
            return number <= flow.port <= int(port.get("endPort", number))
        case name:
            # A name is looked up in the pod that is connected to.
            declared = flow.target.ports if isinstance(flow.target, Pod) else {}
            return declared.get(str(name)) == (flow.protocol, flow.port)


def _namespace(policy: Policy) -> str:
    namespace: str = policy["metadata"].get("namespace", "default")
    return namespace
