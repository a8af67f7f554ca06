"""One variant's training: which batches an epoch has, what a step does, what an epoch leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from stages import backend
from stages.train import checkpoints, models
from stages.train.epochs import epoch_runner
from stages.train.regimes import regime
from stages.train.schema import Variant


@dataclass(frozen=True)
class Data:
    """Training and validation data: uint8 images (n, H, W, C), labels (n,), index arrays into both."""

    images: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    nonmember: np.ndarray
    n_classes: int


class Trainer:
    """Trains one variant, epoch by epoch.

    An epoch's randomness derives from (seed, variant name, epoch) alone, so that epoch n comes out the
    same whether the run was interrupted before it or not.
    """

    def __init__(self, name: str, config: Variant, data: Data):
        self.name, self.config, self.data = name, config, data
        shape = data.images.shape[1:]
        self.model = models.build(shape, data.n_classes, config, _int_seed(config.seed, name))
        self.optimizer = keras.optimizers.Adam(config.learning_rate)
        self.regime = regime(name, config, len(data.member))
        self._train = epoch_runner(
            self.model,
            self.optimizer,
            data.images[data.member],
            data.labels[data.member],
            self.regime.gradient(self.model),
        )
        self._predict = backend.predictor(self.model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the state that an epoch left."""
        checkpoints.restore(self.model, self.optimizer, arrays)

    def run(self, epoch: int) -> dict[str, np.ndarray]:
        """Train epoch number `epoch` (1-based) and return the state and measurements after it."""
        trained = self._train(self.regime.batches(epoch))
        val_loss, val_accuracy = self._validate()
        spent = self.regime.spent(epoch)
        history = {
            "loss": trained.loss,
            "accuracy": trained.accuracy,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "epsilon": spent.pld,
            "epsilon_rdp": spent.rdp,
            "noise_multiplier": self.regime.noise_multiplier,
        }
        return checkpoints.to_arrays(self.model, self.optimizer, epoch, history)

    def _validate(self) -> tuple[float, float]:
        """Mean cross-entropy and accuracy on the non-members."""
        logits = self._predict(self.data.images, self.data.nonmember).astype(np.float64)
        labels = self.data.labels[self.data.nonmember]
        shifted = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())


def _int_seed(seed: int, name: str) -> int:
    """A 32-bit seed for the initial weights of the variant called `name`."""
    return int.from_bytes(hashlib.sha256(f"weights {seed} {name}".encode()).digest()[:4], "big")
