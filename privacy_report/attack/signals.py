"""What a target's outputs say about each example: losses, confidences, entropies, attacker features.

Signals are functions of `Examples` that give a score each, float64 (n,), higher = more likely a member.
All come from float64 logits by formulas that keep their precision where the target is nearly
certain, so that examples tie only when their outputs do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from privacy_report.attack.references import References
from privacy_report.pipeline.outputs import Outputs

TINY = np.finfo(np.float64).tiny
MOST = 10.0
"""A probability within 5e-5 of 0 or 1 is as good as certain to a trained attacker."""


@dataclass(frozen=True)
class Examples:
    """Members and non-members of one checkpoint in one array each, members first.

    `logits` float64 (n, n_classes), `labels` int (n,), `is_member` bool (n,). Where there are any:
    `early_phi` float32 (k, n), the target's own confidences at earlier checkpoints, and `references`.
    """

    logits: np.ndarray
    labels: np.ndarray
    is_member: np.ndarray
    early_phi: np.ndarray | None = None
    references: References | None = None

    @property
    def n_classes(self) -> int:
        return self.logits.shape[1]

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the target predicts the label, bool (n,)."""
        return self.logits.argmax(axis=1) == self.labels

    @cached_property
    def phi(self) -> np.ndarray:
        """Logit-scaled confidence of the label, float64 (n,)."""
        return -_log_odds_against(self.logits, self.labels)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax, float64 (n, n_classes)."""
        exp = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return exp / exp.sum(axis=1, keepdims=True)

    @cached_property
    def loss(self) -> np.ndarray:
        """Cross-entropy in nats, float64 (n,)."""
        return np.logaddexp(0.0, _log_odds_against(self.logits, self.labels))

    @cached_property
    def features(self) -> np.ndarray:
        """What trained attackers see, float64 (n, n_classes + 2).

        Probabilities, the loss, and the log odds of the predicted class, the last two cut at MOST. All are
        bounded: the loss of an example whose probability is 0 (trees, saturated nets) would be so large that
        a few of them leave nothing of the others once features are standardised.
        """
        loss, odds = np.minimum(self.loss, MOST), np.clip(confidence(self), -MOST, MOST)
        return np.ascontiguousarray(np.column_stack([self.probabilities, loss, odds]))

    def take(self, at: np.ndarray) -> Self:
        """The examples at positions `at`."""
        return type(self)(
            self.logits[at],
            self.labels[at],
            self.is_member[at],
            None if self.early_phi is None else self.early_phi[:, at],
            None if self.references is None else self.references.take(at),
        )


def pool(outputs: Outputs) -> Examples:
    """Both sides of a score file, members first.

    The logits lie class by class in memory: reductions over few classes are several times faster so.
    """
    logits = np.concatenate([outputs.member_logits, outputs.nonmember_logits])
    return Examples(
        logits=logits.astype(np.float64, order="F"),
        labels=np.concatenate([outputs.member_labels, outputs.nonmember_labels]),
        is_member=np.arange(len(outputs.member_labels) + len(outputs.nonmember_labels))
        < len(outputs.member_labels),
    )


def _log_odds_against(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """log((1 - p) / p) of one class a row, without forming 1 - p; float64 (n,)."""
    rows = np.arange(len(logits))
    others = logits - logits[rows, classes][:, None]
    others[rows, classes] = -np.inf
    top = others.max(axis=1)
    return top + np.log(np.exp(others - top[:, None]).sum(axis=1))


def negative_loss(examples: Examples) -> np.ndarray:
    """Minus the cross-entropy."""
    return -examples.loss


def confidence(examples: Examples) -> np.ndarray:
    """Log odds of the predicted class: orders examples as its probability does, without saturating."""
    return -_log_odds_against(examples.logits, examples.logits.argmax(axis=1))


def negative_entropy(examples: Examples) -> np.ndarray:
    """Minus the entropy of the prediction, in nats."""
    shifted = examples.logits - examples.logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return (examples.probabilities * log_probs).sum(axis=1)


def negative_modified_entropy(examples: Examples) -> np.ndarray:
    """Minus the modified entropy of Song & Mittal (arXiv 2003.10595, equation 4), in nats."""
    p, rows = examples.probabilities, np.arange(len(examples.labels))
    top = examples.logits.argmax(axis=1)
    rest = p.copy()
    rest[rows, top] = 0.0
    complement = 1.0 - p
    complement[rows, top] = rest.sum(axis=1)  # 1 - p loses every digit as p nears 1
    terms = p * np.log(np.maximum(complement, TINY))
    terms[rows, examples.labels] = -complement[rows, examples.labels] * examples.loss
    return terms.sum(axis=1)
