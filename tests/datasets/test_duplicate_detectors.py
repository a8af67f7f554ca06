"""benchmarks/duplicate_detectors.py: what is compared finds planted copies, and the counts are right."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from benchmarks import image_similarity as similar
from benchmarks.duplicate_detectors import fitted, judged, read_list, relative

N = 400


def natural(n: int, seed: int) -> np.ndarray:
    """Unrelated images with the spectrum of photographs, uint8 (n, 32, 32, 3)."""
    noise = np.random.default_rng(seed).normal(size=(n, 32, 32, 3))
    layers = sum(2**i * gaussian_filter(noise, (0, 2**i, 2**i, 0)) for i in range(4))
    spread = layers / layers.std((1, 2, 3), keepdims=True)
    return np.clip(128 + 45 * spread, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray) -> np.ndarray:
    """An image as JPEG leaves it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


COPIES = {
    "same": lambda image: image,
    "mirrored": lambda image: image[:, ::-1],
    "shifted": lambda image: similar.shifted(image[None], 2, -3)[0],
    "encoded": encoded,
    "brighter": lambda image: np.clip(image * 0.7 + 60.0, 0, 255).astype(np.uint8),
    "larger": lambda image: np.clip(zoom(image, (36 / 32, 36 / 32, 1), order=1)[2:34, 2:34], 0, 255),
}


@pytest.fixture(scope="module")
def train() -> np.ndarray:
    return natural(N, seed=1)


@pytest.mark.parametrize("copy", COPIES)
def test_copies_correlate_when_aligned_and_unrelated_images_do_not(train: np.ndarray, copy: str) -> None:
    copies = np.stack([COPIES[copy](image) for image in train[:40]])
    rows = np.tile(np.arange(N), (40, 1))
    correlations = similar.aligned(copies, train, rows)
    assert (correlations.argmax(1) == np.arange(40)).all()
    own = correlations[np.arange(40), np.arange(40)]
    correlations[np.arange(40), np.arange(40)] = -1
    assert np.quantile(own, 0.1) > correlations.max()
    if copy in ("same", "mirrored"):
        assert np.allclose(own, 1, atol=1e-4)


@pytest.mark.parametrize("features", [similar.centred_colour8, similar.grey16, similar.gradients16])
def test_the_nearest_are_those_of_all_products(features, train: np.ndarray) -> None:
    test = natural(30, seed=2)
    views = [features(test), features(test[:, :, ::-1])]
    values, rows = similar.nearest(views, features(train), 3)
    alike = np.maximum(*(view @ features(train).T for view in views))
    assert np.array_equal(rows, np.argsort(-alike, axis=1)[:, :3])
    assert np.allclose(values, -np.sort(-alike, axis=1)[:, :3], atol=1e-6)


def test_mirrored_and_brighter_copies_are_the_nearest_thumbnails(train: np.ndarray) -> None:
    copies = np.stack([COPIES["brighter"](image[:, ::-1]) for image in train[:40]])
    views = [similar.centred_colour8(view) for view in (copies, copies[:, :, ::-1])]
    values, rows = similar.nearest(views, similar.centred_colour8(train), 20)
    assert np.array_equal(rows[:, 0], np.arange(40))
    unrelated = similar.centred_colour8(natural(40, seed=3))
    others, _ = similar.nearest([unrelated], similar.centred_colour8(train), 20)
    assert relative(values).min() > relative(others).max()


def test_the_least_distance_is_that_of_all_pairs(train: np.ndarray) -> None:
    test = similar.colour8(natural(30, seed=4))
    members = similar.colour8(train)
    distances, rows = similar.least_distance([test], members)
    every = np.linalg.norm(test[:, None] - members, axis=2)
    assert np.array_equal(rows, every.argmin(1))
    assert np.allclose(distances, every.min(1), rtol=1e-3)


def test_what_is_counted_among_the_flagged() -> None:
    scores = np.arange(1000, 0, -1.0)  # 30 are flagged: rows 0 to 29
    summary = judged(scores, {"near": np.array([0, 5, 29, 30]), "all": np.array([0, 5, 29, 30, 900])})
    assert (summary["near"]["hits"], summary["near"]["recall"]) == (3, 0.75)
    assert summary["flags_for_wanted"] == 31  # 85% of four are all four
    assert summary["all"]["recall"] == 0.6
    assert summary["near"]["recall_low"] == pytest.approx(0.1941, abs=1e-4)  # Clopper and Pearson's tables
    assert summary["near"]["recall_high"] == pytest.approx(0.9937, abs=1e-4)


def test_a_fit_to_noise_finds_nothing() -> None:
    rng = np.random.default_rng(0)
    listed = np.arange(2000) < 60
    scores = fitted(rng.normal(size=(2000, 8)), listed)
    assert abs((scores[listed][:, None] > scores[~listed]).mean() - 0.5) < 0.1


def test_the_list_has_both_kinds() -> None:
    pairs = read_list()
    assert {kind: len(indices) for kind, indices in pairs.items()} == {"near": 249, "similar": 37}
    for indices in pairs.values():
        assert indices[:, 0].min() >= 50_000
        assert indices[:, 1].max() < 50_000
