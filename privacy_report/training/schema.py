"""The typed parameters of a variant: section `variants.<name>` of params.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Optional

from omegaconf import MISSING

from privacy_report.datasets.canary_params import CANARY_KINDS, GRADIENT, CanaryParams
from privacy_report.errors import one_of, refuse
from privacy_report.pipeline.component import Component

SMALL_CNN = "privacy_report.training.models.small_cnn"
ADAM = "keras.optimizers.Adam"
SMALLEST_NOISE = 0.1  # below it epsilon is in the thousands, and computing it takes minutes
NOISE_SEEDS = ("committed", "secret")
CPU, GPU = "cpu", "gpu"


@dataclass
class Privacy:
    """What makes a variant differentially private: clipped and noised gradients of Poisson-sampled batches.

    The optimizer that gets them may be any.
    Exactly one of `noise_multiplier` and `target_epsilon` is given; the other follows from it. keep_running:
    whether to keep each epoch's running loss and accuracy, which are of private examples and without noise.
    """

    l2_norm_clip: float = 1.0
    noise_multiplier: Optional[float] = None  # noqa: UP045 - OmegaConf reads this form
    target_epsilon: Optional[float] = None  # noqa: UP045
    delta: float = 1e-5
    seed: str = "committed"
    keep_running: bool = False

    def __post_init__(self) -> None:
        _positive("privacy.l2_norm_clip", self.l2_norm_clip)
        if (self.noise_multiplier is None) == (self.target_epsilon is None):
            got = {"noise_multiplier": self.noise_multiplier, "target_epsilon": self.target_epsilon}
            raise refuse("privacy", got, "exactly one of noise_multiplier and target_epsilon")
        for key in ("noise_multiplier", "target_epsilon"):
            if (value := getattr(self, key)) is not None:
                _positive(f"privacy.{key}", value)
        if self.noise_multiplier is not None and self.noise_multiplier < SMALLEST_NOISE:
            raise refuse("privacy.noise_multiplier", self.noise_multiplier, f"at least {SMALLEST_NOISE}")
        if not 0 < self.delta < 1:
            raise refuse("privacy.delta", self.delta, "0 < delta < 1, and at most 0.5/n_member")
        one_of("privacy.seed", self.seed, NOISE_SEEDS)


@dataclass
class Queries:
    """What an attacker asks a model next to each example itself.

    mirror: its mirror image, left to right; shift: the image moved by so many pixels up, down, left and
    right, edges repeated, which are four queries; 0: none.
    """

    mirror: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        if self.shift < 0 or not (self.mirror or self.shift):
            got = {"mirror": self.mirror, "shift": self.shift}
            raise refuse("queries", got, "mirror: true, a shift of at least 1 pixel, or both; null for none")


@dataclass
class Variant:
    """One configuration of the target model and of its training.

    model: called with (input shape, number of classes) and its settings, see `models.build`. optimizer:
    called with `learning_rate`, or with what `schedule` gives; see `optimizers.build`. loss: null for
    cross-entropy, else called with (labels, logits) and its settings; see `objective.build`. queries: what
    attackers ask next to each example itself; they belong to scores and references, and to no target's
    training. repeats: the variant that this one is, with another seed; remedy_of: the variant whose leak this
    one is to stop. No training reads these two.
    """

    label: str = MISSING
    model: Component = field(default_factory=lambda: Component(SMALL_CNN))
    batch_size: int = 50
    learning_rate: float = 0.001
    optimizer: Component = field(default_factory=lambda: Component(ADAM))
    schedule: Optional[Component] = None  # noqa: UP045
    loss: Optional[Component] = None  # noqa: UP045
    epochs: int = 50
    epochs_per_report: int = 2
    seed: int = 0
    privacy: Optional[Privacy] = None  # noqa: UP045
    canaries: Optional[CanaryParams] = None  # noqa: UP045
    queries: Optional[Queries] = None  # noqa: UP045
    repeats: Optional[str] = None  # noqa: UP045
    remedy_of: Optional[str] = None  # noqa: UP045

    def __post_init__(self) -> None:
        for key, component in self.components.items():
            component.check(key)
        for key in ("batch_size", "epochs", "epochs_per_report"):
            if (value := getattr(self, key)) < 1:
                raise refuse(key, value, "an integer of at least 1")
        _positive("learning_rate", self.learning_rate)
        if self.epochs_per_report > self.epochs:
            raise refuse("epochs_per_report", self.epochs_per_report, f"1..{self.epochs} (epochs)")
        if self.seed < 0:
            raise refuse("seed", self.seed, "an integer of at least 0")
        if self.gradient_canaries and self.privacy is None:
            allowed = (
                f"{', '.join(kind for kind in CANARY_KINDS if kind != GRADIENT)} without a section privacy"
            )
            raise refuse("canaries.kind", GRADIENT, allowed)

    @property
    def components(self) -> dict[str, Component]:
        """What the user chose by its import path, by its key among the parameters."""
        by_key = {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "loss": self.loss,
        }
        return {key: component for key, component in by_key.items() if component}

    @property
    def chosen(self) -> list[str]:
        """The import paths of what the user chose."""
        return [component.path for component in self.components.values()]

    @property
    def gradient_canaries(self) -> CanaryParams | None:
        """The canaries that are no examples, if any: they belong to the training."""
        return None if self.canaries is None or self.canaries.are_examples else self.canaries

    @property
    def checkpoint_epochs(self) -> list[int]:
        """The completed epochs, 1-based, after which a checkpoint is kept."""
        return list(range(self.epochs_per_report, self.epochs + 1, self.epochs_per_report))


@dataclass
class BackendParams:
    """Where training and scoring run. The promise of equal bits is about the CPU."""

    device: str = CPU

    def __post_init__(self) -> None:
        one_of("device", self.device, (CPU, GPU))


def _positive(key: str, value: Any) -> None:
    if not (math.isfinite(value) and value > 0):
        raise refuse(key, value, "a finite number above 0")
