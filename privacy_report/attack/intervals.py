"""95% intervals and p-values of the numbers read off a ROC curve."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from privacy_report.attack.roc import Roc, auc
from privacy_report.attack.smirnov import p_value
from privacy_report.pipeline.measured import LEVEL

MIN_FALSE_POSITIVES = 5
"""A TPR at an FPR is refused when fewer non-members than this are expected above the threshold."""
PRIOR = 6
"""Examples that each side is credited with where the AUC's variance is estimated; see `auc_interval`."""
Z = float(stats.norm.isf(LEVEL / 2))


def lower_rate(k: ArrayLike, n: ArrayLike, tail: float) -> np.ndarray:
    """Clopper-Pearson lower bound of k successes in n, one-sided error `tail`; arrays broadcast.

    k need not be whole: an average over several orders of the trials is not.
    """
    k, n = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    some = np.where(k <= 0, 1.0, k)
    return np.where(k <= 0, 0.0, special.betaincinv(some, n - some + 1, tail))


def upper_rate(k: ArrayLike, n: ArrayLike, tail: float) -> np.ndarray:
    """Clopper-Pearson upper bound of k successes in n, one-sided error `tail`; arrays broadcast."""
    k, n = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    return 1.0 - lower_rate(n - k, n, tail)


def delong_variance(curve: Roc, prior: float = 0.0) -> float:
    """Variance of the AUC (DeLong 1988) from midranks: placements of each side in the other, ties half.

    `prior` is the number of examples that each side is credited with next to its own (see `auc_interval`):
    their placements have variance AUC (1 - AUC) / 3. Without them a side of one has infinite variance.
    """
    value = auc(curve)
    credit = prior * value * (1.0 - value) / 3
    variance = 0.0
    for placed, counts in zip(placements(curve), (np.diff(curve.tp), np.diff(curve.fp)), strict=True):
        total = counts.sum()
        freedom = total - 1 + prior
        if not freedom:
            return np.inf
        mean = np.dot(placed, counts) / total
        variance += (np.dot((placed - mean) ** 2, counts) + credit) / freedom / total
    return float(variance)


def placements(curve: Roc) -> tuple[np.ndarray, np.ndarray]:
    """The share of the other side that a member, and a non-member, of each threshold wins or loses against.

    Float (g,) each, ties half: of a member the non-members below it, of a non-member the members above it.
    """
    members, nonmembers = np.diff(curve.tp), np.diff(curve.fp)
    of_members = (curve.n_nonmember - curve.fp[1:] + nonmembers / 2) / curve.n_nonmember
    return of_members, (curve.tp[:-1] + members / 2) / curve.n_member


def auc_interval(curve: Roc) -> tuple[float, float]:
    """95% interval of the AUC, always within [0, 1]: DeLong's variance on the logit scale, steadied.

    Few examples underestimate the variance of their placements, most of all near an AUC of 1, where a
    placement that would show it is rare. So each side's variance is averaged with that of PRIOR more
    examples, AUC (1 - AUC) / 3: what placements have where both sides have one distribution, a third of the
    largest variance that a mean allows. With many examples this is DeLong's interval.
    PRIOR was chosen by simulation (tests/attack/test_auc_interval.py repeats a part): normal scores, rounded
    ones included, are covered in 94% to 99% of draws from 10 examples per side on, where DeLong's variance
    alone gets down to 77%; a few examples of a far more skewed side (20 exponential scores against 400 at an
    AUC of 0.92) in 90%.

    The interval is cut where the disjoint pairs of a member and a non-member, min(n_member, n_nonmember) of
    them, exclude more (Clopper-Pearson; no AUC has a larger variance than their mean: Birnbaum & Klose 1957).
    Where all pairs look alike, won, lost or tied, that is all there is: with probability 95% the share of
    pairs that look otherwise is at most 1 - 0.025^(1 / pairs).
    """
    return interval_of_auc(curve, delong_variance(curve, PRIOR), min(curve.n_member, curve.n_nonmember))


