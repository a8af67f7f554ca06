"""The examples of one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privacy_report.datasets.prepared import Prepared


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


def of_variant(found: Prepared) -> Data:
    """What a variant is trained on, the members, and validated on, the non-members."""
    return Data(found.images, found.labels, found.member, found.nonmember, found.about["n_classes"])


def of_references(found: Prepared) -> Data:
    """All examples as training data: rows are the members, then the non-members."""
    rows = np.concatenate([found.member, found.nonmember])
    return Data(np.asarray(found.images), np.asarray(found.labels), rows, rows[:0], found.about["n_classes"])
