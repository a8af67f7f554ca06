"""Risk of single examples: membership probability, and exposure along the training trajectory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from privacy_report.attack.signals import Examples, taking_part

BINS = 20
PER_BIN = 20


def risks(examples: Examples, seed: int, excluded: Sequence[int] = ()) -> dict[str, np.ndarray]:
    """The examples' own numbers: member_loss (n_member,), nonmember_loss (n_nonmember,), probability (n,).

    excluded: rows of non-members that take no part: they have these numbers, too, but no vote on others.
    """
    loss = np.asarray(examples.loss, np.float64)
    return {
        "member_loss": loss[examples.is_member],
        "nonmember_loss": loss[~examples.is_member],
        "probability": membership_probability(examples, seed, excluded),
    }


def membership_probability(examples: Examples, seed: int, excluded: Sequence[int] = ()) -> np.ndarray:
    """Privacy risk score: P(member | modified entropy, label) at a base rate of one half, float (n,).

    Song & Mittal, "Systematic evaluation of privacy risks" (arXiv 2003.10595, section 5): histograms of
    the modified entropy for each class. Bins have equal counts; an example's histogram is made of the
    other half of the examples, or of the persons, so that nobody votes for himself, and half a count is added
    to each bin. 0.5 where a class has nobody to compare with. excluded: rows of non-members without a vote.
    """
    signal = examples.risk_signal
    half = (np.random.default_rng([seed, 1]).random(len(signal)) < 0.5)[examples.heads]
    votes, result = taking_part(examples.is_member, excluded), np.full(len(signal), 0.5)
    for label in np.unique(examples.labels):
        rows = np.flatnonzero(examples.labels == label)
        for theirs in (True, False):
            seen, new = rows[(half[rows] == theirs) & votes[rows]], rows[half[rows] != theirs]
            result[new] = _posterior(signal[seen], examples.is_member[seen], signal[new])
    return result


def _posterior(seen: np.ndarray, is_member: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Histogram estimate of P(member | signal) at base rate one half."""
    members = int(is_member.sum())
    smaller = min(members, len(seen) - members)
    if not smaller:
        return np.full(len(new), 0.5)
    n_bins = int(np.clip(smaller // PER_BIN, 1, BINS))
    edges = np.quantile(seen, np.arange(1, n_bins) / n_bins)
    bins = np.searchsorted(edges, seen, side="right")
    member = np.bincount(bins[is_member], minlength=n_bins) + 0.5
    nonmember = np.bincount(bins[~is_member], minlength=n_bins) + 0.5
    member, nonmember = member / member.sum(), nonmember / nonmember.sum()
    return (member / (member + nonmember))[np.searchsorted(edges, new, side="right")]


def lt_iqr(losses: np.ndarray) -> np.ndarray:
    """Loss-trajectory interquartile range: Q75 - Q25 of each example's losses, float (n,).

    `losses` (n_checkpoints, n). "Loss traces" that swing widely mark examples that were memorised
    late and are exposed most (arXiv 2411.05743). 0 everywhere for a single checkpoint.
    """
    low, high = np.percentile(losses, [25, 75], axis=0)
    return high - low


def most_exposed(scores: np.ndarray, probability: np.ndarray, most: int = 100) -> np.ndarray:
    """Positions of the highest scores, descending; ties by membership probability, then by position."""
    return np.lexsort((np.arange(len(scores)), -probability, -scores))[:most]
