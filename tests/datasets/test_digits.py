"""The embedded digits."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from privacy_report.datasets import digits


def test_each_pixel_becomes_a_square_of_its_grey() -> None:
    small, large = load_digits().images, digits.load().images
    assert large.shape == (1797, 32, 32, 1)
    assert large.dtype == np.uint8
    for row, column in [(0, 0), (3, 5), (7, 7)]:
        square = large[:, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4, 0]
        grey = np.rint(small[:, row, column] / 16 * 255)
        assert (square == grey[:, np.newaxis, np.newaxis]).all()
    assert (large.min(), large.max()) == (0, 255)


def test_labels_and_names() -> None:
    read = digits.load()
    assert read.labels.dtype == np.int32
    assert read.labels[:3].tolist() == [0, 1, 2]
    assert read.class_names == tuple("0123456789")
    assert read.splits == {"all": range(1797)}
