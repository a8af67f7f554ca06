"""The embedded dataset: scikit-learn's 1,797 handwritten digits, no network needed."""

from __future__ import annotations

import numpy as np

from privacy_report.datasets.labelled import LabelledImages

ENLARGE = 4  # 8 x 8 does not survive the model's two poolings; 32 x 32 is CIFAR-10's size


def load() -> LabelledImages:
    """The digits in scikit-learn's order: images uint8 (1797, 32, 32, 1), one split `all`.

    Each pixel becomes a square of 4 x 4 (nearest neighbour, so that nothing is invented), and its grey
    value 0..16 the nearest whole number in 0..255.
    """
    from sklearn.datasets import load_digits  # costs a second, and CIFAR-10 has no use for it

    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
    images = np.kron(grey, np.ones((1, ENLARGE, ENLARGE), np.uint8))[..., np.newaxis]
    names = tuple(str(name) for name in data.target_names)
    return LabelledImages(images, data.target.astype(np.int32), names, {"all": range(len(images))})
