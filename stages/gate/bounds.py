"""Unfavourable interval ends that the attack tables do not carry themselves."""

from __future__ import annotations

import math

from scipy.stats import beta

ALPHA = 0.05  # two-sided; each end is wrong with probability at most ALPHA / 2


def advantage_high(advantage: float, n_member: float, n_nonmember: float) -> float:
    """Upper 97.5% confidence bound of the true advantage max |TPR - FPR|, valid at any sample size.

    Advantage and bound are fractions; the group sizes count examples. The true advantage is reached at
    some threshold that does not depend on the sample. There the observed TPR - FPR is a difference of
    two means of independent 0/1 values, and the observed maximum is at least as large. So Hoeffding's
    inequality for the difference of two means (1963, corollary of theorem 1), taken at that one
    threshold, bounds how far the observed maximum can fall below the truth:
    sqrt(ln(2 / ALPHA) / 2 * (1 / n_member + 1 / n_nonmember)). No
    correction for the search over thresholds is needed, because the search can only raise the maximum.
    For trained attackers, whose cross-fitted scores are not quite independent, it is an approximation.
    """
    reach = math.sqrt(math.log(2 / ALPHA) / 2 * (1 / n_member + 1 / n_nonmember))
    return min(1.0, advantage + reach)


def accuracy_low(accuracy: float, n: float) -> float:
    """Lower 97.5% confidence bound of an accuracy measured on `n` examples (Clopper & Pearson 1934)."""
    right = round(accuracy * n)
    return 0.0 if right == 0 else float(beta.ppf(ALPHA / 2, right, n - right + 1))
