"""Who reaches whom under the network policies, by a table of flows, denied ones included."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.support.manifests import POLICIES, one, pod_labels, read
from tests.support.network_policy import Flow, Outside, Pod, is_allowed

POLICY = read(POLICIES)
APP = Pod(pod_labels(one("Deployment", "flask-deployment")))
DATABASE = Pod(pod_labels(one("StatefulSet", "mongodb")))
BACKUP = Pod({"app": "backup"})
DRILL = Pod({"app": "demijohn-drill"})
STRANGER = Pod({"app": "stranger"})
ELSEWHERE = Pod({"app": "stranger"}, namespace="elsewhere")
MONITORING = Pod({"app": "prometheus"}, namespace="monitoring")
DNS = Pod({"k8s-app": "kube-dns"}, namespace="kube-system")
NOT_DNS = Pod({"k8s-app": "metrics-server"}, namespace="kube-system")
FALSE_DNS = Pod({"k8s-app": "kube-dns"}, namespace="elsewhere")
FALSE_APP = Pod(APP.labels, namespace="elsewhere")
FALSE_BACKUP = Pod(BACKUP.labels, namespace="elsewhere")
BROWSER = Outside("203.0.113.7")
METADATA = Outside("169.254.169.254")

ALLOWED = {
    "a browser, through the node port": Flow(BROWSER, APP, 5000),
    "any pod beside it": Flow(STRANGER, APP, 5000),
    "any pod of another namespace": Flow(ELSEWHERE, APP, 5000),
    "a drill's load": Flow(DRILL, APP, 5000),
    "a drill's load looks up names": Flow(DRILL, DNS, 53, "UDP"),
    "monitoring reads metrics": Flow(MONITORING, APP, 9090),
    "monitoring may use the service": Flow(MONITORING, APP, 5000),
    "the service asks the database": Flow(APP, DATABASE, 27017),
    "a backup asks the database": Flow(BACKUP, DATABASE, 27017),
    "members of the set ask each other": Flow(DATABASE, DATABASE, 27017),
    "the service looks up names": Flow(APP, DNS, 53, "UDP"),
    "the service looks up long answers": Flow(APP, DNS, 53, "TCP"),
    "the database looks up names": Flow(DATABASE, DNS, 53, "UDP"),
    "the database looks up long answers": Flow(DATABASE, DNS, 53, "TCP"),
    "a backup looks up names": Flow(BACKUP, DNS, 53, "UDP"),
    "a backup stores what it made": Flow(BACKUP, BROWSER, 443),
}
DENIED = {
    "a stranger reads metrics": Flow(STRANGER, APP, 9090),
    "a browser reads metrics": Flow(BROWSER, APP, 9090),
    "the service reads another replica's metrics": Flow(APP, APP, 9090),
    "a drill's load reads metrics": Flow(DRILL, APP, 9090),
    "a port that nobody opened": Flow(STRANGER, APP, 8080),
    "the service's port by another protocol": Flow(STRANGER, APP, 5000, "UDP"),
    "a stranger asks the database": Flow(STRANGER, DATABASE, 27017),
    "a stranger of another namespace asks the database": Flow(ELSEWHERE, DATABASE, 27017),
    "the service of another namespace asks the database": Flow(FALSE_APP, DATABASE, 27017),
    "the backup of another namespace asks the database": Flow(FALSE_BACKUP, DATABASE, 27017),
    "monitoring asks the database": Flow(MONITORING, DATABASE, 27017),
    "a drill's load asks the database": Flow(DRILL, DATABASE, 27017),
    "the internet asks the database": Flow(BROWSER, DATABASE, 27017),
    "the service opens another port of the database": Flow(APP, DATABASE, 22),
    "the database asks the service": Flow(DATABASE, APP, 5000),
    "the database asks a stranger": Flow(DATABASE, STRANGER, 80),
    "the service asks a stranger": Flow(APP, STRANGER, 80),
    "the service asks another database": Flow(APP, Outside("203.0.113.8"), 27017),
    "the service asks the internet": Flow(APP, BROWSER, 443),
    "the database asks the internet": Flow(DATABASE, BROWSER, 443),
    "the service asks for the node's credentials": Flow(APP, METADATA, 80),
    "the service asks the API server": Flow(APP, Outside("10.96.0.1"), 443),
    "the service asks what is no DNS": Flow(APP, NOT_DNS, 53, "UDP"),
    "the service asks a DNS that someone else runs": Flow(APP, FALSE_DNS, 53, "UDP"),
    "the service asks the internet's DNS": Flow(APP, Outside("203.0.113.53"), 53, "UDP"),
    "the service asks DNS on another port": Flow(APP, DNS, 9153, "TCP"),
}


@pytest.mark.parametrize("flow", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_needed_is_let_through(flow: Flow) -> None:
    """The service works under the policies, and so do those who watch and back it up."""
    assert is_allowed(flow, POLICY)


@pytest.mark.parametrize("flow", DENIED.values(), ids=DENIED.keys())
def test_nothing_else_is(flow: Flow) -> None:
    """What is not listed is not let through, and without the policies it would be."""
    assert not is_allowed(flow, POLICY)
    assert is_allowed(flow, [])


def _policy(namespace: str | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "p", **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "spec": {"podSelector": {}, **spec}}


A, B = Pod({"app": "a", "tier": "x"}), Pod({"app": "b"})
A_ELSEWHERE = Pod({"app": "a"}, namespace="other", namespace_labels={"team": "t"})
B_ELSEWHERE = Pod({"app": "b"}, namespace="other", namespace_labels={"team": "t"})
OUTSIDE = Outside("192.0.2.10")
NAMED = Pod({"app": "named"}, ports={"web": ("TCP", 8080)})
ONLY_A = {"podSelector": {"matchLabels": {"app": "a"}}}
TEAM = {"namespaceSelector": {"matchLabels": {"team": "t"}}}
ALL_NAMESPACES: dict[str, Any] = {"namespaceSelector": {}}
BLOCK = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.64/26"]}}


def _from(*peers: Any, **rest: Any) -> list[dict[str, Any]]:
    """One policy for every pod of `default`, that lets these in."""
    return [_policy(ingress=[{"from": list(peers), **rest}])]


def _to(*ports: Any) -> list[dict[str, Any]]:
    """One policy for every pod of `default`, that lets anyone in on these ports."""
    return [_policy(ingress=[{"ports": list(ports)}])]


def _expression(operator: str, *values: str, key: str = "app") -> Any:
    """A peer by one expression over its labels."""
    listed = {"values": list(values)} if values else {}
    return {"podSelector": {"matchExpressions": [{"key": key, "operator": operator, **listed}]}}


SEMANTICS: list[tuple[str, Flow, list[dict[str, Any]], bool]] = [
    ("no policy, no isolation", Flow(A, B, 1), [], True),
    ("selected, nothing listed", Flow(A, B, 1), [_policy()], False),
    ("an empty list lets nobody in", Flow(A, B, 1), [_policy(ingress=[])], False),
    ("an empty rule lets all in", Flow(A, B, 1), [_policy(ingress=[{}])], True),
    ("an empty list of peers lets all in", Flow(A, B, 1), _from(), True),
    ("an empty list of ports opens all", Flow(A, B, 1), _to(), True),
    ("another pod's policy", Flow(A, B, 1), [_policy(podSelector=ONLY_A["podSelector"])], True),
    ("another namespace's policy", Flow(A, B, 1), [_policy("other")], True),
    ("in its own namespace it holds", Flow(A, B_ELSEWHERE, 1), [_policy("other")], False),
    ("ingress alone leaves egress", Flow(A, OUTSIDE, 1), [_policy()], True),
    ("egress alone leaves ingress", Flow(OUTSIDE, A, 1), [_policy(policyTypes=["Egress"])], True),
    ("egress, nothing listed", Flow(A, OUTSIDE, 1), [_policy(policyTypes=["Egress"])], False),
    (
        "listed egress counts as its type",
        Flow(A, OUTSIDE, 2),
        [_policy(egress=[{"ports": [{"port": 1}]}])],
        False,
    ),
    (
        "rules of a type not named do nothing",
        Flow(OUTSIDE, A, 1),
        [_policy(policyTypes=["Egress"], ingress=[])],
        True,
    ),
    (
        "both ends must: the source does not",
        Flow(A, B, 1),
        [_policy(policyTypes=["Egress"]), _policy(ingress=[{}])],
        False,
    ),
    (
        "both ends must: the target does not",
        Flow(A, B, 1),
        [_policy(policyTypes=["Ingress", "Egress"], egress=[{}])],
        False,
    ),
    ("policies add up", Flow(A, B, 1), [_policy(), _policy(ingress=[{}])], True),
    ("a policy takes nothing from another", Flow(A, B, 1), [*_from(ONLY_A), *_from(TEAM)], True),
    ("a peer by label", Flow(A, B, 1), _from(ONLY_A), True),
    ("a peer with another label", Flow(B, B, 1), _from(ONLY_A), False),
    ("a pod selector is of one's own namespace", Flow(A_ELSEWHERE, B, 1), _from(ONLY_A), False),
    ("an outside address is no pod", Flow(OUTSIDE, B, 1), _from({"podSelector": {}}), False),
    ("a namespace by label", Flow(B_ELSEWHERE, B, 1), _from(TEAM), True),
    ("a namespace without that label", Flow(A, B, 1), _from(TEAM), False),
    ("every namespace", Flow(B_ELSEWHERE, B, 1), _from(ALL_NAMESPACES), True),
    ("every namespace is not everyone", Flow(OUTSIDE, B, 1), _from(ALL_NAMESPACES), False),
    ("both in one peer: both hold", Flow(A_ELSEWHERE, B, 1), _from({**TEAM, **ONLY_A}), True),
    ("both in one peer: wrong pod", Flow(B_ELSEWHERE, B, 1), _from({**TEAM, **ONLY_A}), False),
    ("both in one peer: wrong namespace", Flow(A, B, 1), _from({**TEAM, **ONLY_A}), False),
    ("in two peers one is enough", Flow(B_ELSEWHERE, B, 1), _from(TEAM, ONLY_A), True),
    (
        "a namespace's name is a label",
        Flow(A_ELSEWHERE, B, 1),
        _from({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}),
        True,
    ),
    ("In", Flow(A, B, 1), _from(_expression("In", "a", "c")), True),
    ("not In", Flow(B, B, 1), _from(_expression("In", "a", "c")), False),
    ("NotIn", Flow(B, B, 1), _from(_expression("NotIn", "a")), True),
    (
        "NotIn holds without the label",
        Flow(B, B, 1),
        _from(_expression("NotIn", "x", key="tier")),
        True,
    ),
    ("not NotIn", Flow(A, B, 1), _from(_expression("NotIn", "a")), False),
    ("Exists", Flow(A, B, 1), _from(_expression("Exists", key="tier")), True),
    ("not Exists", Flow(B, B, 1), _from(_expression("Exists", key="tier")), False),
    ("DoesNotExist", Flow(B, B, 1), _from(_expression("DoesNotExist", key="tier")), True),
    ("not DoesNotExist", Flow(A, B, 1), _from(_expression("DoesNotExist", key="tier")), False),
    ("a block", Flow(OUTSIDE, B, 1), _from(BLOCK), True),
    ("what a block excepts", Flow(Outside("192.0.2.70"), B, 1), _from(BLOCK), False),
    ("outside of the block", Flow(Outside("198.51.100.1"), B, 1), _from(BLOCK), False),
    ("a port", Flow(A, B, 80), _to({"port": 80}), True),
    ("another port", Flow(A, B, 81), _to({"port": 80}), False),
    ("TCP is meant where nothing is said", Flow(A, B, 80, "UDP"), _to({"port": 80}), False),
    ("a protocol", Flow(A, B, 80, "UDP"), _to({"port": 80, "protocol": "UDP"}), True),
    ("a protocol on every port", Flow(A, B, 80, "UDP"), _to({"protocol": "UDP"}), True),
    ("a range's end", Flow(A, B, 90), _to({"port": 80, "endPort": 90}), True),
    ("after a range", Flow(A, B, 91), _to({"port": 80, "endPort": 90}), False),
    ("a port by name", Flow(A, NAMED, 8080), _to({"port": "web"}), True),
    ("the name's other port", Flow(A, NAMED, 80), _to({"port": "web"}), False),
    ("a name that the pod has not", Flow(A, B, 8080), _to({"port": "web"}), False),
    (
        "peer and port of one rule both hold",
        Flow(A, B, 81),
        _from(ONLY_A, ports=[{"port": 80}]),
        False,
    ),
]


@pytest.mark.parametrize(
    ("flow", "policies", "allowed"),
    [case[1:] for case in SEMANTICS],
    ids=[case[0] for case in SEMANTICS],
)
def test_policies_mean_what_kubernetes_says(
    flow: Flow, policies: list[dict[str, Any]], *, allowed: bool
) -> None:
    """The evaluator itself, one rule of the API reference a case."""
    assert is_allowed(flow, policies) is allowed


@pytest.mark.parametrize("position", range(len(POLICY)))
def test_every_policy_is_needed(position: int) -> None:
    """The control: with any one of the policies left out, the table no longer holds."""
    rest = copy.deepcopy(POLICY)
    del rest[position]

    assert [flow for flow in ALLOWED.values() if not is_allowed(flow, rest)] + [
        flow for flow in DENIED.values() if is_allowed(flow, rest)
    ]
