"""Differentially private training (DP-SGD): Poisson-sampled batches, clipped and noised gradients."""

from __future__ import annotations

import math

from privacy_report.training import accounting, private_gradient, sampling
from privacy_report.training.backend import keras
from privacy_report.training.epochs import Batches, Gradient
from privacy_report.training.regime import Spent
from privacy_report.training.schema import Privacy, Variant

MOST_STEPS = 10**7
"""Of a run, for the buffer that its batches fit: its own number of steps would make epochs depend on it."""


class Private:
    """Each example's gradient clipped, the sum noised, over the expected batch size. See `regime.Regime`.

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
        self.capacity = accounting.batch_capacity(n, self.batch_size, MOST_STEPS)
        self.noise_multiplier = self.privacy.noise_multiplier or accounting.noise_for(
            self.privacy.target_epsilon or math.nan, self.batch_size / n, total, self.privacy.delta
        )
        self._entropy = sampling.private_entropy(self.privacy.seed, config.seed, name)

    def batches(self, epoch: int) -> Batches:
        rows, sizes = sampling.poisson_batches(self._entropy, epoch, self.n, self.batch_size, self.capacity)
        return Batches(rows, sizes, sampling.step_seeds(self._entropy, epoch, self.steps))

    def gradient(self, model: keras.Model) -> Gradient:
        if remark := private_gradient.check(model):
            print(remark, flush=True)
        return private_gradient.gradient(
            model, self.privacy.l2_norm_clip, self.noise_multiplier, self.batch_size
        )

    def spent(self, epoch: int) -> Spent:
        found = accounting.spent_epsilon(
            self.noise_multiplier, self.batch_size / self.n, self.steps * epoch, self.privacy.delta
        )
        return Spent(found.pld, found.rdp, self.noise_multiplier)
