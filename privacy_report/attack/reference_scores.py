"""Attacks that compare the target with reference models, or with its own past: a score per example.

Each takes the target's logit-scaled confidences (n,) and the `References` and gives float64 (n,), higher =
more likely a member. The target is never among the references, and the memberships of the references say
nothing about the target's: were exactly half of all models *with* the target trained on each example, the
number of IN references alone would give its membership away.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from privacy_report.attack.confidence import log_mean_probability, log_probability, mean_doubt
from privacy_report.attack.references import (
    References,
    Side,
    TooFewError,
    check_finite,
    check_target,
)
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.errors import UserError

Score = Callable[[np.ndarray, References], np.ndarray]

OFFLINE_A = tuple(i / 10 for i in range(11))
"""What `choose_offline_a` tries."""
PUBLISHED_OFFLINE_A = 0.3
"""The paper's value for CIFAR-10, where there are too few references to choose one."""
TUNED_ON = 4
"""References that are attacked to choose `a`: two pairs. Each costs as much as eleven ROC curves."""


def lira(target_phi: np.ndarray, references: References) -> np.ndarray:
    """Likelihood ratio of two Gaussians per example: log N(phi; mu_in, s_in) - log N(phi; mu_out, s_out).

    One mean per example, one fixed spread per side (see `spreads`). An example without a reference on one
    side takes the other side's mean, moved by the mean gap of the examples with both. UserError where none
    has both. Source: Carlini et al. 2022 (arXiv 2112.03570); unlike in the authors' code, spreads are of
    residuals about the example's mean, and OUT has its own.
    """
    phi = check_target(target_phi, references.phi)
    gap = references.inside.mean - references.outside.mean
    if np.isnan(gap).all():
        raise TooFewError("lira: got no example with both an IN and an OUT reference, allowed: at least one")
    shift = np.nanmean(gap)
    mu_in = np.where(references.inside.count > 0, references.inside.mean, references.outside.mean + shift)
    mu_out = np.where(references.outside.count > 0, references.outside.mean, references.inside.mean - shift)
    s_in, s_out = spreads(references)
    return np.log(s_out / s_in) + ((phi - mu_out) / s_out) ** 2 / 2 - ((phi - mu_in) / s_in) ** 2 / 2


def lira_offline(target_phi: np.ndarray, references: References) -> np.ndarray:
    """How far the target's confidence lies above the OUT references': z = (phi - mu_out) / s_out.

    It orders as the one-sided probability of the paper does (arXiv 2112.03570, equation 4) and does not
    saturate; the authors' code takes a two-sided density, which counts an improbably *low* confidence as
    membership, too. UserError for an example without an OUT reference.
    """
    phi = check_target(target_phi, references.phi)
    references.require_outside("lira_offline")
    return (phi - references.outside.mean) / spreads(references)[1]


def spreads(references: References) -> tuple[float, float]:
    """The fixed standard deviations (IN, OUT) that all examples share; see `Side.variance`.

    A side on which no example has two references takes the other side's. With neither (one pair) both are 1:
    equal spreads do not change the order of the scores. UserError where references do not differ at all.
    """
    variances = [side.variance for side in (references.inside, references.outside)]
    known = [v for v in variances if not np.isnan(v)]
    inside, outside = (v if not np.isnan(v) else (known[0] if known else 1.0) for v in variances)
    if not min(inside, outside) > 0:
        raise UserError(
            "references: got the same outputs on one side of every example, allowed: a spread above 0"
        )
    return float(np.sqrt(inside)), float(np.sqrt(outside))


def rmia(target_phi: np.ndarray, references: References) -> np.ndarray:
    """log of the target's p over the mean p of all references, IN and OUT.

    Has the ROC of RMIA (Zarifzadeh et al. 2024, arXiv 2312.03262) for every gamma and any population points
    z, since the share of z that x beats grows with this ratio; without the ties that counting brings
    (Lassila et al. 2025 call it BASE). It does not ask who trained on what: an example without an IN
    or OUT reference is compared with those it has.
    """
    phi = check_target(target_phi, references.phi)
    return log_probability(phi) - references.log_mean


