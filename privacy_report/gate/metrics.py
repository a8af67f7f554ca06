"""The few numbers of a variant that `dvc metrics` shows: of the epoch that its verdict speaks of.

Names and words are short, so that the table of the committed study has 120 columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.policy import numbers
from privacy_report.gate.twins import audited_epsilon
from privacy_report.gate.words import in_a_word
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import ENTIRE
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

    The epoch is the chosen one, confirmed or not, else the last. rows: privacy.csv; claim: None without
    differential privacy; one_run, white_box: the audits of the variant or its audit twins, by examples and by
    gradients, of which that by gradients counts. Next to a claim, which is of all epochs, it counts whichever
    the epoch is. leak: whether one was detected: yes, no, or not measured.
    """
    scope = verdict["scope"]
    epoch, audit = scope["epoch"], white_box or one_run
    at = list(where(rows, epoch=float(epoch)))
    worst, whole = (
        numbers(Checkpoint(epoch, at, released=verdict.get("released"))),
        next(where(at, slice=ENTIRE)),
    )
    values = {
        "val_acc": whole["val_accuracy"],
        "advantage": worst.get("advantage"),
        "tpr_1pct": worst.get("tpr_at_1pct_fpr"),
        "epsilon": claim.epsilon if claim else None,
        "eps_audited": audited_epsilon(audit, None if claim else epoch),
    }
    leak = "yes" if scope["leaks"] else "no" if scope["power"] is not None else "not measured"
    return {"verdict": in_a_word(verdict), "leak": leak, "epoch": epoch, **rounded(values)}


def rounded(values: Mapping[str, float | None]) -> dict[str, float]:
    """Numbers at DIGITS significant digits, without those that could not be measured."""
    return {name: float(f"{value:.{DIGITS}g}") for name, value in values.items() if value is not None}
