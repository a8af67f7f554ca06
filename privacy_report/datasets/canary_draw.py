"""Draw canaries: training examples that are in by a fair coin each, so that one run can be audited.

A canary takes the place of a random member. Which members these are, what the canaries look like and their
coins come from their own random streams. They are a file, written before anything is trained: nobody has to
infer who was in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privacy_report.datasets.canaries import Canaries
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import refuse
from privacy_report.pipeline.files import write_arrays

STREAM = 0x63616E61
CHOICE, COINS = range(2)
"""Streams of random numbers that no other purpose has, next to STREAM."""


def drawn(examples: Prepared, params: CanaryParams | None) -> Canaries:
    """The examples that are a variant's canaries, none without `params` and where canaries are gradients.

    UserError for more than there are members or colours.
    """
    shape, nobody = examples.images.shape[1:], np.asarray(examples.images[:0])
    if params is None or not params.are_examples:
        nothing = np.empty(0, np.int32)
        return Canaries(nothing, nothing, nobody, nothing.astype(bool))
    if params.count > len(examples.member):
        raise refuse("canaries.count", params.count, f"at most {len(examples.member)}, the members")
    choice = _stream(params, CHOICE)
    index = np.sort(choice.permutation(np.asarray(examples.member))[: params.count])
    n_classes, labels = examples.about["n_classes"], np.asarray(examples.labels)[index]
    images = nobody
    if params.kind == "mislabelled":
        labels = (labels + choice.integers(1, n_classes, len(index))) % n_classes
    elif params.kind == "blank":
        if len(shape) != 3 or examples.images.dtype != np.uint8:
            raise refuse("canaries.kind", "blank", "mislabelled or natural, where the examples are no images")
        labels = choice.integers(0, n_classes, len(index))
        images = np.broadcast_to(_colours(choice, len(index), shape[-1]), (len(index), *shape))
    return Canaries(index, labels.astype(np.int32), np.ascontiguousarray(images), coins(params))


def coins(params: CanaryParams) -> np.ndarray:
    """The coin of each canary, bool (count,): whether it is in."""
    return _stream(params, COINS).random(params.count) < 0.5


def _stream(params: CanaryParams, purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(params.seed, spawn_key=(STREAM, purpose)))


def _colours(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    """Colours uint8 (count, 1, 1, channels), no two alike: one canary must not stand in for another."""
    most = 256 ** min(channels, 3)
    if count > most:
        raise refuse("canaries.count", count, f"at most {most} blank images, one a colour")
    codes = rng.choice(most, count, replace=False, shuffle=False)
    digits = [codes // 256**i % 256 for i in range(channels)]
    return np.stack(digits, axis=1).astype(np.uint8)[:, None, None, :]


def write(path: Path, canaries: Canaries) -> None:
    """Write canaries as an .npz of their four arrays."""
    write_arrays(path, vars(canaries))
