"""The few numbers of a variant that `dvc metrics` shows: of the recommended checkpoint, else of the last."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.gate.policy import numbers
from privacy_report.gate.rules import Checkpoint
from privacy_report.gate.twins import audited_epsilon
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.tables import Row, where

FOLDER = Path("metrics")
DIGITS = 4  # significant; the intervals do not support more


def metrics(
    verdict: Mapping[str, Any],
    rows: Sequence[Row],
    epsilon: Mapping[int, float],
    one_run: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Verdict and numbers of one checkpoint; what could not be measured is left out.

    rows: privacy.csv; one_run: the one-run audit of the variant or its audit twin. A recommended checkpoint's
    numbers are those of the half of the examples that had no part in the choice; the last checkpoint's are
    those of all examples, as accuracies and the leak always are.
    """
    epoch = verdict.get("recommended_epoch")
    last = int(max(row["epoch"] for row in rows))
    at = list(where(rows, epoch=float(last if epoch is None else epoch)))
    found = dict(verdict) if epoch is not None else numbers(Checkpoint(last, at, epsilon.get(last, math.nan)))
    whole = next(where(at, slice=ENTIRE))
    values = {
        "train_accuracy": whole["accuracy"],
        "val_accuracy": whole["val_accuracy"],
        "auc": found.get("auc"),
        "advantage": found.get("advantage"),
        "tpr_at_1pct_fpr": found.get("tpr_at_1pct_fpr"),
        "epsilon": found.get("epsilon"),
        "epsilon_audited": audited_epsilon(one_run, last if epoch is None else epoch),
    }
    said = {"verdict": verdict["verdict"], "leak_detected": "yes" if verdict["scope"]["leaks"] else "no"}
    chosen = {} if epoch is None else {"recommended_epoch": epoch}
    return {**said, **chosen, **rounded(values)}


def rounded(values: Mapping[str, float | None]) -> dict[str, float]:
    """Numbers at DIGITS significant digits, without those that could not be measured."""
    return {name: float(f"{value:.{DIGITS}g}") for name, value in values.items() if value is not None}
