"""The examples of one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privacy_report.datasets.prepared import Prepared


@dataclass(frozen=True)
class Data:
    """What a model is trained and validated on.

    images: uint8 or float32 (n, ...), may be memory-mapped; labels: integers (n,); train, validation: rows of
    both, integers; validation may be empty.
    """

    images: np.ndarray
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    n_classes: int


def of_variant(examples: Prepared) -> Data:
    """What a variant is trained on, the members, and validated on, the non-members."""
    return Data(
        examples.images, examples.labels, examples.member, examples.nonmember, examples.about["n_classes"]
    )


def of_references(examples: Prepared) -> Data:
    """All examples as training data: rows are the members, then the non-members."""
    rows = np.concatenate([examples.member, examples.nonmember])
    return Data(
        np.asarray(examples.images), np.asarray(examples.labels), rows, rows[:0], examples.about["n_classes"]
    )
