"""What somebody's model says of a batch of examples, and arrays of other libraries as NumPy's."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from privacy_report.errors import UserError, one_line

CERTAIN = 1e-3
"""Rows whose sum is so near to 1 hold probabilities."""


def as_array(values: Any) -> np.ndarray:
    """An array of any library as NumPy's: by the array interface, PyTorch's detached and from any device.

    UserError for rows of unequal lengths.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"got a {type(values).__name__} that is no array ({one_line(error)})") from None
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # of JAX and TensorFlow


def score(model: Any, x: Any, y: Any, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A model's logits float (n, n_classes) on examples, and their labels: one side of `audit`.

    model: of scikit-learn (`predict_proba`), Keras, PyTorch (run in inference mode), or a function from x to
    outputs. x: (n, ...) as the model takes it; y: (n,), for scikit-learn any of the model's classes. Rows
    that are probabilities become their logarithms, of which softmax gives the same probabilities back; one
    output per row is that of class 1 of two. UserError where the outputs are not one row per example.

    Examples:
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> import privacy_report as pr
        >>> x, y = load_digits(return_X_y=True)
        >>> model = LogisticRegression(C=1e6, max_iter=500).fit(x[:600] / 16, y[:600])
        >>> sides = pr.score(model, x[:600] / 16, y[:600]), pr.score(model, x[600:1200] / 16, y[600:1200])
        >>> audit = pr.audit(*sides[0], *sides[1], attacks=["threshold"], slices=["entire"])
        >>> [row["leaks"] for row in audit.records]
        ['yes']
    """
    labels = as_array(y)
    linear = False
    if hasattr(model, "predict_proba"):
        outputs = as_array(model.predict_proba(x))
        labels = _positions(labels, as_array(model.classes_))
    elif _is(model, "keras", "Model"):
        outputs, linear = model.predict(x, batch_size=batch_size, verbose=0), ends_linear(model)
    elif _is(model, "torch.nn", "Module"):
        outputs = _of_torch(model, x, batch_size)
    elif callable(model):
        outputs = model(x)
    else:
        raise UserError(
            f"score: got {type(model).__name__}, allowed: a model of scikit-learn, Keras, PyTorch; a function"
        )
    return _logits(as_array(outputs), len(labels), linear), labels


def ends_linear(model: Any) -> bool:
    """Whether a Keras model that is a graph of layers ends with one that leaves its sums as they are."""
    last = model.layers[-1] if getattr(model, "outputs", None) and model.layers else None
    return getattr(last, "activation", None) is sys.modules["keras"].activations.linear


def are_probabilities(outputs: np.ndarray, linear: bool) -> bool:
    """Whether rows sum to 1; of one output per row, whether all are 0..1 and the last layer is not linear."""
    if outputs.ndim < 2 or outputs.shape[-1] == 1:
        return not linear and bool((outputs >= 0).all() and (outputs <= 1).all())
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=CERTAIN))


def _logits(outputs: np.ndarray, n: int, linear: bool) -> np.ndarray:
    """Logits float (n, n_classes) of a model's outputs."""
    rows = outputs[:, None] if outputs.ndim == 1 else outputs
    if rows.ndim != 2 or len(rows) != n or rows.dtype.kind != "f":
        raise UserError(
            f"score: got outputs {outputs.dtype} {outputs.shape} and {n} labels, allowed: floats, a row each"
        )
    probable = are_probabilities(rows, linear)
    if rows.shape[1] == 1:
        rows = np.hstack([1 - rows if probable else np.zeros_like(rows), rows])
    return np.log(np.maximum(rows, np.finfo(rows.dtype).tiny)) if probable else rows


def _positions(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Labels as positions in a scikit-learn model's classes, which are sorted."""
    if unknown := sorted(set(labels.tolist()) - set(classes.tolist()), key=str):
        raise UserError(f"score: got the label {unknown[0]!r}, allowed: {', '.join(map(str, classes))}")
    return np.searchsorted(classes, labels)


def _is(model: Any, module: str, name: str) -> bool:
    """Whether a model is of a library's class; a library that nobody has imported has made no model."""
    return module in sys.modules and isinstance(model, getattr(sys.modules[module], name))


def _of_torch(model: Any, x: Any, batch_size: int) -> np.ndarray:
    """The outputs of a PyTorch model in inference mode, batch by batch, on the device of its weights."""
    torch, training = sys.modules["torch"], model.training
    device = next((weights.device for weights in model.parameters()), None)
    model.eval()
    try:
        with torch.inference_mode():
            batches = [
                as_array(model(torch.as_tensor(x[start : start + batch_size]).to(device)))
                for start in range(0, len(x), batch_size)
            ]
    finally:
        model.train(training)
    return np.concatenate(batches)
