"""Python imports this by itself where its directory is on PYTHONPATH: it puts the fault in.

Only into workers of the service: the launcher and the database's helpers stay as they are.
"""

import os
import sys

FAULT = os.environ.get("TEST_FAULT", "")

if FAULT and "demijohn.launcher.worker" in sys.orig_argv:
    from tests.support.faults import broken

    broken.put_in(FAULT)
