"""Ordinary training: shuffled batches, the mean gradient, no guarantee."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from privacy_report.training import sampling
from privacy_report.training.backend import keras, tf
from privacy_report.training.epochs import Batches, Gradient, mean_gradient
from privacy_report.training.objective import Loss
from privacy_report.training.regime import Spent
from privacy_report.training.schema import Variant


class Ordinary:
    """Every example once an epoch, in an order of (seed, model name, epoch). See `regime.Regime`."""

    def __init__(self, name: str, config: Variant, n: int):
        self.name, self.config, self.n = name, config, n

    def batches(self, epoch: int) -> Batches:
        rows, sizes = sampling.shuffled_batches(
            self.config.seed, self.name, epoch, self.n, self.config.batch_size
        )
        return Batches(rows, sizes, np.zeros((len(sizes), 2), np.int64))

    def handed(self, sizes: np.ndarray) -> None:
        pass

    def gradient(self, model: keras.Model, loss: Loss) -> Gradient:
        return mean_gradient(model, loss)

    def applied(self, gradients: Sequence[tf.Tensor]) -> None:
        pass

    def spent(self, epoch: int) -> Spent:
        return Spent(epsilon=math.nan, epsilon_rdp=math.nan, noise_multiplier=math.nan)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        pass

    def arrays(self) -> dict[str, np.ndarray]:
        return {}
