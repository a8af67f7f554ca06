"""The few numbers of a variant that `dvc metrics` shows: of the epoch that its verdict speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.gate.policy import numbers
from privacy_report.gate.rules import Checkpoint
from privacy_report.gate.twins import audited_epsilon
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import NAMES
from privacy_report.pipeline.tables import Row, where

FOLDER = Path("metrics")
DIGITS = 4  # significant; the intervals do not support more


def metrics(
    verdict: Mapping[str, Any],
    rows: Sequence[Row],
    claim: Claim | None,
    one_run: Mapping[str, Any] | None,
    white_box: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Verdict and numbers of one checkpoint, `epoch`, on all examples; what was not measured is left out.

    The epoch is the recommended one, else the last. rows: privacy.csv; claim: None without
    differential privacy; one_run, white_box: the audits of the variant or its audit twins, by examples and by
    gradients. epsilon_audited: by gradients where there is such a twin; epsilon_audited_black_box is then by
    examples. leak_detected: yes, no, or not measured.
    """
    scope = verdict["scope"]
    epoch = scope["epoch"]
    at = list(where(rows, epoch=float(epoch)))
    found, whole = (
        numbers(Checkpoint(epoch, at, released=verdict.get("released"))),
        next(where(at, slice=ENTIRE)),
    )
    values = {
        "train_accuracy": whole["accuracy"],
        "val_accuracy": whole["val_accuracy"],
        "auc": found.get("auc"),
        "advantage": found.get("advantage"),
        "tpr_at_1pct_fpr": found.get("tpr_at_1pct_fpr"),
        NAMES: found.get(NAMES),
        "epsilon": claim.epsilon if claim else None,
        "delta": claim.delta if claim else None,
        "epsilon_audited": audited_epsilon(white_box or one_run, epoch),
        "epsilon_audited_black_box": audited_epsilon(one_run if white_box else None, epoch),
    }
    leak = "yes" if scope["leaks"] else "no" if scope["power"] is not None else "not measured"
    chosen = {name: verdict[name] for name in ("recommended_epoch",) if name in verdict}
    return {"verdict": verdict["verdict"], "leak_detected": leak, "epoch": epoch, **chosen, **rounded(values)}


def rounded(values: Mapping[str, float | None]) -> dict[str, float]:
    """Numbers at DIGITS significant digits, without those that could not be measured."""
    return {name: float(f"{value:.{DIGITS}g}") for name, value in values.items() if value is not None}
