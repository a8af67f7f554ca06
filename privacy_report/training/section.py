"""The section `variants.<name>` of params.yaml: a `Variant`, whose canaries may also be gradients.

What trains ordinary variants knows no gradient canaries, and its results do not depend on this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from privacy_report.datasets.canary_params import CANARY_KINDS, CanaryParams
from privacy_report.errors import one_of, refuse
from privacy_report.training.schema import Variant

GRADIENT = "gradient"
"""The kind of canaries that are no examples: see `gradient_canaries`."""


@dataclass
class Canaries(CanaryParams):
    """A variant's section `canaries`; its kind may also be gradient, for private variants."""

    def __post_init__(self) -> None:
        one_of("canaries.kind", self.kind, (*CANARY_KINDS, GRADIENT))
        CanaryParams(self.count, CANARY_KINDS[0], self.seed)  # what it refuses of the others


@dataclass
class Section(Variant):
    """One configuration of the target model and of its training; see `Variant`."""

    canaries: Optional[Canaries] = None  # noqa: UP045

    def __post_init__(self) -> None:
        super().__post_init__()
        if has_gradient_canaries(self) and self.privacy is None:
            allowed = (
                f"{', '.join(CANARY_KINDS)} without a section privacy: {GRADIENT} is for clipped gradients"
            )
            raise refuse("canaries.kind", GRADIENT, allowed)


def has_gradient_canaries(config: Variant) -> bool:
    """Whether a variant's canaries are gradients, and no examples."""
    return config.canaries is not None and config.canaries.kind == GRADIENT
