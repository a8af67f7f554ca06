"""The two ways to train: ordinary (shuffled batches, mean gradient) and private (DP-SGD)."""

from __future__ import annotations

import math
from typing import Protocol

import keras
import numpy as np

from stages.train import accounting, private, sampling
from stages.train.epochs import Batches, Gradient, mean_gradient
from stages.train.schema import Privacy, Variant


class Regime(Protocol):
    """What distinguishes one way of training from another, for a variant with n members.

    noise_multiplier: the noise's standard deviation over the clipping norm; NaN where there is none.
    """

    noise_multiplier: float

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch (1-based)."""

    def gradient(self, model: keras.Model) -> Gradient:
        """What a step does with a batch."""

    def spent(self, epoch: int) -> accounting.Epsilon:
        """The privacy budget spent after `epoch` epochs; NaN where there is no guarantee."""


class Ordinary:
    """Every example once an epoch, in an order of (seed, variant, epoch)."""

    noise_multiplier = math.nan

    def __init__(self, name: str, config: Variant, n: int):
        self.name, self.config, self.n = name, config, n

    def batches(self, epoch: int) -> Batches:
        rows, sizes = sampling.shuffled_batches(
            self.config.seed, self.name, epoch, self.n, self.config.batch_size
        )
        return Batches(rows, sizes, np.zeros((len(sizes), 2), np.int64))

    def gradient(self, model: keras.Model) -> Gradient:
        return mean_gradient(model)

    def spent(self, epoch: int) -> accounting.Epsilon:
        return accounting.Epsilon(math.nan, math.nan)


class Private:
    """Poisson-sampled batches; per-example gradients clipped, summed, noised, over the expected batch size.

    Raises UserError for a delta that is no guarantee, an unreachable target or a batch size above n.
    """

    def __init__(self, name: str, config: Variant, n: int):
        assert config.privacy is not None
        self.privacy: Privacy = config.privacy
        self.n, self.batch_size = n, config.batch_size
        sampling.check_batch_size(n, self.batch_size)
        accounting.check_delta(self.privacy.delta, n)
        self.steps = sampling.poisson_steps(n, self.batch_size)
        total = self.steps * config.epochs
        self.capacity = accounting.batch_capacity(n, self.batch_size, total)
        self.noise_multiplier = self.privacy.noise_multiplier or accounting.noise_for(
            self.privacy.target_epsilon or math.nan, self.batch_size / n, total, self.privacy.delta
        )
        self._entropy = sampling.private_entropy(self.privacy.seed, config.seed, name)

    def batches(self, epoch: int) -> Batches:
        rows, sizes = sampling.poisson_batches(self._entropy, epoch, self.n, self.batch_size, self.capacity)
        return Batches(rows, sizes, sampling.step_seeds(self._entropy, epoch, self.steps))

    def gradient(self, model: keras.Model) -> Gradient:
        if remark := private.check(model):
            print(remark, flush=True)
        return private.gradient(model, self.privacy.l2_norm_clip, self.noise_multiplier, self.batch_size)

    def spent(self, epoch: int) -> accounting.Epsilon:
        return accounting.epsilon(
            self.noise_multiplier, self.batch_size / self.n, self.steps * epoch, self.privacy.delta
        )


def regime(name: str, config: Variant, n: int) -> Regime:
    """The variant's way of training: private if and only if it has a `privacy` section."""
    return Private(name, config, n) if config.privacy else Ordinary(name, config, n)
