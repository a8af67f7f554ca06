"""A small residual network with batch normalisation, augmentation and dropout.

He et al., "Identity mappings in deep residual networks", 2016: normalise and activate first.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers


def residual_network(
    shape: tuple[int, ...],
    n_classes: int,
    widths: Sequence[int] = (16, 32, 64),
    flip: bool = True,
    dropout: float = 0.2,
) -> keras.Model:
    """One block of two convolutions a width, at half the resolution of the one before.

    flip: mirror training images left to right, at random.
    """
    inputs = keras.Input(shape)
    x = layers.RandomFlip("horizontal")(inputs) if flip else inputs
    x = layers.Conv2D(widths[0], 3, padding="same", use_bias=False)(x)
    for i, width in enumerate(widths):
        x = _block(x, width, 2 if i else 1)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(n_classes)(x))


def _block(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    y = layers.ReLU()(layers.BatchNormalization()(x))
    # where the shape changes, so does the shortcut
    shortcut = (
        x if stride == 1 and x.shape[-1] == width else layers.Conv2D(width, 1, stride, use_bias=False)(y)
    )
    y = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(y)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    return layers.Add()([shortcut, y])
