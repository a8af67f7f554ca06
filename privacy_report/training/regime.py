"""What distinguishes one way of training from another: ordinary (`ordinary`) or private (`private`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from privacy_report.training.backend import keras, tf
from privacy_report.training.epochs import Batches, Gradient
from privacy_report.training.objective import Loss


class Spent(NamedTuple):
    """The privacy budget after some epochs, NaN where there is no guarantee.

    epsilon, epsilon_rdp: upper bounds by privacy loss distributions (tighter) and by Renyi DP;
    noise_multiplier: the noise's standard deviation over the clipping norm.
    """

    epsilon: float
    epsilon_rdp: float
    noise_multiplier: float


class Regime(Protocol):
    """A way of training, for one model with n examples."""

    def batches(self, epoch: int) -> Batches:
        """The batches of an epoch (1-based)."""

    def handed(self, sizes: np.ndarray) -> None:
        """How many examples of each drawn batch are trained on, int (steps,), where some are left out."""

    def gradient(self, model: keras.Model, loss: Loss) -> Gradient:
        """What a step does with a batch, whose examples have `loss`."""

    def applied(self, gradients: Sequence[tf.Tensor]) -> None:
        """What the optimizer gets in a step of `gradient`, in the graph, just before it does."""

    def spent(self, epoch: int) -> Spent:
        """The budget spent after `epoch` epochs."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the state that an epoch left, in which are what `arrays` gave."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What the state after an epoch keeps next to the model and its optimizer."""
