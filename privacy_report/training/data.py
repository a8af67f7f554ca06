"""The examples of one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Data:
    """What a model is trained and validated on.

    images: uint8 (n, H, W, C), may be memory-mapped; labels: integers (n,); train, validation: integer rows
    of both; validation may be empty.
    """

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    n_classes: int
