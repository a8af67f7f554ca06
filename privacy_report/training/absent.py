"""Training without the canaries whose coin keeps them out.

All batches are drawn as if every canary were in, and those that are out are then left out of them. So the
batches of all other examples do not depend on the coins. Under Poisson sampling each example is still drawn
independently with the same probability; its rate, the number of steps and the divisor of the noisy mean are
those of the nominal number of members, which says nothing about the coins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from privacy_report.training.backend import keras, tf
from privacy_report.training.epochs import Batches, Gradient
from privacy_report.training.objective import Loss
from privacy_report.training.regime import Regime, Spent


class WithoutAbsent:
    """A way of training without the examples that are not in. See `regime.Regime`.

    absent: bool (n,); keeps_empty: whether a step without any example is still a step. It is one in private
    training, where it adds noise; there is no mean of no examples.
    """

    def __init__(self, regime: Regime, absent: np.ndarray, keeps_empty: bool):
        self.regime, self.absent, self.keeps_empty = regime, absent, keeps_empty

    def batches(self, epoch: int) -> Batches:
        rows, sizes, seeds = self.regime.batches(epoch)
        drawn = np.arange(rows.shape[1]) < sizes[:, None]
        here = drawn & ~self.absent[rows]
        rows = np.take_along_axis(rows, np.argsort(~here, axis=1, kind="stable"), axis=1)
        sizes = here.sum(axis=1, dtype=np.int32)
        rows[np.arange(rows.shape[1]) >= sizes[:, None]] = 0
        self.regime.handed(sizes)
        steps = slice(None) if self.keeps_empty else sizes > 0
        return Batches(rows[steps], sizes[steps], seeds[steps])

    def handed(self, sizes: np.ndarray) -> None:
        self.regime.handed(sizes)

    def gradient(self, model: keras.Model, loss: Loss) -> Gradient:
        return self.regime.gradient(model, loss)

    def applied(self, gradients: Sequence[tf.Tensor]) -> None:
        self.regime.applied(gradients)

    def spent(self, epoch: int) -> Spent:
        return self.regime.spent(epoch)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.regime.restore(arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.regime.arrays()
