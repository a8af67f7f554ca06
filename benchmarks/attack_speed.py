"""Seconds of the attacks on one checkpoint, in the default and in the reference mode.

Threshold and logistic regression on the entire dataset and each class (11 slices at ten classes).
"""

from __future__ import annotations

import time

from threadpoolctl import threadpool_limits

from privacy_report.attack.findings import attack_checkpoint, attack_examples
from privacy_report.attack.parity import ReferenceExamples
from privacy_report.attack.schema import Attack
from privacy_report.attack.signals import pool
from privacy_report.pipeline.files import Outputs

ATTACKS, SLICES = ["threshold", "logistic"], ["entire", "class"]


def seconds(outputs: Outputs, mode: str) -> float:
    """Wall time of one checkpoint's rows of ATTACKS on SLICES in a mode, on one thread.

    The same work in both modes, so that they compare: no halves, no risk (see `stage_seconds`).
    """
    config = Attack(mode=mode, attacks=ATTACKS, slices=SLICES)
    start = time.perf_counter()
    examples = pool(outputs)
    if mode == "reference":
        examples = ReferenceExamples(examples.logits, examples.labels, examples.is_member)
    with threadpool_limits(1):
        attack_examples(examples, config)
    return time.perf_counter() - start


def stage_seconds(outputs: Outputs) -> float:
    """Wall time of the whole attack on one checkpoint: the rows, both halves' rows and the risk."""
    config = Attack(attacks=ATTACKS, slices=SLICES)
    start = time.perf_counter()
    attack_checkpoint(outputs, config)
    return time.perf_counter() - start
