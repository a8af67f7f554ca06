"""What examples of a user's own must be, whatever file they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.datasets import persons as people
from privacy_report.datasets import scratch
from privacy_report.datasets.labelled import LabelledImages, RefusedError
from privacy_report.pipeline.blocks import blocks

Part = tuple[np.ndarray, np.ndarray]
"""Features (n, ...) and labels (n,) of one split."""


def examples(
    parts: Mapping[str, Part],
    class_names: tuple[str, ...] | None,
    source: Path | str,
    persons: Mapping[str, np.ndarray] | None = None,
) -> LabelledImages:
    """The splits one after the other, checked.

    Features are uint8 or float32 of one shape a row; labels are 0..n_classes - 1, each at least twice.
    Without names the classes are called by their numbers. persons: split -> whose row each is, integers or
    text (n,). RefusedError of one line that names `source`.
    """
    for name, (features, labels) in parts.items():
        _check(name, features, labels, source)
    shapes = {(features.dtype.name, features.shape[1:]) for features, _ in parts.values()}
    if len(shapes) > 1:
        raise RefusedError(f"{source}: splits of several types and shapes of features, {sorted(shapes)}")
    features = scratch.joined([features for features, _ in parts.values()])
    labels = np.concatenate([labels.astype(np.int64) for _, labels in parts.values()])
    names = _classes(labels, class_names, source)
    splits, start = {}, 0
    for name, (_, own) in parts.items():
        splits[name], start = range(start, start + len(own)), start + len(own)
    return LabelledImages(features, labels.astype(np.int32), names, splits, _persons(parts, persons, source))


def _persons(
    parts: Mapping[str, Part], persons: Mapping[str, np.ndarray] | None, source: Path | str
) -> np.ndarray | None:
    """The persons of all splits, one after the other."""
    if not persons:
        return None
    if missing := set(parts) - set(persons):
        raise RefusedError(f"{source}: split {sorted(missing)[0]} names no persons and others do")
    every = [
        people.checked(persons[name], len(labels), f"{source}: persons of split {name}")
        for name, (_, labels) in parts.items()
    ]
    if len({ids.dtype.kind == "U" for ids in every}) > 1:
        raise RefusedError(f"{source}: persons are text in one split and integers in another")
    return np.concatenate(every)


def _check(name: str, features: np.ndarray, labels: np.ndarray, source: Path | str) -> None:
    if features.dtype not in (np.uint8, np.float32) or features.ndim < 2:
        got = f"{features.dtype} {features.shape}"
        raise RefusedError(f"{source}: features of split {name} must be uint8 or float32 (n, ...), got {got}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        got = f"{labels.dtype} {labels.shape}"
        raise RefusedError(f"{source}: labels of split {name} must be integers (n,), got {got}")
    if len(labels) and labels.max() > np.iinfo(np.int32).max:
        raise RefusedError(
            f"{source}: labels of split {name} go up to {labels.max()}, allowed: 0 to n_classes - 1"
        )
    if len(features) != len(labels):
        raise RefusedError(
            f"{source}: split {name} has {len(features)} rows of features and {len(labels)} labels"
        )
    if not len(labels):
        raise RefusedError(f"{source}: split {name} is empty")
    if features.dtype == np.float32 and (bad := _not_finite(features)):
        raise RefusedError(f"{source}: features of split {name} hold NaN or infinity {bad} times")


def _not_finite(features: np.ndarray) -> int:
    return sum(int(np.count_nonzero(~np.isfinite(block))) for _, block in blocks(features))


def _classes(labels: np.ndarray, class_names: tuple[str, ...] | None, source: Path | str) -> tuple[str, ...]:
    """The classes' names; RefusedError for labels that skip a class, and for a class with one example."""
    if labels.min() < 0:
        raise RefusedError(f"{source}: labels must begin with 0, got {labels.min()}")
    most = len(class_names or ()) or int(labels.max()) + 1
    if most > len(labels):
        raise RefusedError(f"{source}: labels go up to {labels.max()}, with only {len(labels)} examples")
    if labels.max() >= most:
        raise RefusedError(f"{source}: label {labels.max()} has no name among {most} class names")
    names = class_names or tuple(map(str, range(most)))
    if most < 2:
        raise RefusedError(f"{source}: all examples are of one class, allowed: at least 2")
    for label, count in enumerate(np.bincount(labels, minlength=most)):
        if count < 2:
            raise RefusedError(
                f"{source}: class {names[label]} (label {label}) has {count} examples, allowed: at least 2, "
                "for a member and a non-member"
            )
    return names
