"""The guide's five files for a cluster without a MongoDB image, and the copied guide's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from demijohn import __version__
from tests.support.cluster import IMAGE, ROOT

BASE = ROOT / "deploy" / "base"
IN_THE_GUIDES_ORDER = (
    "flask-deployment.yaml",
    "flask-service.yaml",
    "mongodb-statefulset.yaml",
    "mongodb-service.yaml",
    "hpa.yaml",
)


def with_stand_in(manifest: Path) -> str:
    """The manifest's text with the database's image exchanged, as tests/cluster/standin does it."""
    text = manifest.read_text(encoding="utf-8")
    return re.sub(r"\bmongo:[0-9.]+", f"mongodb-standin:{__version__}", text)


def copied_deployment(replicas: int) -> dict[str, Any]:
    """A Deployment as the widely copied guide writes it: its own `replicas`, no probes, no drain.

    The image is ours, and what it needs to start is there.
    """
    environ: list[dict[str, Any]] = [
        {"name": "FLASK_ENV", "value": "development"},
        {"name": "DEMIJOHN_AUTH", "value": "open"},
        {
            "name": "MONGODB_URI",
            "valueFrom": {"secretKeyRef": {"name": "flask-mongodb-auth", "key": "uri"}},
        },
    ]
    container = {
        "name": "flask-app",
        "image": IMAGE,
        "ports": [{"containerPort": 5000}],
        "env": environ,
        "resources": {
            "requests": {"memory": "256Mi", "cpu": "200m"},
            "limits": {"memory": "512Mi", "cpu": "500m"},
        },
        # The copied one has none of this; the tests' namespace would refuse its pods.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    labels = {"app": "flask-app"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flask-deployment"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
