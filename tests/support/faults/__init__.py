"""Builds of the service with one thing wrong: the controls of the tests that find it.

`environ(fault)` is for a service's settings: its workers then run that build.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "TEST_FAULT"
RECORD_AFTER_EFFECT = "record-after-effect"
RECORD_BEFORE_EFFECT = "record-before-effect"
VERSION_BY_VALUE = "version-by-value"
ACKNOWLEDGED_EARLY = "acknowledged-early"
ERRORS_MIXED_UP = "errors-mixed-up"
UNACKNOWLEDGED = "unacknowledged"
CONDITION_APART = "condition-apart"
KEY_IGNORED = "key-ignored"
_HERE = Path(__file__).parent


def environ(fault: str) -> dict[str, str]:
    """What has a Python process read `sitecustomize.py` beside this file, and which fault it is."""
    root = _HERE.parents[2]
    return {VARIABLE: fault, "PYTHONPATH": os.pathsep.join([str(_HERE), str(root)])}
