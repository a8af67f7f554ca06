"""What a target's outputs say about each example: losses, confidences, entropies, attacker features.

Signals are functions of `Examples` that give a score each, float64 (n,), higher = more likely a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np

from privacy_report.attack import rowwise
from privacy_report.attack.queries import combined
from privacy_report.attack.references import References
from privacy_report.attack.rowwise import RowFunction
from privacy_report.pipeline.blocks import Joined, Rows, blocks
from privacy_report.pipeline.outputs import Outputs

FEW_CLASSES = 32
"""Reductions over so few classes are several times faster where logits lie class by class in memory."""


@dataclass(frozen=True)
class Columns:
    """What is computed of logits row by row, each column once; float64 only within a block of rows.

    `logits` floats (n, n_classes), in memory or mapped; `labels` int (n,).
    """

    logits: Rows
    labels: np.ndarray
    _kept: dict[RowFunction, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def of(self, function: RowFunction) -> np.ndarray:
        """A row function's results of all rows, (n,) or (n, k)."""
        if function not in self._kept:
            self._kept[function] = self._compute(function)
        return self._kept[function]

    def _compute(self, function: RowFunction) -> np.ndarray:
        order: Literal["C", "F"] = "F" if self.logits.shape[1] <= FEW_CLASSES else "C"
        values: np.ndarray | None = None
        for span, block in blocks(self.logits):
            block_values = function(block.astype(np.float64, order=order), self.labels[span])
            if values is None:
                values = np.empty((len(self.labels), *block_values.shape[1:]), block_values.dtype)
            values[span] = block_values
        assert values is not None
        return values


@dataclass(frozen=True)
class Examples:
    """Members and non-members of one checkpoint, members first.

    `logits` floats (n, n_classes), in memory or mapped, `labels` int (n,), `is_member` bool (n,). Where there
    are any: `early_phi` float32 (k, n), the target's confidences at earlier checkpoints, `references`,
    `query_phi` float (queries - 1, n), what the target says to other queries than the examples, and
    `persons` int (n,), whose row each is, none of them on both sides.
    Of a part (`take`), `logits` and `columns` are still those of all, and `at` int (n,) says where it is.
    """

    logits: Rows
    labels: np.ndarray
    is_member: np.ndarray
    early_phi: np.ndarray | None = None
    references: References | None = None
    query_phi: np.ndarray | None = None
    persons: np.ndarray | None = None
    columns: Columns = None  # type: ignore[assignment]  # the columns of `logits` and `labels`
    at: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.columns is None:
            object.__setattr__(self, "columns", Columns(self.logits, self.labels))

    @property
    def n_classes(self) -> int:
        return self.logits.shape[1]

    def by_row(self, function: RowFunction) -> np.ndarray:
        """What a function of rows of logits and labels says of each example, (n,) or (n, k); kept."""
        values = self.columns.of(function)
        return values if self.at is None else values[self.at]

    @cached_property
    def heads(self) -> np.ndarray:
        """Where the first row of each example's person is, int (n,): itself where there are no persons."""
        if self.persons is None:
            return np.arange(len(self.labels))
        _, first, person = np.unique(self.persons, return_index=True, return_inverse=True)
        return first[person]

    def count(self, mask: np.ndarray) -> int:
        """How many examples a mask bool (n,) has; of how many persons, where there are any."""
        return int(np.count_nonzero(mask)) if self.persons is None else len(np.unique(self.persons[mask]))

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the target predicts the label, bool (n,)."""
        return self.by_row(rowwise.correct)

    @cached_property
    def phi(self) -> np.ndarray:
        """Logit-scaled confidence of the label, float64 (n,); of all queries together: `queries.combined`."""
        own = -self.by_row(rowwise.odds_against_label)
        return own if self.query_phi is None else combined(np.vstack([own, self.query_phi]))

    @property
    def asked_once(self) -> Self:
        """The same, without what the target says to other queries."""
        return self if self.query_phi is None else replace(self, query_phi=None)

    @cached_property
    def loss(self) -> np.ndarray:
        """Cross-entropy of the examples themselves in nats, float64 (n,)."""
        return np.logaddexp(0.0, self.by_row(rowwise.odds_against_label))

    @property
    def risk_signal(self) -> np.ndarray:
        """What the membership probability is estimated from, float64 (n,)."""
        return self.by_row(rowwise.negative_modified_entropy)

    @property
    def features(self) -> np.ndarray:
        """What trained attackers see, see `rowwise.features`."""
        return self.by_row(rowwise.features)

    def take(self, at: np.ndarray) -> Self:
        """The examples at positions `at`."""
        return replace(
            self,
            labels=self.labels[at],
            is_member=self.is_member[at],
            early_phi=None if self.early_phi is None else self.early_phi[:, at],
            references=None if self.references is None else self.references.take(at),
            query_phi=None if self.query_phi is None else self.query_phi[:, at],
            persons=None if self.persons is None else self.persons[at],
            at=at if self.at is None else self.at[at],
        )


def taking_part(is_member: np.ndarray, excluded: Sequence[int]) -> np.ndarray:
    """Which examples take part, bool (n,): all except for the `excluded` ones of the non-members, by row."""
    kept = np.ones(len(is_member), bool)
    kept[np.flatnonzero(~is_member)[np.array(excluded, int)]] = False
    return kept


def pool(outputs: Outputs) -> Examples:
    """Both sides of a score file, members first."""
    n_member, n_nonmember = len(outputs.member_labels), len(outputs.nonmember_labels)
    other = [phi for phi in (outputs.member_query_phi, outputs.nonmember_query_phi) if phi is not None]
    return Examples(
        logits=Joined((outputs.member_logits, outputs.nonmember_logits)),
        labels=np.concatenate([outputs.member_labels, outputs.nonmember_labels]),
        is_member=np.arange(n_member + n_nonmember) < n_member,
        query_phi=np.concatenate(other, axis=1) if other else None,
    )


def negative_loss(examples: Examples) -> np.ndarray:
    """Minus the cross-entropy (n,), its mean over all queries: higher for likelier members."""
    return -np.logaddexp(0.0, -examples.phi)


def confidence(examples: Examples) -> np.ndarray:
    """Log odds of the predicted class: orders examples as its probability does, without saturating."""
    return examples.by_row(rowwise.odds_of_predicted)


def negative_entropy(examples: Examples) -> np.ndarray:
    """Minus the entropy of the prediction, in nats."""
    return examples.by_row(rowwise.negative_entropy)


def negative_modified_entropy(examples: Examples) -> np.ndarray:
    """Minus the modified entropy, in nats."""
    return examples.by_row(rowwise.negative_modified_entropy)


def own_score(examples: Examples) -> np.ndarray:
    """The logit-scaled confidence (n,), higher for likelier members: of an audit of scores, the score."""
    return examples.phi
