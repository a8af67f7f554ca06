"""What reference models say about each example, and which of them trained on it.

A reference is a model that the attacker trained like the target, on data of their own choice, so that it is
known for every example whether the reference trained on it (IN) or not (OUT).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privacy_report.attack.confidence import log_mean_probability
from privacy_report.errors import UserError


class TooFewError(UserError):
    """References that are sound, but too few for what was asked of them."""


@dataclass(frozen=True)
class Side:
    """One side (IN or OUT) of each example.

    `count` int (n,) of references, their `mean` (n,), NaN where there is none, and the sum of `squares` (n,)
    about it.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @property
    def variance(self) -> float:
        """The one variance that all examples share, of residuals about each example's own mean.

        Every example with c references on this side brings c - 1 degrees of freedom, which is the correction
        n / (n - 1) where all have the same number. NaN where no example has two.
        """
        free = int(np.maximum(self.count - 1, 0).sum())
        return float(self.squares.sum() / free) if free else np.nan


@dataclass(frozen=True)
class References:
    """What k reference models say about n examples, and which of them they trained on.

    `phi` (k, n): logit-scaled confidences, kept as float32; `is_member` bool (k, n). At least two references,
    finite, no two with the same outputs: else a UserError that names the reference by its row.
    """

    phi: np.ndarray
    is_member: np.ndarray

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            phi = np.asarray(self.phi, np.float32)
        is_member = np.asarray(self.is_member)
        object.__setattr__(self, "phi", phi)
        object.__setattr__(self, "is_member", is_member)
        if phi.ndim != 2 or phi.shape != is_member.shape or not phi.shape[1]:
            raise UserError(
                f"references: got phi {phi.shape} and is_member {is_member.shape}, "
                "allowed: both (k, n) with n >= 1"
            )
        if is_member.dtype != bool:
            raise UserError(f"references: got is_member of {is_member.dtype}, allowed: bool")
        if len(phi) < 2:
            raise UserError(f"references: got {len(phi)}, allowed: 2 or more")
        check_finite(phi, "reference")
        seen: dict[bytes, int] = {}
        for i, row in enumerate(phi):
            first = seen.setdefault(row.tobytes(), i)
            if first != i:
                raise UserError(
                    f"references {first} and {i} have the same outputs, allowed: different models"
                )

    @property
    def k(self) -> int:
        return len(self.phi)

    @property
    def n(self) -> int:
        return self.phi.shape[1]

    def take(self, at: np.ndarray) -> References:
        """The same references on the examples at positions `at`."""
        return References(self.phi[:, at], self.is_member[:, at])

    @cached_property
    def inside(self) -> Side:
        """What the references that trained on each example say about it."""
        return _side(self.phi, self.is_member)

    @cached_property
    def outside(self) -> Side:
        """What the references that did not train on each example say about it."""
        return _side(self.phi, ~self.is_member)

    @cached_property
    def log_mean(self) -> np.ndarray:
        """log of the mean p over all references, float64 (n,)."""
        return log_mean_probability(self.phi)

    @cached_property
    def group_size(self) -> int:
        """How many consecutive references hang together: 2 for halves in pairs, more for folds, else k.

        A group is the smallest block in which every example is IN equally often. A reference's own membership
        follows from the others of its group, so they must not attack it. Where nothing but all k together is
        balanced, or nothing at all, k.
        """
        for size in range(2, self.k):
            if self.k % size == 0:
                counts = self.is_member.reshape(-1, size, self.n).sum(axis=1)
                if (counts == counts[0, 0]).all():
                    return size
        return self.k

    def without_group_of(self, reference: int) -> References:
        """The references outside the group of number `reference`; UserError where there is only one group."""
        if self.group_size == self.k:
            raise TooFewError(
                f"{self.k} references whose memberships balance only all together cannot attack each other, "
                "allowed: two or more pairs of complementary halves, or sets of folds"
            )
        others = np.arange(self.k) // self.group_size != reference // self.group_size
        return References(self.phi[others], self.is_member[others])

    def require_outside(self, attack: str) -> None:
        """UserError where an example has no OUT reference."""
        missing = np.flatnonzero(self.outside.count == 0)
        if len(missing):
            raise TooFewError(
                f"{attack}: example {missing[0]} ({len(missing)} of {self.n} in all) is in every reference's "
                "training set, allowed: at least one OUT reference an example"
            )


def check_finite(phi: np.ndarray, name: str) -> None:
    """UserError that names the first of the models (k, n), or (k, queries, n), with outputs not finite."""
    for i, row in enumerate(phi):
        bad = np.flatnonzero(~np.isfinite(row))
        if len(bad):
            got, example = row.flat[bad[0]], bad[0] % row.shape[-1]
            raise UserError(
                f"{name} {i}: got {got} for example {example}, allowed: finite numbers (it diverged?)"
            )


def check_target(target_phi: np.ndarray, phi: np.ndarray, name: str = "reference") -> np.ndarray:
    """The target's confidences as float64 (n,).

    UserError unless they are finite, fit the models' `phi` (k, n), and are none of its rows.
    """
    target = np.asarray(target_phi, np.float64)
    if target.shape != phi.shape[1:]:
        raise UserError(f"target_phi: got shape {target.shape}, allowed: {phi.shape[1:]}, as each {name} has")
    bad = np.flatnonzero(~np.isfinite(target))
    if len(bad):
        raise UserError(
            f"target: got {target[bad[0]]} for example {bad[0]}, allowed: finite numbers (it diverged?)"
        )
    with np.errstate(over="ignore"):
        single = target.astype(np.float32)
    for i, row in enumerate(phi):
        if np.array_equal(row, single):
            raise UserError(f"target and {name} {i} have the same outputs, allowed: different models")
    return target


def _side(phi: np.ndarray, chosen: np.ndarray) -> Side:
    """Counts, means and sums of squares about the means, in two passes over the rows."""
    count, total = chosen.sum(axis=0), np.zeros(phi.shape[1])
    for row, here in zip(phi, chosen, strict=True):
        total += np.where(here, row, 0.0)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    squares = np.zeros(len(total))
    for row, here in zip(phi, chosen, strict=True):
        squares += np.where(here, row - mean, 0.0) ** 2
    return Side(count, mean, squares)