def rmia_offline(target_phi: np.ndarray, references: References, a: float | None = None) -> np.ndarray:
    """log of the target's p over p_bar = ((1 + a) mean OUT p + 1 - a) / 2, the stand-in for the mean of both.

    `a` in [0, 1]; None chooses it (`choose_offline_a`), or takes the paper's 0.3 where there is only one
    group of references. UserError for an example without an OUT reference. Source: arXiv 2312.03262.
    """
    phi = check_target(target_phi, references.phi)
    references.require_outside("rmia_offline")
    if a is None:
        several = references.group_size < references.k
        a = choose_offline_a(references) if several else PUBLISHED_OFFLINE_A
    if not 0 <= a <= 1:
        raise UserError(f"rmia_offline: got a = {a}, allowed: 0 to 1")
    outside = ~references.is_member
    doubt, log_mean = mean_doubt(references.phi, outside), log_mean_probability(references.phi, outside)
    return log_probability(phi) - _log_offline_mean(doubt, log_mean, a)


def _log_offline_mean(doubt: np.ndarray, log_mean: np.ndarray, a: float) -> np.ndarray:
    """log ((1 + a) p + 1 - a) / 2 for the mean OUT p, given as 1 - p and log p; precise at both ends."""
    if a == 1.0:
        return log_mean
    return np.log1p(-(1 + a) / 2 * doubt)


def choose_offline_a(references: References) -> float:
    """The `a` of OFFLINE_A with which references find each other's members best (mean AUC; ties: the least).

    Attacks up to TUNED_ON references, each with those outside its group, and asks for no label of the target.
    UserError for fewer than two groups. Source: arXiv 2312.03262, which tunes `a` in the same way.
    """
    auc_sums = np.zeros(len(OFFLINE_A))
    for j in range(min(references.k, TUNED_ON)):
        others = references.without_group_of(j)
        others.require_outside("choose_offline_a")
        outside = ~others.is_member
        doubt, log_mean = mean_doubt(others.phi, outside), log_mean_probability(others.phi, outside)
        log_p, inside = log_probability(references.phi[j]), references.is_member[j]
        for i, a in enumerate(OFFLINE_A):
            scores = log_p - _log_offline_mean(doubt, log_mean, a)
            auc_sums[i] += auc(roc_curve(scores[inside], scores[~inside]))
    return OFFLINE_A[int(auc_sums.argmax())]


def bavaria(target_phi: np.ndarray, references: References) -> np.ndarray:
    """BaVarIA-t: log predictive Student-t density of phi, IN minus OUT, with a prior on mean and variance.

    A normal-inverse-gamma prior per side (kappa0 = 1, alpha0 = 2), around the side's mean over all examples
    and references and with the variance about it. An example without a reference on a side has only the
    prior there. UserError where a side is empty or does not vary. Source: arXiv 2603.11799.
    """
    phi = check_target(target_phi, references.phi)
    return _log_predictive(phi, references.inside, "IN") - _log_predictive(phi, references.outside, "OUT")


def _log_predictive(phi: np.ndarray, side: Side, name: str) -> np.ndarray:
    """log density of phi (n,) under each example's posterior predictive Student-t."""
    n = side.count
    if not n.any():
        raise UserError(f"bavaria: got no {name} reference of any example, allowed: at least one")
    xbar = np.where(n > 0, side.mean, 0.0)
    mu0 = np.dot(n, xbar) / n.sum()
    variance = (side.squares.sum() + np.dot(n, (xbar - mu0) ** 2)) / n.sum()
    if not variance > 0:
        raise UserError(
            f"bavaria: got one and the same confidence in all {name} references, allowed: a spread above 0"
        )
    kappa0, alpha0 = 1.0, 2.0
    kappa, alpha = kappa0 + n, alpha0 + n / 2
    beta = variance * (alpha0 - 1) + side.squares / 2 + kappa0 * n * (xbar - mu0) ** 2 / (2 * kappa)
    centre = (kappa0 * mu0 + n * xbar) / kappa
    scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
    return stats.t.logpdf(phi, 2 * alpha, centre, scale)


def trajectory(target_phi: np.ndarray, early_phi: np.ndarray) -> np.ndarray:
    """log of the target's p over its mean p at its own early checkpoints: no reference has to be trained.

    `early_phi` (k, n) with k >= 1: confidences of earlier checkpoints of the same run. UserError for other
    shapes, for NaN or infinity, and for the target among its own early checkpoints.
    """
    early = np.asarray(early_phi, np.float32)
    if early.ndim != 2 or not early.size:
        raise UserError(f"early_phi: got shape {early.shape}, allowed: (k >= 1, n >= 1)")
    check_finite(early, "early checkpoint")
    phi = check_target(target_phi, early, "early checkpoint")
    return log_probability(phi) - log_mean_probability(early)


REFERENCE_SCORES: dict[str, Score] = {
    "lira": lira,
    "lira_offline": lira_offline,
    "rmia": rmia,
    "rmia_offline": rmia_offline,
    "bavaria": bavaria,
}
"""Attacks with reference models, by name."""
