"""A checkpoint's logits on the members and the non-members."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from stages import backend
from stages.artefacts import Outputs, read_arrays
from stages.errors import UserError


class Scorer:
    """Logits of one checkpoint after another; the model's graph is built once for all of a variant.

    images: uint8 (n, H, W, C), may be memory-mapped; labels: (n,); member, nonmember: indices into both.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, member: np.ndarray, nonmember: np.ndarray):
        self.images, self.labels = images, labels
        self.member, self.nonmember = member, nonmember
        self._architecture = ""
        self._model: keras.Model | None = None
        self._predict: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None

    def score(self, checkpoint: Path) -> Outputs:
        """The outputs of one checkpoint file; UserError naming it when it is damaged or incomplete."""
        predict = self._load(checkpoint)
        return Outputs(
            member_logits=predict(self.images, self.member),
            member_labels=self.labels[self.member],
            nonmember_logits=predict(self.images, self.nonmember),
            nonmember_labels=self.labels[self.nonmember],
            source=str(checkpoint),
        )

    def _load(self, checkpoint: Path) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        arrays = read_arrays(checkpoint)
        if "architecture" not in arrays:
            raise UserError(f"{checkpoint}: not a checkpoint, it has no `architecture`")
        architecture = str(arrays["architecture"])
        if self._predict is None or architecture != self._architecture:
            self._model = keras.models.model_from_json(architecture)
            self._predict, self._architecture = backend.predictor(self._model), architecture
        assert self._model is not None
        for i, variable in enumerate(self._model.variables):
            saved = arrays.get(f"weights/{i:03}")
            if saved is None or saved.shape != tuple(variable.shape):
                raise UserError(
                    f"{checkpoint}: weights/{i:03} is missing or has another shape than the model's"
                )
            if np.issubdtype(saved.dtype, np.floating) and not np.isfinite(saved).all():
                raise UserError(f"{checkpoint}: weights/{i:03} hold NaN or infinity")
            variable.assign(saved)
        return self._predict
