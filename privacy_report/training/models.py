"""The target models: functions from an input shape and a variant's parameters to a Keras model of logits.

Another architecture is another function here, and its name in `schema.MODEL_NAMES`.
"""

from __future__ import annotations

from collections.abc import Callable

from privacy_report.pipeline.params import refuse
from privacy_report.training.backend import keras
from privacy_report.training.schema import Variant

KERNEL, POOL = 3, 2

Architecture = Callable[[tuple[int, int, int], int, Variant], keras.Model]
"""(input shape, number of classes, parameters) -> an untrained model of logits."""


def small_cnn(shape: tuple[int, int, int], n_classes: int, config: Variant) -> keras.Model:
    """The codelab's CNN: `num_conv` times 3x3 convolution and 2x2 max pooling, then two dense layers.

    Input (batch, *shape) in [0, 1], output (batch, n_classes) logits. Pooling drops the odd row or column of
    what it gets, so the last pixels of an image may reach no output: two of CIFAR-10's 32 rows and columns.
    They are cropped at once, which leaves every number the same for an eighth less work.
    """
    _check_depth(shape, config.num_conv)
    layers: list[keras.layers.Layer] = [keras.layers.Input(shape)]
    surplus = [side - _seen(side, config.num_conv) for side in shape[:2]]
    if any(surplus):
        layers.append(keras.layers.Cropping2D([(0, pixels) for pixels in surplus]))
    for _ in range(config.num_conv):
        layers.append(keras.layers.Conv2D(config.filters, KERNEL, activation=config.activation))
        layers.append(keras.layers.MaxPooling2D(POOL))
    layers.append(keras.layers.Flatten())
    layers.append(keras.layers.Dense(config.dense_units, activation=config.activation))
    layers.append(keras.layers.Dense(n_classes))
    return keras.Sequential(layers)


def build(
    model: Architecture, shape: tuple[int, int, int], n_classes: int, config: Variant, seed: int
) -> keras.Model:
    """A freshly initialised model, whose layers' names do not depend on the models built before it.

    Keras draws initial weights from its global generator: seeded here.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return model(shape, n_classes, config)


def _seen(side: int, num_conv: int) -> int:
    """How many of `side` pixels in a row have a path to the output of the last pooling."""
    for _ in range(num_conv):
        side = (side - KERNEL + 1) // POOL
    for _ in range(num_conv):
        side = side * POOL + KERNEL - 1
    return side


def _check_depth(shape: tuple[int, int, int], num_conv: int) -> None:
    """Refuse more convolutions than the image has pixels for."""
    side, deepest = min(shape[:2]), 0
    while side >= KERNEL + POOL - 1:
        side, deepest = (side - KERNEL + 1) // POOL, deepest + 1
    if num_conv > deepest:
        raise refuse("num_conv", num_conv, f"1..{deepest} for images of {shape[0]} x {shape[1]}")
