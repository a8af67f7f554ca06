"""Imported before all others: each process of pytest-xdist, and all that it starts, keeps to one core.

So a stage's cluster has one worker, and no library starts threads that wait for each other. A test of several
workers starts them itself, or takes the fixture `all_cores`.
"""

from __future__ import annotations

import os

CAN_PIN = hasattr(os, "sched_setaffinity")
ALL = frozenset(os.sched_getaffinity(0)) if CAN_PIN else frozenset()
"""The cores that the tests may use."""
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, ...

if CAN_PIN and _WORKER:
    os.sched_setaffinity(0, {sorted(ALL)[int(_WORKER.removeprefix("gw")) % len(ALL)]})
