"""The target models: whatever function or class a variant names, as a checked Keras model of logits.

`small_cnn`, the codelab's, is one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from privacy_report.errors import UserError, refuse, type_and_text
from privacy_report.pipeline.component import Component, make
from privacy_report.training.backend import keras

KERNEL, POOL = 3, 2
PROBES = 4  # random inputs that a new model is tried on
CERTAIN = 1e-4  # rows whose sum is so near to 1 hold probabilities


def small_cnn(
    shape: tuple[int, ...],
    n_classes: int,
    num_conv: int = 2,
    filters: int = 32,
    dense_units: int = 64,
    activation: str = "relu",
    flip: bool = False,
    shift: int = 0,
    dropout: float = 0.0,
) -> keras.Model:
    """The codelab's CNN: `num_conv` times 3x3 convolution and 2x2 max pooling, then two dense layers.

    Input (batch, height, width, channels) in [0, 1], output (batch, n_classes) logits. Pooling drops the odd
    row or column of what it gets, so the last pixels of an image may reach no output: two of CIFAR-10's 32
    rows and columns. They are cropped at once, which leaves every number the same for an eighth less work.

    flip: mirror training images left to right, at random. shift: move them by up to so many pixels in each
    direction, edges repeated. dropout: the share of inputs of both dense layers that a training step drops.
    """
    _check_depth(shape, num_conv)
    layers: list[keras.layers.Layer] = [keras.layers.Input(shape)]
    if flip:
        layers.append(keras.layers.RandomFlip("horizontal"))
    if shift:
        factors = [(-shift / side, shift / side) for side in shape[:2]]
        layers.append(keras.layers.RandomTranslation(*factors, fill_mode="nearest", interpolation="nearest"))
    surplus = [side - _seen(side, num_conv) for side in shape[:2]]
    if any(surplus):
        layers.append(keras.layers.Cropping2D([(0, pixels) for pixels in surplus]))
    for _ in range(num_conv):
        layers.append(keras.layers.Conv2D(filters, KERNEL, activation=activation))
        layers.append(keras.layers.MaxPooling2D(POOL))
    layers.append(keras.layers.Flatten())
    for width, chosen in ((dense_units, activation), (n_classes, None)):
        if dropout:
            layers.append(keras.layers.Dropout(dropout))
        layers.append(keras.layers.Dense(width, activation=chosen))
    return keras.Sequential(layers)


def build(chosen: Component, shape: tuple[int, ...], n_classes: int, seed: int) -> keras.Model:
    """A freshly initialised model, whose layers' names do not depend on the models built before it.

    chosen: gives, for (shape, n_classes) and its settings, a Keras model of float inputs (batch, *shape) and
    logits (batch, n_classes); one that has no symbolic inputs yet (a subclass, a Sequential without Input)
    becomes part of one that has. Keras draws initial weights from its global generator: seeded here. Raises
    UserError of one line for anything else that `chosen` may be or do.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    made = make("model", chosen, tuple(shape), n_classes)
    if not isinstance(made, keras.Model):
        raise UserError(f"model.path: {chosen.path} gives a {type(made).__name__}, allowed: a keras.Model")
    try:
        model = made if _has_inputs(made) else _with_inputs(made, tuple(shape))
        _check_sides(chosen.path, model, tuple(shape), n_classes)
        probes = np.random.default_rng(0).random((PROBES, *shape), np.float32)
        outputs = np.asarray(model(probes, training=False))
    except UserError:
        raise
    except Exception as error:  # whatever a user's layers raise
        reason = type_and_text(error)
        raise UserError(f"model.path: {chosen.path}: its model cannot be used ({reason[:300]})") from None
    _check_outputs(chosen.path, outputs)
    return model


def _has_inputs(model: keras.Model) -> bool:
    try:
        return bool(model.inputs)
    except (AttributeError, ValueError):  # Keras's answers for a subclass, and for a Sequential without Input
        return False


def _with_inputs(model: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, model(inputs))


def _check_sides(path: str, model: Any, shape: tuple[int, ...], n_classes: int) -> None:
    """Refuse other inputs than (batch, *shape) floats, and other outputs than (batch, n_classes)."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        sides = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise UserError(f"model.path: {path} gives a model of {sides}, allowed: one each")
    wanted = model.inputs[0]
    if len(wanted.shape) != len(shape) + 1 or any(
        ours not in (None, theirs) for ours, theirs in zip(wanted.shape[1:], shape, strict=True)
    ):
        raise UserError(
            f"model.path: {path} gives a model of inputs {wanted.shape[1:]}, the data have {shape}"
        )
    if "float" not in wanted.dtype:
        raise UserError(f"model.path: {path} gives a model of {wanted.dtype} inputs, allowed: float32")
    if tuple(model.outputs[0].shape[1:]) != (n_classes,):
        got = tuple(model.outputs[0].shape[1:])
        raise UserError(
            f"model.path: {path} gives a model of outputs {got}, allowed: ({n_classes},), one logit per class"
        )


def _check_outputs(path: str, outputs: np.ndarray) -> None:
    """Refuse NaN, and probabilities in the place of logits."""
    if not np.isfinite(outputs).all():
        raise UserError(
            f"model.path: {path} gives a model whose outputs are NaN or infinite before it is trained"
        )
    if (outputs >= 0).all() and np.allclose(outputs.sum(axis=1), 1, atol=CERTAIN):
        raise UserError(
            f"model.path: {path} gives a model of probabilities, allowed: logits; leave out its softmax"
        )


def _seen(side: int, num_conv: int) -> int:
    """How many of `side` pixels in a row have a path to the output of the last pooling."""
    for _ in range(num_conv):
        side = (side - KERNEL + 1) // POOL
    for _ in range(num_conv):
        side = side * POOL + KERNEL - 1
    return side


def _check_depth(shape: tuple[int, ...], num_conv: int) -> None:
    """Refuse what is no image, and more convolutions than the image has pixels for."""
    if len(shape) != 3:
        raise UserError(f"small_cnn is for images (height, width, channels), the data have {shape}")
    side, deepest = min(shape[:2]), 0
    while side >= KERNEL + POOL - 1:
        side, deepest = (side - KERNEL + 1) // POOL, deepest + 1
    if not 1 <= num_conv <= deepest:
        raise refuse("num_conv", num_conv, f"1..{deepest} for images of {shape[0]} x {shape[1]}")
