"""One model's training: which batches an epoch has, what a step does, what an epoch leaves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.history import HISTORY
from privacy_report.training import backend, models, objective, optimizers, state
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
        self.name, self.data, self.regime = name, data, regime
        self._keeps_running = config.privacy is None or config.privacy.keep_running
        seed = _int_seed(config.seed, name)
        self.model = models.build(config.model, data.images.shape[1:], data.n_classes, seed)
        if not self.model.trainable_weights:
            path = config.model.path
            raise UserError(f"model.path: {path} gives a model whose weights are all frozen: nothing learns")
        self.optimizer = optimizers.build(config)
        loss = objective.build(config.loss, data.n_classes)
        self._train = epoch_runner(
            self.model,
            self.optimizer,
            data.images,
            data.labels,
            data.train,
            regime.gradient(self.model, loss),
            regime.applied,
        )
        self.predict = backend.predictor(self.model)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the state that an epoch left."""
        state.restore(self.model, self.optimizer, arrays)
        self.regime.restore(arrays)

    def run(self, epoch: int) -> dict[str, np.ndarray]:
        """Train epoch number `epoch` (1-based) and return the state and measurements after it.

        What private examples measure without noise is NaN unless the variant asks for it. Raises UserError
        for weights or kept losses that are not finite.
        """
        trained = self._train(self.regime.batches(epoch))
        measured = dict.fromkeys(HISTORY, math.nan) | self.regime.spent(epoch)._asdict()
        if self._keeps_running:
            measured |= {"running_loss": trained.loss, "running_accuracy": trained.accuracy}
            self._check_finite(epoch, "training loss", trained.loss)
        if len(self.data.validation):
            measured["val_loss"], measured["val_accuracy"] = self._validate()
            self._check_finite(epoch, "validation loss", measured["val_loss"])
        arrays = state.to_arrays(self.model, self.optimizer, epoch, measured)
        for i, variable in enumerate(self.model.variables):
            self._check_finite(epoch, f"weight {variable.path}", arrays[f"weights/{i:03}"])
        return arrays | self.regime.arrays()

    def _validate(self) -> tuple[float, float]:
        """Mean cross-entropy and accuracy on the validation examples."""
        logits = self.predict(self.data.images, self.data.validation).astype(np.float64)
        labels = self.data.labels[self.data.validation]
        with np.errstate(invalid="ignore"):  # infinite logits: the mean is NaN, which `run` refuses
            shifted = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
        return float(losses.mean()), float((logits.argmax(axis=1) == labels).mean())

    def _check_finite(self, epoch: int, what: str, values: np.ndarray | float) -> None:
        """Refuse to go on from NaN or infinity."""
        if not np.isfinite(values).all():
            raise UserError(
                f"{self.name}: diverged in epoch {epoch}, its {what} is NaN or infinite; "
                "a smaller learning_rate may help"
            )


def _int_seed(seed: int, name: str) -> int:
    """A 32-bit seed for the initial weights of the model called `name`."""
    return int.from_bytes(hashlib.sha256(f"weights {seed} {name}".encode()).digest()[:4], "big")
