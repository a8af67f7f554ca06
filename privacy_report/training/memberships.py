"""Which reference model trains on which example, and the section `reference` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from privacy_report.errors import UserError, refuse

MEMBERSHIP = 0x6D656D62
"""Keeps this stream apart from others that derive from the same seed."""
ROUNDING = 5e-5
"""A fraction such as 5/6 may be written with four decimals."""


def halves(n: int, models: int, seed: int, fraction: float = 0.5) -> np.ndarray:
    """Memberships of `models` references over n examples, bool (models, n).

    `fraction` is the part of the examples that a reference trains on: 1/2, or k/(k+1) for a whole k.
    References come in groups of k + 1, which cut one random permutation into as many blocks and leave out one
    each: at 1/2 references 2i and 2i + 1 have complementary halves; at 5/6 each of six leaves out a sixth.
    Within a group each example is OUT exactly once. Where n is no multiple of k + 1, sizes differ by one.

    Nested: a group's permutation comes from (seed, its number) alone, so the first 8 of 16 are the 8.
    UserError for another fraction, models that are no multiple of k + 1, and fewer examples than k + 1.
    """
    size = group_size(fraction)
    if models < size or models % size:
        raise UserError(f"models: got {models} at fraction {fraction:.4g}, allowed: multiples of {size}")
    if n < size:
        raise UserError(f"examples: got {n}, allowed: at least {size} at fraction {fraction:.4g}")
    if seed < 0:
        raise UserError(f"seed: got {seed}, allowed: an integer of at least 0")
    is_member = np.ones((models, n), bool)
    for group in range(models // size):
        sequence = np.random.SeedSequence(seed, spawn_key=(MEMBERSHIP, group))
        blocks = np.array_split(np.random.default_rng(sequence).permutation(n), size)
        for i, block in enumerate(blocks):
            is_member[group * size + i, block] = False
    return is_member


def group_size(fraction: float) -> int:
    """How many references share a permutation: k + 1 at the fraction k/(k+1), else UserError."""
    size = round(1 / (1 - fraction)) if 0 < fraction < 1 else 0
    if size < 2 or abs(fraction - (size - 1) / size) > ROUNDING:
        raise UserError(f"fraction: got {fraction}, allowed: 1/2, 2/3, 3/4, ... k/(k+1)")
    return size


@dataclass
class ReferenceParams:
    """Reference models: the attacker's own, trained as each variant is.

    models: their number for each variant (0: none), `per_variant` for some; fraction: the part of all
    examples that each trains on, 1/2 or k/(k+1); epochs: how long (null: as long as the variant); seed: of
    the memberships and of all that is random in the models.
    """

    models: int = 8
    fraction: float = 0.5
    epochs: Optional[int] = 20  # noqa: UP045
    seed: int = 0
    per_variant: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = group_size(self.fraction)
        for key, models in {"models": self.models, **self.per_variant}.items():
            if models < 0 or models % size:
                raise refuse(key, models, f"0 or a multiple of {size} at fraction {self.fraction:.4g}")
        if self.epochs is not None and self.epochs < 1:
            raise refuse(
                "epochs", self.epochs, "an integer of at least 1, or null for as many as the variant"
            )
        if self.seed < 0:
            raise refuse("seed", self.seed, "an integer of at least 0")

    def models_of(self, variant: str) -> int:
        """How many references a variant has."""
        return self.per_variant.get(variant, self.models)
