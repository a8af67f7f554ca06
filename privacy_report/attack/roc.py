"""ROC curves as integer counts, and the numbers that are read off them.

Scores point up: higher = more likely a member. Rates are fractions. Nothing here rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Roc:
    """All operating points of "member if score >= threshold", from strict to lax.

    `thresholds` float (g,) distinct and descending; `tp` and `fp` int (g + 1,): members and
    non-members at or above each threshold, preceded by the point (0, 0).
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fp: np.ndarray

    @property
    def n_member(self) -> int:
        return int(self.tp[-1])

    @property
    def n_nonmember(self) -> int:
        return int(self.fp[-1])

    @cached_property
    def tpr(self) -> np.ndarray:
        return self.tp / self.n_member

    @cached_property
    def fpr(self) -> np.ndarray:
        return self.fp / self.n_nonmember


def sorted_roc(scores: np.ndarray, is_member: np.ndarray) -> Roc:
    """The curve of scores that descend already. Both sides must be present; O(n)."""
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    tp = np.cumsum(is_member, dtype=np.int64)[last]
    return Roc(scores[last], np.concatenate([[0], tp]), np.concatenate([[0], last + 1 - tp]))


def roc_curve(member_scores: np.ndarray, nonmember_scores: np.ndarray) -> Roc:
    """The curve of two score arrays (n_member,), (n_nonmember,), neither empty; O(n log n)."""
    scores = np.concatenate([member_scores, nonmember_scores])
    order = np.argsort(-scores)
    return sorted_roc(scores[order], (np.arange(len(scores)) < len(member_scores))[order])


def auc(curve: Roc) -> float:
    """P(member's score > non-member's) + P(equal) / 2: Mann-Whitney's U / (n_member * n_nonmember)."""
    twice = np.sum(np.diff(curve.fp) * (curve.tp[1:] + curve.tp[:-1]))
    return float(twice / (2 * curve.n_member * curve.n_nonmember))


def advantage(curve: Roc) -> float:
    """max (TPR - FPR): the one-sided two-sample Kolmogorov-Smirnov statistic, never negative."""
    return float(np.max(curve.tpr - curve.fpr))


def balanced_accuracy(curve: Roc) -> float:
    """The best (TPR + TNR) / 2 over thresholds, which is (1 + advantage) / 2."""
    return (1.0 + advantage(curve)) / 2.0


def ppv(tpr: np.ndarray, fpr: np.ndarray, ratio: float) -> float:
    """Best positive predictive value over thresholds, at the base rate 1 / (1 + ratio).

    `ratio` is n_nonmember / n_member. Where both rates are at most 1e-3 the base rate stands in, as in
    the reference, since a handful of examples would otherwise give 1.
    """
    tiny = (tpr <= 1e-3) & (fpr <= 1e-3)
    values = np.full(len(tpr), 1.0 / (1.0 + ratio))
    np.divide(tpr, tpr + fpr * ratio, out=values, where=~tiny)
    return float(values.max())


def tpr_at_fpr(curve: Roc, fpr: float) -> float:
    """The largest TPR of a threshold whose FPR is at most `fpr` (no interpolation)."""
    allowed = np.floor(fpr * curve.n_nonmember * (1 + 1e-12))
    return float(curve.tpr[np.searchsorted(curve.fp, allowed, side="right") - 1])


def thin(curve: Roc, most: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """(fpr, tpr) of at most `most` vertices: the best TPR of each FPR.

    The strictest half are all kept, so that the curve is exact at small FPR; the others are evenly spaced.
    """
    best = np.flatnonzero(np.append(np.diff(curve.fp) > 0, True))
    if len(best) > most:
        head = most // 2
        rest = np.linspace(head, len(best) - 1, most - head).round().astype(int)
        best = best[np.concatenate([np.arange(head), rest])]
    return curve.fpr[best], curve.tpr[best]
