"""A dataset in memory, whatever it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from privacy_report.errors import UserError


class RefusedError(UserError):
    """A dataset or file whose contents are not what they must be; the text names it and says why."""


class DamagedError(RefusedError):
    """Files that are not as they were written: truncated, altered, incomplete."""


class UnavailableError(UserError):
    """A source that has nothing to give here; the text says why."""


@dataclass(frozen=True)
class LabelledImages:
    """All examples of a dataset, in its canonical order.

    images: uint8 (n, height, width, channels), 0..255, or a user's own features, uint8 or float32 (n, ...);
    labels: int32 (n,) in [0, len(class_names));
    splits: the rows of each split by its name, as the dataset's makers divided it;
    persons: integers or text (n,), whose row each is, or None where each is somebody's own;
    groups: column -> text (n,), which group each row is in, "" for none.
    Raises RefusedError for other types, shapes or ranges.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    splits: Mapping[str, range]
    persons: np.ndarray | None = None
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype not in (np.uint8, np.float32) or images.ndim < 2:
            raise RefusedError(
                f"features must be uint8 or float32 (n, ...), got {images.dtype} {images.shape}"
            )
        if labels.dtype != np.int32 or labels.shape != images.shape[:1]:
            raise RefusedError(f"labels must be int32 ({len(images)},), got {labels.dtype} {labels.shape}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise RefusedError(
                f"labels must lie in 0..{len(self.class_names) - 1}, got {labels.min()}..{labels.max()}"
            )
