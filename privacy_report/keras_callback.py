"""Scores of any Keras model: while it is trained by its own `fit`, or of a finished one.

Nothing of Keras or TensorFlow is set up here, unlike in `privacy_report.training`: the model is the user's,
and so is the process.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import outputs_of

Side = tuple[np.ndarray, np.ndarray]
"""Features as the model takes them (n, ...), and integer labels (n,)."""

CERTAIN = 1e-3
"""Rows whose sum is so near to 1 hold probabilities."""


class ScoreCheckpoint(keras.callbacks.Callback):
    """Writes a score file each `every` epochs, `FOLDER/epoch_NNNN.npz`, for `privacy-report audit FOLDER`.

    members: (features, labels) that `fit` trains on; nonmembers: others of the same distribution. NNNN counts
    completed epochs. Where the outputs are no scores, NaN for instance, it warns and training goes on.
    """

    def __init__(
        self,
        members: Side,
        nonmembers: Side,
        every: int = 1,
        folder: Path | str = "scores",
        batch_size: int = 256,
    ):
        super().__init__()
        if every < 1:
            raise UserError(f"every: got {every}, allowed: an integer of at least 1")
        self.sides = (members, nonmembers)
        self.every, self.folder, self.batch_size = every, Path(folder), batch_size

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del logs
        done = epoch + 1
        if done % self.every:
            return
        path = self.folder / f"epoch_{done:04}.npz"
        try:
            write_arrays(path, scores(self.model, *self.sides, self.batch_size, str(path)))
        except UserError as error:
            warnings.warn(f"no scores after epoch {done}: {error}", stacklevel=2)


def scores(
    model: Any, members: Side, nonmembers: Side, batch_size: int = 256, source: str = "model"
) -> dict[str, np.ndarray]:
    """The arrays of a score file: `*_logits` or, where each row sums to 1, `*_probs`, and `*_labels`.

    The model is run in inference mode. Raises UserError that names `source` as `Outputs` does.
    """
    arrays, outputs = {}, {}
    for side, (features, labels) in {"member": members, "nonmember": nonmembers}.items():
        outputs[side] = np.asarray(model.predict(features, batch_size=batch_size, verbose=0))
        arrays[f"{side}_labels"] = np.asarray(labels).reshape(-1)
    kind = "probs" if all(map(_are_probabilities, outputs.values())) else "logits"
    arrays |= {f"{side}_{kind}": values for side, values in outputs.items()}
    outputs_of(arrays, source)
    return arrays


def _are_probabilities(outputs: np.ndarray) -> bool:
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=CERTAIN))
