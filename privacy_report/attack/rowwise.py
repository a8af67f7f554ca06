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
    return -_log_odds_against_largest(np.sort(logits, axis=1))


def negative_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the entropy of the prediction, in nats, float64 (n,)."""
    rows = np.sort(logits, axis=1)
    shifted = rows - rows[:, -1:]
    exp = np.exp(shifted)
    total = exp.sum(axis=1, keepdims=True)
    shifted -= np.log(total)
    exp /= total
    return (exp * shifted).sum(axis=1)


def negative_modified_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the modified entropy of Song & Mittal (arXiv 2003.10595, equation 4), in nats, float64 (n,)."""
    rows, at = ordered(logits, labels)
    loss = np.logaddexp(0.0, _log_odds_against(rows, at))
    return modified_entropy(softmax(rows), loss, rows, at)


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
    rows, at = ordered(logits, labels)
    loss = np.minimum(np.logaddexp(0.0, _log_odds_against(rows, at)), MOST)
    odds = np.clip(-_log_odds_against_largest(rows), -MOST, MOST)
    p = softmax(logits)
    if p.shape[1] <= MOST_CLASSES:
        return np.column_stack([p, loss, odds])
    largest = -np.sort(np.partition(-p, MOST_CLASSES - 1, axis=1)[:, :MOST_CLASSES], axis=1)
    of_label = logits[np.arange(len(labels)), labels]
    rank = np.log1p(np.count_nonzero(logits > of_label[:, None], axis=1))
    return np.column_stack([largest, rank, loss, odds])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax, float64 (n, n_classes)."""
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def _log_odds_against(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """log((1 - p) / p) of one class per row, without forming 1 - p, of ascending rows; float64 (n,)."""
    every, last = np.arange(len(rows)), rows.shape[1] - 1
    own = rows[every, at]
    top = np.where(at == last, rows[:, -2], rows[:, -1])
    others = rows - top[:, None]
    others[every, at] = -np.inf
    return (top - own) + np.log(np.exp(others, out=others).sum(axis=1))


def _log_odds_against_largest(rows: np.ndarray) -> np.ndarray:
    """`_log_odds_against` of the last class of ascending rows."""
    top = rows[:, -2]
    others = rows[:, :-1] - top[:, None]
    return (top - rows[:, -1]) + np.log(np.exp(others, out=others).sum(axis=1))
