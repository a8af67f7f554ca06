"""A checkpoint as one .keras file that plain Keras opens: raw features in, logits out."""

from __future__ import annotations

import importlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError, type_and_text
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import atomic
from privacy_report.training import backend, models, state
from privacy_report.training.backend import keras

ADDRESS = re.compile(r'("shared_object_id": )([0-9]+)')
TRIED = 1000
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of all that a file holds, so that equal models are equal bytes; zip knows none before it."""


def ship(
    path: Path, name: str, chosen: Component, arrays: Mapping[str, np.ndarray], examples: Prepared
) -> None:
    """Write the model `chosen`, with a checkpoint's weights, as a Keras model called `name`.

    It takes rows as they are in `examples`, and scales bytes itself as the training did: by a division.
    Raises UserError of one line for a model that Keras cannot write.
    """
    features = examples.images
    inner = models.build(chosen, features.shape[1:], examples.about["n_classes"], seed=0)
    state.load_weights(inner, arrays, name)
    raw = keras.Input(features.shape[1:], dtype=features.dtype.name, name="features")
    scaled = keras.ops.cast(raw, "float32") / 255.0 if features.dtype == np.uint8 else raw
    model = keras.Model(raw, inner(scaled), name=name)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "model.keras")
        try:
            model.save(saved)
        except Exception as error:  # of the user's own layers and classes
            reason = type_and_text(error)
            raise UserError(
                f"model.path: {chosen.path}: Keras cannot write its model ({reason[:300]})"
            ) from None
        content = _timeless(saved)
    with atomic(path) as file:
        file.write(content)


def difference(
    path: Path, chosen: Component, examples: Prepared, scores: Mapping[str, np.ndarray]
) -> tuple[int, float]:
    """How many non-members a written model was tried on, and how far its logits are from `scores` at most.

    It is opened by Keras alone, with the classes of the module that `chosen` is in. Raises UserError of one
    line for a model that Keras cannot open.
    """
    module = vars(importlib.import_module(chosen.path.rpartition(".")[0]))
    own = {name: value for name, value in module.items() if isinstance(value, type)}
    try:
        model = keras.models.load_model(path, custom_objects=own)
    except Exception as error:
        reason = type_and_text(error)
        raise UserError(f"model.path: {chosen.path}: Keras cannot open its file ({reason[:300]})") from None
    rows = examples.nonmember[:TRIED]
    logits = model.predict(examples.images[rows], batch_size=backend.PREDICT_BATCH, verbose=0)
    return len(rows), float(np.abs(logits - scores["nonmember_logits"][:TRIED]).max())


def _timeless(path: Path) -> bytes:
    """A .keras file with nothing in it of when it was written, and where in memory the model was."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(content, "w") as after:
        for name in sorted(before.namelist()):
            data = before.read(name)
            if name == "metadata.json":
                data = json.dumps(json.loads(data) | {"date_saved": ""}, sort_keys=True).encode()
            if name == "config.json":
                data = _numbered(data.decode()).encode()
            after.writestr(zipfile.ZipInfo(name, LONG_AGO), data)
    return content.getvalue()


def _numbered(config: str) -> str:
    """A model's config with its objects' addresses replaced by numbers, the same by the same."""
    numbers: dict[str, int] = {}
    return ADDRESS.sub(lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers))}", config)
