"""What each row of logits says by itself: arrays in, arrays out.

Every function takes float64 logits (n, n_classes) and labels int (n,), and the rows have nothing to do with
each other, so that large arrays can be read a block at a time. The formulas keep their precision where the
target is nearly certain, so that examples tie only when their outputs do. Then they do tie: sums run over
`ordered` rows, or their last digit would depend on which class it is that has a probability.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

TINY = np.finfo(np.float64).tiny
MOST = 10.0
"""A probability within 5e-5 of 0 or 1 is as good as certain to a trained attacker."""
MOST_CLASSES = 10
"""Of more classes a trained attacker sees only so many of the largest probabilities."""

RowFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(logits (n, n_classes), labels (n,)) -> an array (n,) or (n, k)."""


def correct(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the largest logit is the label's, bool (n,)."""
    return logits.argmax(axis=1) == labels


def ordered(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with their logits ascending, and where the label's then is: the first of those that equal it."""
    of_label = logits[np.arange(len(labels)), labels]
    return np.sort(logits, axis=1), np.count_nonzero(logits < of_label[:, None], axis=1)


def odds_against_label(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log((1 - p) / p) of the label's probability, float64 (n,)."""
    return _log_odds_against(*ordered(logits, labels))


def odds_of_predicted(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of the predicted class's probability, float64 (n,)."""
    return -_log_odds_against(np.sort(logits, axis=1), np.full(len(logits), logits.shape[1] - 1))


def negative_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the entropy of the prediction, in nats, float64 (n,)."""
    logits = np.sort(logits, axis=1)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return (_probabilities(logits) * log_probs).sum(axis=1)


def negative_modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the modified entropy of Song & Mittal (arXiv 2003.10595, equation 4), in nats, float64 (n,)."""
    logits, labels = ordered(logits, labels)
    loss = np.logaddexp(0.0, _log_odds_against(logits, labels))
    return modified_entropy(_probabilities(logits), loss, logits, labels)


def modified_entropy(p: np.ndarray, loss: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`negative_modified_entropy` of probabilities (n, n_classes) and losses (n,) that are given."""
    rows, top = np.arange(len(labels)), logits.argmax(axis=1)
    rest = p.copy()
    rest[rows, top] = 0.0
    complement = 1.0 - p
    complement[rows, top] = rest.sum(axis=1)  # 1 - p loses every digit as p nears 1
    terms = p * np.log(np.maximum(complement, TINY))
    terms[rows, labels] = -complement[rows, labels] * loss
    return terms.sum(axis=1)


def features(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What trained attackers see, float64 (n, up to MOST_CLASSES + 3).

    Probabilities, the loss, and the log odds of the predicted class, the last two cut at MOST. All are
    bounded: the loss of an example whose probability is 0 (trees, saturated nets) would be so large that
    a few of them leave nothing of the others once features are standardised. Of more than MOST_CLASSES
    classes the largest probabilities, descending, and log(1 + how many classes are above the label).
    """
    loss = np.minimum(np.logaddexp(0.0, odds_against_label(logits, labels)), MOST)
    odds = np.clip(odds_of_predicted(logits, labels), -MOST, MOST)
    p = _probabilities(logits)
    if p.shape[1] <= MOST_CLASSES:
        return np.column_stack([p, loss, odds])
    largest = -np.sort(np.partition(-p, MOST_CLASSES - 1, axis=1)[:, :MOST_CLASSES], axis=1)
    of_label = logits[np.arange(len(labels)), labels]
    rank = np.log1p(np.count_nonzero(logits > of_label[:, None], axis=1))
    return np.column_stack([largest, rank, loss, odds])


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax, float64 (n, n_classes)."""
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def _log_odds_against(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """log((1 - p) / p) of one class a row, without forming 1 - p; float64 (n,)."""
    rows = np.arange(len(logits))
    others = logits - logits[rows, classes][:, None]
    others[rows, classes] = -np.inf
    top = others.max(axis=1)
    return top + np.log(np.exp(others - top[:, None]).sum(axis=1))
