"""A model and its optimizer as plain arrays, and back: what an epoch leaves behind.

Arrays: `architecture` (the model's JSON, a 0-d string), `epoch`, `weights/000`... and `optimizer/000`...
in Keras's order (seed generators of dropout layers included, so that training goes on bit-exactly),
and the epoch's measurements as `history/<name>`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.history import HISTORY

if TYPE_CHECKING:
    import keras


def to_arrays(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, epoch: int, history: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The state after `epoch` completed epochs; `history` has the keys of HISTORY (NaN where unknown)."""
    arrays = {"architecture": np.array(_architecture(model)), "epoch": np.array(epoch)}
    for prefix, variables in (("weights", model.variables), ("optimizer", optimizer.variables)):
        arrays |= {f"{prefix}/{i:03}": value.numpy() for i, value in enumerate(variables)}
    return arrays | {f"history/{name}": np.array(history[name], np.float64) for name in HISTORY}


def _architecture(model: keras.Model) -> str:
    """The model's JSON, or its variables' shapes where Keras cannot write one: a class without get_config."""
    try:
        return model.to_json()
    except (NotImplementedError, TypeError, ValueError):
        return json.dumps([[variable.path, list(variable.shape)] for variable in model.variables])


def restore(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, arrays: Mapping[str, np.ndarray]
) -> None:
    """Put a saved state into a model and a built optimizer of the same kind."""
    for prefix, variables in (("weights", model.variables), ("optimizer", optimizer.variables)):
        for i, variable in enumerate(variables):
            saved = arrays.get(f"{prefix}/{i:03}")
            if saved is None or saved.shape != tuple(variable.shape):
                raise UserError(
                    f"checkpoint does not fit the model: {prefix}/{i:03} is missing or has another shape"
                )
            variable.assign(saved)


def load_weights(model: keras.Model, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Put a checkpoint's weights into a model for inference.

    Raises UserError that names `source` for what is no checkpoint of this model, and for NaN.
    """
    if "architecture" not in arrays:
        raise UserError(f"{source}: not a checkpoint, it has no `architecture`")
    variables = model.variables
    if f"weights/{len(variables):03}" in arrays:
        raise UserError(f"{source}: has weights/{len(variables):03}, more than the model")
    for i, variable in enumerate(variables):
        saved = arrays.get(f"weights/{i:03}")
        if saved is None or saved.shape != tuple(variable.shape):
            raise UserError(f"{source}: weights/{i:03} is missing or has another shape than the model's")
        if np.issubdtype(saved.dtype, np.floating) and not np.isfinite(saved).all():
            raise UserError(f"{source}: weights/{i:03} hold NaN or infinity")
        variable.assign(saved)
