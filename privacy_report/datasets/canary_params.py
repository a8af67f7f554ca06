"""The section `canaries` of a variant."""

from __future__ import annotations

from dataclasses import dataclass

from privacy_report.errors import one_of, refuse

GRADIENT = "gradient"
CANARY_KINDS = ("mislabelled", "natural", "blank", GRADIENT)
LEAST_CANARIES = 10


@dataclass
class CanaryParams:
    """Training examples that are in by a fair coin each: a variant's section `canaries`.

    count: of all coins; kind: mislabelled (a member's image with a fixed random wrong label), natural (a
    member as it is), blank (an image of one colour with a random label) or, in private training, gradient (no
    example, see `privacy_report.training.gradient_canaries`); seed: of the choice and the coins.
    """

    count: int
    kind: str = "mislabelled"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < LEAST_CANARIES:
            raise refuse("canaries.count", self.count, f"an integer of at least {LEAST_CANARIES}")
        one_of("canaries.kind", self.kind, CANARY_KINDS)
        if self.seed < 0:
            raise refuse("canaries.seed", self.seed, "an integer of at least 0")

    @property
    def are_examples(self) -> bool:
        """Whether the canaries are examples, drawn from the data and scored as others are."""
        return self.kind != GRADIENT
