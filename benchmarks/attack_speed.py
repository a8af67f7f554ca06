"""Seconds of the attacks on one checkpoint, in the default and in the parity mode.

Threshold and logistic regression on the entire dataset and each class (11 slices at ten classes).
"""

from __future__ import annotations

import time

from threadpoolctl import threadpool_limits

from privacy_report.attack import checkpoint, registry
from privacy_report.attack.findings import attack_examples
from privacy_report.audits.attacks import audit_params
from privacy_report.pipeline.dotted import function
from privacy_report.pipeline.outputs import Outputs

ATTACKS, SLICES = ["threshold", "logistic"], ["entire", "class"]


def seconds(outputs: Outputs, mode: str) -> float:
    """Wall time of one checkpoint's rows of ATTACKS on SLICES in a mode, on one thread.

    The same work in both modes, so that they compare: no halves, no risk (see `stage_seconds`).
    """
    params = audit_params(ATTACKS, SLICES, mode)
    start = time.perf_counter()
    examples = function(registry.MODES[mode].examples)(outputs)
    with threadpool_limits(1):
        for attack in ATTACKS:
            attack_examples(examples, checkpoint.plan(attack, params, None))
    return time.perf_counter() - start


def stage_seconds(outputs: Outputs) -> float:
    """Wall time of the whole attack on one checkpoint: the rows, both halves' rows and the risk."""
    start = time.perf_counter()
    checkpoint.attack_outputs(outputs, audit_params(ATTACKS, SLICES))
    return time.perf_counter() - start
