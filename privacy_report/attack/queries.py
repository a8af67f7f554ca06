"""Several answers of one model about one example, taken as one: the example itself, mirrored and moved."""

from __future__ import annotations

import numpy as np
from scipy import special

from privacy_report.attack.references import check_finite

SURE = 37.0
"""A confidence phi above which -log p is exp(-phi) to the last digit of a float64."""


def combined(phi: np.ndarray) -> np.ndarray:
    """The confidence of the geometric mean of p over queries, float64 (n,): of phi (queries, n).

    So log p is averaged. Its relative precision is kept at both ends: it is the logarithm of the loss -log p
    that is worked with, which may be as low as -700, where p itself is 1. NaN gives NaN, and -inf gives
    -inf; but +inf is a loss of 0, which the other queries hide: check before.
    """
    phi = np.asarray(phi, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_loss = np.where(phi > SURE, -phi, np.log(np.logaddexp(0.0, -phi)))
        mean = special.logsumexp(log_loss, axis=0) - np.log(len(phi))
        loss = np.exp(mean)
        return np.where(mean < -SURE, -mean, -loss - np.log(-np.expm1(-loss)))


def models_combined(phi: np.ndarray) -> np.ndarray:
    """The same of each of k models: float32 (k, n), of phi (k, queries, n), or of (k, n) as it is.

    UserError that names the first model with an answer that is not finite.
    """
    check_finite(phi, "reference")
    return phi if phi.ndim == 2 else np.stack([combined(answers).astype(np.float32) for answers in phi])


def models_asked_once(phi: np.ndarray) -> np.ndarray:
    """What each of k models says of the examples themselves: (k, n), of phi (k, queries, n), or of (k, n)."""
    return phi if phi.ndim == 2 else phi[:, 0]
