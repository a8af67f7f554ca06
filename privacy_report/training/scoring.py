"""A checkpoint's logits on the members and the non-members."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.pipeline.outputs import Outputs, output_arrays
from privacy_report.training import backend
from privacy_report.training.backend import keras


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

    def score(self, state: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
        """The arrays of a score file (`Outputs`) from the arrays of a checkpoint called `source`.

        Raises UserError naming it when it is no checkpoint, incomplete, or gives NaN.
        """
        predict = self._load(state, source)
        outputs = Outputs(
            member_logits=predict(self.images, self.member),
            member_labels=self.labels[self.member],
            nonmember_logits=predict(self.images, self.nonmember),
            nonmember_labels=self.labels[self.nonmember],
            source=source,
        )
        return output_arrays(outputs)

    def _load(
        self, arrays: Mapping[str, np.ndarray], checkpoint: str
    ) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
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


def scorer_of(found: Prepared) -> Scorer:
    """A scorer of the members and the non-members of prepared data."""
    return Scorer(found.images, found.labels, found.member, found.nonmember)
