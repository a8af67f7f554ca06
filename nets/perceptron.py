"""A multilayer perceptron, for vectors such as the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers


def perceptron(
    shape: tuple[int, ...], n_classes: int, units: Sequence[int] = (64, 64), dropout: float = 0.0
) -> keras.Model:
    """Dense layers with ReLU, each followed by dropout; inputs of more than one axis are flattened."""
    stack: list[keras.layers.Layer] = [keras.Input(shape)]
    if len(shape) > 1:
        stack.append(layers.Flatten())
    for width in units:
        stack += [layers.Dense(width, activation="relu"), *([layers.Dropout(dropout)] if dropout else [])]
    return keras.Sequential([*stack, layers.Dense(n_classes)])
