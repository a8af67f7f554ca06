"""Scattering networks in front of a small classifier: features for private training that are not learnt.

Sources: Bruna and Mallat, "Invariant Scattering Convolution Networks", 2013, and for its use in front of
DP-SGD Tramèr and Boneh, "Differentially Private Learning Needs Better Features", 2021. The front's weights
are computed from formulas, so that the guarantee covers the model as it covers one of random first weights.
It is made of Keras's own layers and operations: a shipped model opens without this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from privacy_report.errors import UserError, refuse
from privacy_report.training.backend import keras

SPREAD, ASPECT, FREQUENCY = 0.8, 0.5, 3 * math.pi / 4
"""Of the finest Morlet wavelet: the envelope's standard deviation in pixels along the wave, that over the one
across it, and radians a pixel."""
TINY = 1e-5  # added to a variance: an image without contrast has coefficients near 0
REACH = 4  # pixels that the finest wavelet has on each side: 2.5 standard deviations across the wave


def morlet(scale: int, angle: float) -> np.ndarray:
    """The Morlet wavelet of 2^scale times the finest one's size, complex (n, n) with a sum of 0.

    A plane wave in direction `angle` (radians) under a Gaussian envelope of sum 1, less the envelope's share
    that makes it blind to constants. Stretched by 2^scale, and with the frequency divided by it.
    """
    size = 2**scale
    y, x = np.mgrid[-REACH * size : REACH * size + 1, -REACH * size : REACH * size + 1] / size
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    envelope = np.exp(-(along**2 + (ASPECT * across) ** 2) / (2 * SPREAD**2))
    envelope /= envelope.sum()
    wave = np.exp(1j * FREQUENCY * along)
    return envelope * (wave - (envelope * wave).sum())


def averages(n: int, spread: float, step: int) -> np.ndarray:
    """Gaussian averages at every step-th of n pixels in a row that goes on as in a mirror, (n / step, n).

    spread: the Gaussian's standard deviation in pixels; it is cut at three of them, and has a sum of 1.
    """
    reach = math.ceil(3 * spread)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * spread**2))
    weights /= weights.sum()
    rows = [weights @ mirrored(n, reach)[start : start + len(weights)] for start in range(0, n, step)]
    return np.stack(rows)


def mirrored(n: int, reach: int) -> np.ndarray:
    """Of the n pixels of a row, those of the row that goes on by `reach` on each side: (n + 2 reach, n)."""
    return np.pad(np.eye(n), ((reach, reach), (0, 0)), mode="symmetric")


def scattering(shape: tuple[int, ...], scales: int = 2, angles: int = 8) -> keras.Model:
    """The frozen front: images (batch, height, width, channels) to their normalised scattering coefficients.

    Of each channel x: averages of x, of |x * psi(j, a)| and of ||x * psi(j, a)| * psi(k, b)|, k > j, over
    2^scales pixels, one in as many along each side: (batch, height / 2^scales, width / 2^scales, channels *
    paths), paths = 1 + scales * angles + scales * (scales - 1) / 2 * angles^2. Images go on beyond their
    edges as in a mirror; |x * psi(j, a)| is sampled every 2^j pixels. Of averages of moduli the square roots
    are taken, since few are large and most are small. The coefficients of one order and scale of an example
    are brought to mean 0 and variance 1 together, which no other example has a part in.
    """
    _check(shape, scales, angles)
    inputs, channels = keras.Input(shape), shape[2]
    image = _planes(inputs)
    parts = [_normalised(_average(image, scales), channels)]
    for j in range(scales):
        first = _planes(_modulus(image, j, angles))
        average = _average(first, scales - j)
        parts.append(_normalised(keras.ops.sqrt(average), channels * angles))
        for k in range(j + 1, scales):
            second = _average(_planes(_modulus(first, k - j, angles)), scales - k)
            parts.append(_normalised(keras.ops.sqrt(second), channels * angles**2))
    front = keras.Model(inputs, keras.layers.Concatenate()(parts), name="scattering")
    front.trainable = False
    return front


def scatter_linear(shape: tuple[int, ...], n_classes: int, scales: int = 2, angles: int = 8) -> keras.Model:
    """Logits that are linear in the scattering coefficients: see `scattering`."""
    return scatter_cnn(shape, n_classes, scales, angles, filters=())


def scatter_cnn(
    shape: tuple[int, ...],
    n_classes: int,
    scales: int = 2,
    angles: int = 8,
    filters: Sequence[int] = (64,),
    activation: str = "tanh",
) -> keras.Model:
    """A small CNN on the scattering coefficients: for each of `filters` a 3x3 convolution and 2x2 averages.

    Tanh, since its outputs are bounded (tempered sigmoids, Papernot et al. 2021). See `scattering`.
    """
    layers: list[keras.layers.Layer] = [keras.layers.Input(shape), scattering(shape, scales, angles)]
    for width in filters:
        layers.append(keras.layers.Conv2D(width, 3, padding="same", activation=activation))
        layers.append(keras.layers.AveragePooling2D(2))
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(n_classes)])


def _check(shape: tuple[int, ...], scales: int, angles: int) -> None:
    """Refuse what is no image, and wavelets that are too large for it."""
    if len(shape) != 3:
        raise UserError(f"scattering is for images (height, width, channels), the data have {shape}")
    if angles < 1:
        raise refuse("angles", angles, "an integer of at least 1")
    sides, deepest = shape[:2], 0
    while all(side % 2 ** (deepest + 1) == 0 and side >= REACH * 2**deepest for side in sides):
        deepest += 1
    if not 1 <= scales <= deepest:
        raise refuse("scales", scales, f"1..{deepest} for images of {shape[0]} x {shape[1]}")


def _planes(images: keras.KerasTensor) -> keras.KerasTensor:
    """Channels before places, as `_along` takes them: (m, h, w, c) to (m, c, w, h)."""
    return keras.ops.transpose(images, (0, 3, 2, 1))


def _along(planes: keras.KerasTensor, vertical: np.ndarray, horizontal: np.ndarray) -> keras.KerasTensor:
    """A matrix along each side: (m, c, w, h) to (m, c, H, W) by vertical (H, h) and horizontal (W, w)."""
    rows = _matrix(planes, vertical)
    return _matrix(keras.ops.swapaxes(rows, 2, 3), horizontal)


def _matrix(values: keras.KerasTensor, matrix: np.ndarray) -> keras.KerasTensor:
    """A matrix (out, in) times the last axis."""
    layer = keras.layers.Dense(len(matrix), use_bias=False)
    outputs = layer(values)
    layer.set_weights([matrix.T.astype(np.float32)])
    return outputs


def _average(planes: keras.KerasTensor, scale: int) -> keras.KerasTensor:
    """Local averages at every 2^scale-th pixel: (m, c, w, h) to (m, c, h / 2^scale, w / 2^scale)."""
    sides = (planes.shape[3], planes.shape[2])
    return _along(planes, *(averages(side, SPREAD * 2 ** (scale - 1), 2**scale) for side in sides))


def _modulus(planes: keras.KerasTensor, scale: int, angles: int) -> keras.KerasTensor:
    """|x * psi(scale, a)| of each channel x for all angles a, at every 2^scale-th pixel.

    (m, c, w, h) to (m * c, h / 2^scale, w / 2^scale, angles). Keras does not flip a kernel; a flipped wavelet
    is the conjugate one, and its modulus is the same.
    """
    _, _, width, height = planes.shape
    waves = [morlet(scale, math.pi * a / angles) for a in range(angles)]
    kernels = np.stack([wave.real for wave in waves] + [wave.imag for wave in waves], -1)[:, :, None]
    reach = len(kernels) // 2
    padded = _along(planes, mirrored(height, reach), mirrored(width, reach))
    padded = keras.ops.reshape(padded, (-1, height + 2 * reach, width + 2 * reach, 1))
    layer = keras.layers.Conv2D(2 * angles, len(kernels), strides=2**scale, use_bias=False)
    parts = layer(padded)
    layer.set_weights([kernels.astype(np.float32)])
    return keras.ops.sqrt(parts[..., :angles] ** 2 + parts[..., angles:] ** 2)


def _normalised(planes: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """(b * any, c, h, w) to (b, h, w, channels), each example's values with mean 0 and variance 1."""
    _, _, height, width = planes.shape
    images = keras.ops.transpose(keras.ops.reshape(planes, (-1, channels, height, width)), (0, 2, 3, 1))
    layer = keras.layers.GroupNormalization(groups=1, epsilon=TINY, center=False, scale=False)
    return layer(images)
