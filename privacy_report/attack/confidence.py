"""Logit-scaled confidences and what they are in probabilities, precise where p nears 0 or 1."""

from __future__ import annotations

import numpy as np
from scipy import special

from privacy_report.errors import UserError


def logit_confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """phi = log(p / (1 - p)) of the label's probability p: z_y - logsumexp of the other logits.

    `logits` (n, c) with c >= 2, `labels` int (n,); float64 (n,), unbounded, exact where 1 - p or p is
    far below the smallest step of a float. Rows with NaN or infinity give NaN or infinity. UserError for
    other shapes and for labels outside 0..c-1. Source: Carlini et al. 2022 (arXiv 2112.03570), section IV.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 2 or logits.shape[1] < 2 or labels.shape != logits.shape[:1]:
        raise UserError(
            f"logits and labels: got shapes {logits.shape} and {labels.shape}, allowed: (n, c >= 2), (n,)"
        )
    if labels.dtype.kind not in "iu":
        raise UserError(f"labels: got {labels.dtype}, allowed: integers")
    if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise UserError(f"labels: got {labels.min()}..{labels.max()}, allowed: 0..{logits.shape[1] - 1}")
    rows = np.arange(len(logits))
    with np.errstate(invalid="ignore"):  # infinity minus infinity, of a target that diverged
        others = logits - logits[rows, labels][:, None]  # first, or the label's digits would be lost
        others[rows, labels] = -np.inf
        top = others.max(axis=1)
        return -(top + np.log(np.exp(others - top[:, None]).sum(axis=1)))


def log_probability(phi: np.ndarray) -> np.ndarray:
    """log p of a logit-scaled confidence: -log(1 + exp(-phi)), float64, without overflow."""
    return special.log_expit(np.asarray(phi, np.float64))


def log_mean_probability(phi: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """log of the mean p over models, float64 (n,): of phi (k, n), of all models or of the `chosen` (k, n).

    Keeps its relative precision at both ends: from the mean of 1 - p where that is below a half (log p
    nears 0 there, and a log of sums would round it to a multiple of 1e-16), else from log p, which may be as
    low as -700. NaN where no model is chosen.
    """
    doubt = mean_doubt(phi, chosen)
    result = np.log1p(-np.minimum(doubt, 0.5))
    low = doubt > 0.5
    if low.any():
        logs = log_probability(phi[:, low])
        if chosen is not None:
            logs[~chosen[:, low]] = -np.inf
        counts = len(phi) if chosen is None else chosen[:, low].sum(axis=0)
        result[low] = special.logsumexp(logs, axis=0) - np.log(counts)
    return result


def phi_of_mean_probability(phi: np.ndarray) -> np.ndarray:
    """phi of the mean p over models, float64 (n,), of phi (k, n): log of the mean p over the mean 1 - p.

    What one model would say that answered with the mean of all; precise where p nears 0 or 1.
    """
    return log_mean_probability(phi) - log_mean_probability(-phi)


def mean_doubt(phi: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """Mean of 1 - p over models, float64 (n,); of all, or of the `chosen` (k, n). NaN where there is none."""
    total, count = np.zeros(phi.shape[1]), np.zeros(phi.shape[1])
    for i, row in enumerate(phi):  # row by row: no float64 copy of (k, n)
        weight = 1.0 if chosen is None else chosen[i]
        total += special.expit(-row.astype(np.float64)) * weight
        count += weight
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
