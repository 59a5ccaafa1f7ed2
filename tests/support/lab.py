"""Programs that tests/cluster/lab brings, and a cluster of one's own does not have."""

from __future__ import annotations

import os
import shutil

import pytest


def lab_tool(name: str) -> str:
    """Where the program is. The test is skipped where there is no lab, and fails where there is."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CLUSTER_LAB"), f"{name} is missing: `make cluster` builds it"
        pytest.skip(f"{name} comes with tests/cluster/lab, and is not there")
    return found
