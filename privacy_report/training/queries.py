"""What an attacker asks a model next to an example itself: the same image, mirrored or moved.

A model that was trained on such images has seen them, too, so that each answer is another hint.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import take
from privacy_report.training.backend import CHUNK
from privacy_report.training.schema import Queries

Turn = Callable[[np.ndarray], np.ndarray]
"""Images (n, H, W, C) -> images of the same shape and type."""


def turns(queries: Queries, shape: tuple[int, ...]) -> list[Turn]:
    """What is done to an image for each query, in their order: mirrored; moved up, down, left, right.

    shape: of one example. UserError where examples are no images, or no larger than the shift.
    """
    if len(shape) != 3 or queries.shift >= min(shape[:2]):
        raise UserError(
            f"queries: got a shift of {queries.shift} for examples of shape {shape}, allowed: images "
            "(height, width, channels) that are larger"
        )
    all_turns: list[Turn] = [lambda images: images[:, :, ::-1]] if queries.mirror else []
    if queries.shift:
        all_turns += [_moved(axis, by) for axis in (1, 2) for by in (-queries.shift, queries.shift)]
    return all_turns


def _moved(axis: int, by: int) -> Turn:
    """Moves images along an axis; what comes in is the pixel at the edge, repeated."""

    def turn(images: np.ndarray) -> np.ndarray:
        side = images.shape[axis]
        return np.take(images, np.clip(np.arange(side) - by, 0, side - 1), axis)

    return turn


def further_phi(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray],
    images: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    queries: Queries,
) -> np.ndarray:
    """Logit-scaled confidences of each query but the example itself: float32 (queries - 1, n).

    predict: as `backend.predictor` gives; images: (all, H, W, C), may be memory-mapped; rows: integers (n,),
    the examples; labels: theirs, integers (n,). UserError as `turns`.
    """
    asked = turns(queries, images.shape[1:])
    phi = np.empty((len(asked), len(rows)), np.float32)
    for start in range(0, len(rows), CHUNK):
        at = slice(start, start + CHUNK)
        chunk = take(images, rows[at])
        for query_phi, turn in zip(phi, asked, strict=True):
            query_phi[at] = logit_confidence(predict(turn(chunk), np.arange(len(chunk))), labels[at])
    return phi
