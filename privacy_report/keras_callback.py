"""Scores of any Keras model: while it is trained by its own `fit`, or of a finished one.

Nothing of Keras or TensorFlow is set up here, unlike in `privacy_report.training`: the model is the user's,
and so is the process.
"""

from __future__ import annotations

import re
import shlex
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from privacy_report.audits.labels import labels_of, plain
from privacy_report.audits.raw_outputs import normalised
from privacy_report.audits.scored import are_probabilities, ends_linear
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import outputs_of

LONGEST = 300  # characters of an error; Keras writes pages
FRAME = re.compile(r"\x1b\[\d*m|Exception encountered when calling \S+\(\)\.|Arguments received by (.|\n)*")
"""What Keras writes around a layer's own words: colours, the outermost call's name, and its arguments."""


@dataclass(frozen=True)
class Side:
    """Features as the model takes them, an array (n, ...) or a structure of them, and labels as they came."""

    features: Any
    labels: np.ndarray


def side_of(given: Any, name: str, batch_size: int = 256) -> Side:
    """Members or non-members as somebody has them, checked. UserError that begins with `name`.

    given: (features, labels), or a tf.data.Dataset of such pairs, which is read once and kept in memory, so
    that all files are of the same examples in the same order. Labels: see `audits.labels.labels_of`.
    """
    if hasattr(given, "element_spec"):
        given = _read(given, name, batch_size)
    if not isinstance(given, Sequence) or len(given) not in (2, 3):  # the third are weights
        raise UserError(
            f"{name}: got {type(given).__name__}, allowed: (features, labels) or a tf.data.Dataset"
        )
    features, raw = given[0], plain(np.asarray(given[1]), f"{name}: labels")
    if raw.dtype.kind in "US":
        raise UserError(f"{name}: labels are text, allowed: integers as the model counts its classes")
    labels = labels_of(raw, None, None, f"{name}: labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        got = f"{labels.dtype} {labels.shape}"
        raise UserError(f"{name}: labels must be integers (n,) or one-hot, got {got}")
    sizes = {_shape(array)[0] if _shape(array) else None for array in keras.tree.flatten(features)}
    if sizes != {len(labels)} or not len(labels):
        got = " and ".join(str(size) for size in sizes)
        raise UserError(f"{name}: {got} rows of features and {len(labels)} labels")
    if labels.min() < 0:
        raise UserError(f"{name}: labels must be at least 0, got {labels.min()}")
    return Side(features, raw)


def _shape(array: Any) -> tuple[int | None, ...]:
    return tuple(array.shape if hasattr(array, "shape") else np.shape(array))


def _read(dataset: Any, name: str, batch_size: int) -> tuple[Any, Any]:
    """All features and labels of a tf.data.Dataset."""
    if int(dataset.cardinality()) == -1:
        raise UserError(f"{name}: the dataset never ends, allowed: one without repeat()")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3) or keras.tree.is_nested(spec[1]):
        raise UserError(f"{name}: the dataset holds {spec}, allowed: pairs of features and labels")
    if spec[1].shape.rank == 0:
        dataset = dataset.batch(batch_size)
    batches = [batch[:2] for batch in dataset.as_numpy_iterator()]
    if not batches:
        raise UserError(f"{name}: the dataset is empty")
    if any(len(array) != len(y) for x, y in batches for array in keras.tree.flatten(x)):
        raise UserError(f"{name}: the dataset is of single examples, allowed: batches of them")
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


