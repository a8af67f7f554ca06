"""The one unfavourable interval end that the attack tables do not carry themselves."""

from __future__ import annotations

from scipy.stats import beta

ALPHA = 0.05  # two-sided; each end is wrong with probability at most ALPHA / 2


def accuracy_low(accuracy: float, n: float) -> float:
    """Lower 97.5% confidence bound of an accuracy measured on `n` examples (Clopper & Pearson 1934)."""
    right = round(accuracy * n)
    return 0.0 if right == 0 else float(beta.ppf(ALPHA / 2, right, n - right + 1))
