"""One model's training: which batches an epoch has, what a step does, what an epoch leaves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from privacy_report.training import backend, models, optimizers, state
from privacy_report.training.data import Data
from privacy_report.training.epochs import epoch_runner
from privacy_report.training.regime import Regime
from privacy_report.training.schema import Variant


class Trainer:
    """Trains one model, epoch by epoch.

    An epoch's randomness derives from (seed, model name, epoch) alone, so that epoch n comes out the same
    whether the run was interrupted before it or not.
    """

    def __init__(self, name: str, config: Variant, data: Data, regime: Regime):
        self.data, self.regime = data, regime
        seed = _int_seed(config.seed, name)
        self.model = models.build(config.model, data.images.shape[1:], data.n_classes, seed)
        self.optimizer = optimizers.build(config)
        self._train = epoch_runner(
            self.model,
            self.optimizer,
            data.images,
            data.labels,
            data.train,
            regime.gradient(self.model),
        )
        self.predict = backend.predictor(self.model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the state that an epoch left."""
        state.restore(self.model, self.optimizer, arrays)

    def run(self, epoch: int) -> dict[str, np.ndarray]:
        """Train epoch number `epoch` (1-based) and return the state and measurements after it."""
        trained = self._train(self.regime.batches(epoch))
        val_loss, val_accuracy = self._validate()
        history = {
            "running_loss": trained.loss,
            "running_accuracy": trained.accuracy,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            **self.regime.spent(epoch)._asdict(),
        }
        return state.to_arrays(self.model, self.optimizer, epoch, history)

    def _validate(self) -> tuple[float, float]:
        """Mean cross-entropy and accuracy on the validation examples; NaN where there are none."""
        if not len(self.data.validation):
            return math.nan, math.nan
        logits = self.predict(self.data.images, self.data.validation).astype(np.float64)
        labels = self.data.labels[self.data.validation]
        shifted = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def _int_seed(seed: int, name: str) -> int:
    """A 32-bit seed for the initial weights of the model called `name`."""
    return int.from_bytes(hashlib.sha256(f"weights {seed} {name}".encode()).digest()[:4], "big")
