"""How alike two images of CIFAR-10's size are: thumbnails, gradients, embeddings, aligned correlation.

Images are uint8 (n, 32, 32, 3). Features are float32 (n, d) with unit norm, so that a product is a cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import fft

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Grey from red, green, blue (ITU-R BT.601)."""
BLOCK, CHUNK = 500, 100
"""Test images whose products are in memory together; training images of which the best is looked up first."""
TAPER, BLUR, REACH = 4, 0.15, 4
"""Of the aligned correlation: pixels at the border that fade out, the width of the low-pass filter in cycles
per pixel, and pixels in each direction by which one image may be shifted."""


def unit(features: np.ndarray) -> np.ndarray:
    """Rows (n, ...) flattened to (n, d) with norm 1; those of zeros stay."""
    flat = features.reshape(len(features), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def pooled(images: np.ndarray, side: int) -> np.ndarray:
    """Means of side x side pixels, float32."""
    parts = (images[:, row::side, column::side] for row in range(side) for column in range(side))
    return sum(parts, np.float32(0)) / np.float32(side**2)


def colour8(images: np.ndarray) -> np.ndarray:
    """Thumbnails of 8 x 8 in colour, (n, 192), as they are: not of unit norm."""
    return pooled(images, 4).reshape(len(images), -1)


def centred_colour8(images: np.ndarray) -> np.ndarray:
    """Thumbnails of 8 x 8, each channel with mean 0: brightness and contrast do not count."""
    thumbnails = pooled(images, 4)
    return unit(thumbnails - thumbnails.mean((1, 2), keepdims=True))


def grey16(images: np.ndarray) -> np.ndarray:
    """Grey thumbnails of 16 x 16 with mean 0."""
    grey = pooled(images, 2) @ LUMA
    return unit(grey - grey.mean((1, 2), keepdims=True))


def gradients16(images: np.ndarray) -> np.ndarray:
    """Differences of neighbours in grey thumbnails of 16 x 16, down and to the right."""
    grey = pooled(images, 2) @ LUMA
    down, right = np.diff(grey, axis=1), np.diff(grey, axis=2)
    return unit(np.concatenate([step.reshape(len(images), -1) for step in (down, right)], axis=1))


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images moved by so many pixels, edges repeated."""
    rows, columns = (np.clip(np.arange(32) - step, 0, 31) for step in (down, right))
    return images[:, rows][:, :, columns]


def embedding(data: Path, variant: str, cache: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Features from the layer before the logits of a variant's last checkpoint in DATA/train.

    They are kept in `cache` by the images' digest.
    """
    # TensorFlow is imported where there is work for it.
    from privacy_report.pipeline.digests import arrays_digest
    from privacy_report.training import state
    from privacy_report.training.backend import keras, predictor

    path = max((data / "train" / variant).glob("epoch_*.npz"))
    with np.load(path) as arrays:
        model = keras.models.model_from_json(str(arrays["architecture"]))
        state.load_weights(model, arrays, str(path))
    predict = predictor(keras.Model(model.inputs, model.layers[-1].input))

    def features(images: np.ndarray) -> np.ndarray:
        kept = cache / f"{variant}_{arrays_digest({'images': images})[:16]}_{path.stem}.npy"
        if not kept.exists():
            cache.mkdir(parents=True, exist_ok=True)
            np.save(kept, predict(images, np.arange(len(images))))
        return unit(np.load(kept))

    return features


def nearest(views: Sequence[np.ndarray], train: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Similarities and rows (n, k) of the k training images that are most alike, best first.

    views: features (n, d) of the same test images seen in several ways, the most alike of which counts.
    train: (m, d), where m is a multiple of CHUNK.
    """
    values, rows = [], []
    for start in range(0, len(views[0]), BLOCK):
        alike = views[0][start : start + BLOCK] @ train.T
        for view in views[1:]:
            np.maximum(alike, view[start : start + BLOCK] @ train.T, out=alike)
        chunks = alike.reshape(len(alike), -1, CHUNK)
        # The k largest are in those k chunks whose largest are the largest.
        best = np.argpartition(-chunks.max(2), min(k, chunks.shape[1]) - 1, axis=1)[:, :k]
        among = (best[:, :, None] * CHUNK + np.arange(CHUNK)).reshape(len(alike), -1)
        among_values = np.take_along_axis(alike, among, 1)
        order = np.argsort(-among_values, axis=1, kind="stable")[:, :k]
        values.append(np.take_along_axis(among_values, order, 1))
        rows.append(np.take_along_axis(among, order, 1))
    return np.concatenate(values), np.concatenate(rows)


def least_distance(views: Sequence[np.ndarray], train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distance (n,) of the nearest training image, and its row; features need no unit norm."""
    # |q - t|^2 / 2 = |q|^2 / 2 - (q t - |t|^2 / 2): a product with one column more.
    halves = (train**2).sum(1, keepdims=True) / 2
    longer = [np.concatenate([view, np.ones((len(view), 1), np.float32)], 1) for view in views]
    products, rows = nearest(longer, np.concatenate([train, -halves], 1), 1)
    squared = (views[0] ** 2).sum(1) - 2 * products[:, 0]
    return np.sqrt(np.maximum(squared, 0)), rows[:, 0]


def aligned(test: np.ndarray, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Correlation (n, k) of each test image with k training images, at the best shift, mirrored or not.

    rows: (n, k) of `train`. Images are grey, fade out at the border, and are whitened by the training images'
    mean spectrum with a low-pass filter, so that details count more than areas that many images share. A copy
    has 1. Shifts go around the border, where the images have faded out.
    """
    window, whitening = _window(), _whitening(train)
    used, place = np.unique(rows, return_inverse=True)
    members, place = _spectra(train[used], window, whitening), place.reshape(rows.shape)
    views = [_spectra(view, window, whitening) for view in (test, test[:, :, ::-1])]
    shifts = np.arange(-REACH, REACH + 1)
    correlations = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), BLOCK // 5):
        block = slice(start, start + BLOCK // 5)
        against = np.conj(members[place[block]])
        at_shifts = [
            fft.irfft2(view[block, None] * against, s=(32, 32))[:, :, shifts[:, None], shifts]
            for view in views
        ]
        correlations[block] = np.max(at_shifts, axis=(0, 3, 4))
    return correlations


def _window() -> np.ndarray:
    """Weights (32, 32) that fall to the border over TAPER pixels."""
    steps = np.arange(1, 33)
    fade = np.minimum(1, np.minimum(steps, steps[::-1]) / TAPER).astype(np.float32)
    return np.outer(fade, fade)


def _windowed(images: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Grey images (n, 32, 32) about their weighted mean, faded out."""
    grey = images @ LUMA
    return (grey - (grey * window).sum((1, 2), keepdims=True) / window.sum()) * window


def _whitening(train: np.ndarray, n: int = 5000) -> np.ndarray:
    """Filter (32, 17): the inverse of the mean amplitude of the first n images, times a low-pass filter."""
    power = (np.abs(fft.rfft2(_windowed(train[:n], _window()))) ** 2).mean(0)
    radius = np.hypot(fft.fftfreq(32)[:, None], fft.rfftfreq(32))
    lowpass = np.exp(-((radius / BLUR) ** 2) / 2)
    return (lowpass / np.sqrt(power + 1e-4 * power.max())).astype(np.float32)


def _spectra(images: np.ndarray, window: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    """Fourier transforms complex64 (n, 32, 17) of whitened images of unit norm."""
    flat = fft.irfft2(fft.rfft2(_windowed(images, window)) * whitening, s=(32, 32))
    return fft.rfft2(unit(flat).reshape(flat.shape))