def interval_of_auc(curve: Roc, variance: float, pairs: float) -> tuple[float, float]:
    """95% interval of an AUC with this variance, cut where so many independent pairs exclude more."""
    value = auc(curve)
    unseen = 1.0 - (LEVEL / 2) ** (1.0 / pairs)
    if value in (0.0, 1.0):
        return (1.0 - unseen, 1.0) if value else (0.0, unseen)
    if len(curve.thresholds) == 1:
        return 0.5 - unseen / 2, 0.5 + unseen / 2
    half = Z * np.sqrt(variance) / (value * (1.0 - value))
    centre = special.logit(value)
    low, high = lower_rate(value * pairs, pairs, LEVEL / 2), upper_rate(value * pairs, pairs, LEVEL / 2)
    return max(float(low), float(special.expit(centre - half))), min(
        float(high), float(special.expit(centre + half))
    )


def advantage_interval(
    value: float, n_member: int, n_nonmember: int, absolute: bool = False
) -> tuple[float, float]:
    """95% interval of the true advantage, whose observed maximum over thresholds is `value`.

    Valid at any size, conservative, within [0, 1]; each end errs with probability at most LEVEL / 2.
    Upper end: at the one threshold where the true maximum lies, which no sample chooses, the observed
    difference falls short of it by no more than Hoeffding's (1963) bound for two means; the observed maximum
    is no smaller. Lower end: the search over thresholds can raise the observed maximum by no more than
    both sides' distribution functions stray, each at most the one-sided Dvoretzky-Kiefer-Wolfowitz bound
    with Massart's (1990) constant at LEVEL / 4. `absolute` is for max |TPR - FPR|, where both directions were
    searched: LEVEL / 8. The bounds are those of independent scores; for trained attackers, whose examples
    share models, they are an approximation.
    """
    high = value + np.sqrt(np.log(2 / LEVEL) / 2 * (1 / n_member + 1 / n_nonmember))
    log = np.log((8 if absolute else 4) / LEVEL)
    low = value - np.sqrt(log / (2 * n_member)) - np.sqrt(log / (2 * n_nonmember))
    return max(0.0, float(low)), min(1.0, float(high))


def advantage_p(curve: Roc) -> float:
    """P-value of the advantage when both sides have one distribution: one-sided Kolmogorov-Smirnov.

    See `smirnov.p_value` for its errors. Ties make it conservative.
    """
    m, n = curve.n_member, curve.n_nonmember
    return p_value(int(np.max(curve.tp * n - curve.fp * m)), m, n)


@cache
def _binomial_quantiles(n: int, p: float) -> tuple[int, int]:
    few, many = stats.binom.ppf([LEVEL / 4, 1 - LEVEL / 4], n, p)
    return int(few), int(many)


def tpr_interval(curve: Roc, fpr: float) -> tuple[float, float] | None:
    """95% interval of the TPR at a true FPR of `fpr`; None where FPR * n_nonmember < 5.

    Two errors: which threshold has that FPR (the number of non-members above it is binomial, so it lies
    between two order statistics), and how many members exceed a threshold (Clopper-Pearson). Each end joins
    one corner of both, and each corner errs with probability LEVEL / 4, so that an end errs with at most
    LEVEL / 2 whatever the curve. With LEVEL / 2 each it would not where members crowd at the threshold: all
    of the curve's rise lies between two order statistics there, and the errors add up.
    """
    n = curve.n_nonmember
    if fpr * n < MIN_FALSE_POSITIVES - 1e-9:
        return None
    few, many = _binomial_quantiles(n, fpr)
    # The few-th non-member from the top lies above the sought threshold. Members that tie with it need not,
    # so only those above it count. The (many + 1)-th lies below.
    above = curve.tp[np.searchsorted(curve.fp, few) - 1] if few else 0
    beyond = curve.tp[np.searchsorted(curve.fp, many + 1) - 1] if many < n else curve.n_member
    low = lower_rate(above, curve.n_member, LEVEL / 4)
    high = upper_rate(beyond, curve.n_member, LEVEL / 4)
    return float(low), float(high)


def holm(p_values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Which hypotheses Holm's step-down procedure rejects, bool (n,); valid under any dependence."""
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] * np.arange(len(p_values), 0, -1) <= level
    rejected = np.zeros(len(p_values), bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected
