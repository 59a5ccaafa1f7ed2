"""How long an autoscaler takes to come down, by its own `spec.behavior.scaleDown`."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor, inf
from typing import Any

MARGIN = 120.0
"""Seconds on top: old figures, the autoscaler's own looks, and the last pod's drain."""
_WINDOW = 300.0
_POLICIES: tuple[Mapping[str, Any], ...] = ({"type": "Percent", "value": 100, "periodSeconds": 15},)
"""Kubernetes' defaults."""


def scale_down_seconds(behavior: Mapping[str, Any], most: int, least: int) -> float:
    """Seconds from the load's fall until `most` have become `least`; infinite where never."""
    rules = behavior.get("scaleDown") or {}
    chosen = rules.get("selectPolicy") or "Max"
    if chosen == "Disabled":
        return inf
    window = rules.get("stabilizationWindowSeconds")
    each = [_steps(policy, most, least) for policy in rules.get("policies") or _POLICIES]
    # "Max" is the policy that takes away most: the fastest.
    way = min(each) if chosen == "Max" else max(each)
    return float(_WINDOW if window is None else window) + way + MARGIN


def _steps(policy: Mapping[str, Any], most: int, least: int) -> float:
    """Seconds that one policy needs for all of the way."""
    period, value = float(policy["periodSeconds"]), float(policy["value"])
    if policy["type"] == "Pods":
        return ceil((most - least) / value) * period
    periods, size = 0, most
    while size > least:
        size = floor(size * (1 - value / 100))
        periods += 1
    return periods * period