class ScoreCheckpoint(keras.callbacks.Callback):
    """Writes a score file each `every` epochs, `FOLDER/epoch_NNNN.npz`, for `privacy-report audit FOLDER`.

    members: (features, labels) that `fit` trains on; nonmembers: others of the same distribution; each may be
    a tf.data.Dataset. NNNN counts completed epochs. What is wrong with them, or with the folder, is a
    UserError here. Nothing ends `fit`: what fails later is one warning, and training goes on.
    """

    def __init__(
        self,
        members: Any,
        nonmembers: Any,
        every: int = 1,
        folder: Path | str = "scores",
        batch_size: int = 256,
    ):
        super().__init__()
        for name, value in {"every": every, "batch_size": batch_size}.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise UserError(f"{name}: got {value!r}, allowed: an integer of at least 1")
        self.sides = side_of(members, "members", batch_size), side_of(nonmembers, "nonmembers", batch_size)
        shapes = [[_shape(array)[1:] for array in keras.tree.flatten(side.features)] for side in self.sides]
        if shapes[0] != shapes[1]:
            raise UserError(f"members have features of shape {shapes[0]}, nonmembers {shapes[1]}")
        self.every, self.folder, self.batch_size = int(every), Path(folder), int(batch_size)
        _try(self.folder)
        self.written, self.missed = 0, 0

    def on_train_begin(self, logs: Any = None) -> None:
        del logs
        self.written, self.missed = 0, 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        del logs
        done = epoch + 1
        if done % self.every:
            return
        path = self.folder / f"epoch_{done:04}.npz"
        try:
            write_arrays(path, scores(self.model, *self.sides, self.batch_size, str(path)))
            self.written += 1
        except Exception as error:  # whatever it is, the hours of training are worth more
            self.missed += 1
            if self.missed == 1:
                warnings.warn(f"no scores after epoch {done}: {reason_of(error)}", stacklevel=2)

    def on_train_end(self, logs: Any = None) -> None:
        del logs
        line = f"{self.folder}: scores of {self.written} epochs"
        if self.missed:
            line += f", none of {self.missed} others (see the warning)"
        elif not self.written:
            line += f", since none was a multiple of {self.every}"
        if self.written:
            line += f"; next: privacy-report audit {shlex.quote(str(self.folder))}"
        print(line, flush=True)


def reason_of(error: Exception) -> str:
    """An error of Keras, or of somebody's model, as part of a line."""
    if isinstance(error, UserError):
        return str(error)
    said = FRAME.sub("", str(error))
    return one_line(f"{type(error).__name__}: {said}")[:LONGEST]


def _try(folder: Path) -> None:
    """UserError where no file can be written into `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"folder: {folder} cannot be written to ({error.strerror or error})") from None


def scores(
    model: Any, members: Side, nonmembers: Side, batch_size: int = 256, source: str = "model"
) -> dict[str, np.ndarray]:
    """The arrays of a score file: `*_logits` or, where each row sums to 1, `*_probs`, and `*_labels`.

    One output per row is that of class 1 of two: a probability where all lie in 0..1 and the last layer is
    not linear. The model is run in inference mode. Raises UserError that names `source` as `Outputs` does.
    """
    arrays, outputs = {}, {}
    for name, side in {"member": members, "nonmember": nonmembers}.items():
        _check_width(model, side, source)
        predictions = model.predict(side.features, batch_size=batch_size, verbose=0)
        if keras.tree.is_nested(predictions):
            raise UserError(f"{source}: the model has {len(predictions)} outputs, allowed: one")
        outputs[name], arrays[f"{name}_labels"] = np.asarray(predictions), side.labels
    linear = ends_linear(model)
    kind = "probs" if all(are_probabilities(values, linear) for values in outputs.values()) else "logits"
    arrays |= {f"{name}_{kind}": values for name, values in outputs.items()}
    arrays, _ = normalised(arrays, source)
    outputs_of(arrays, source)
    return arrays


def _check_width(model: Any, side: Side, source: str) -> None:
    """Refuse features that a model of one input does not take; TensorFlow would name a matrix inside it."""
    takes = getattr(model, "input_shape", None)
    if not isinstance(takes, tuple) or not isinstance(side.features, np.ndarray):
        return
    got = side.features.shape
    if len(takes) != len(got) or any(a not in (None, b) for a, b in zip(takes[1:], got[1:], strict=True)):
        raise UserError(f"{source}: got features of shape {got[1:]}, allowed: {takes[1:]}")
