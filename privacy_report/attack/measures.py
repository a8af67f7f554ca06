"""One row of metrics, with intervals and reasons, from the scores of one attack on one slice."""

from __future__ import annotations

import numpy as np

from privacy_report.attack import epsilon_bound, intervals, roc
from privacy_report.pipeline.measured import FPRS, METRICS, Row, with_ends

EVIDENCE = "epsilon_evidence"
"""What bounds epsilon at any level: counts (`epsilon_bound.TailCounts`) and delta. No column of a table."""
BACKWARDS = "AUC below 0.5: members score lower than non-members, which is no advantage"


def measure(
    scores: np.ndarray, is_member: np.ndarray, selects: np.ndarray, ratio: float, delta: float
) -> Row:
    """All of METRICS plus `note` and EVIDENCE, from descending scores (n,) with both sides present.

    `selects` bool (n,) is the random part of the examples that chooses epsilon's threshold; `ratio` is the
    slice's n_nonmember / n_member, the base rate of the PPV; epsilon is bounded at `delta`.
    """
    curve = roc.sorted_roc(scores, is_member)
    counts = epsilon_bound.tail_counts(scores, is_member, selects, delta)
    row = row_of_curve(curve, ratio) | {"epsilon_fixed_split": epsilon_bound.epsilon_low(counts, delta)}
    row[EVIDENCE] = [*counts, delta]
    if row["auc_high"] < 0.5:
        row["note"] = "; ".join(filter(None, [BACKWARDS, row["note"]]))
    return row


def row_of_curve(curve: roc.Roc, ratio: float) -> Row:
    """All metrics except for epsilon's bounds, plus `note`."""
    value = roc.advantage(curve)
    low, high = intervals.auc_interval(curve)
    least, most = intervals.advantage_interval(value, curve.n_member, curve.n_nonmember)
    notes = []
    row: Row = {
        "auc": roc.auc(curve),
        "auc_low": low,
        "auc_high": high,
        "advantage": value,
        "advantage_low": least,
        "advantage_high": most,
        "advantage_p": intervals.advantage_p(curve),
        "ppv": roc.ppv(curve.tpr, curve.fpr, ratio),
        "balanced_accuracy": roc.balanced_accuracy(curve),
    }
    for column, fpr in FPRS.items():
        interval = intervals.tpr_interval(curve, fpr)
        values = (None, None, None) if interval is None else (roc.tpr_at_fpr(curve, fpr), *interval)
        row |= dict(zip(with_ends(column), values, strict=True))
        if interval is None:
            needed = round(intervals.MIN_FALSE_POSITIVES / fpr)
            notes.append(f"no {column}: needs {needed} scored non-members, has {curve.n_nonmember}")
    return row | {"note": "; ".join(notes)}


def refused(reason: str) -> Row:
    """The row of a slice that cannot be attacked: no metrics, and why."""
    return dict.fromkeys(METRICS) | {"note": f"not attacked: {reason}"}


def too_small(n_member: int, n_nonmember: int, least: int) -> str | None:
    """Why a slice cannot be attacked, or None."""
    if not (n_member and n_nonmember):
        return "no members" if n_nonmember else ("no non-members" if n_member else "no examples")
    if min(n_member, n_nonmember) < least:
        return f"{n_member} members and {n_nonmember} non-members, at least {least} of each are needed"
    return None
