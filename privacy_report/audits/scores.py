"""An audit of predicted labels, or of your own score, as outputs that say the same.

Labels become one-hot logits: whether the label is right is all that an attack on labels sees. A score becomes
the logit of one of two classes, so that the confidence phi is the score itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.audits.labels import labels_of, plain
from privacy_report.errors import UserError

SIDES = ("member", "nonmember")
CLASSES = "classes"
PREDICTIONS, SCORES = "predictions", "scores"
EARLY = {"early_logits", "early_phi"}
REFERENCES = {"reference_logits", "reference_phi", "reference_is_member"}
"""What no attack on predictions, or on scores, would use."""
LARGEST = 1e99
"""Scores that are larger have no finite squares."""


def kind_of_input(arrays: Mapping[str, np.ndarray], path: Path | str) -> str:
    """PREDICTIONS or SCORES where a file has those of a side, else "". UserError for outputs next to them."""
    kinds = [kind for kind in (PREDICTIONS, SCORES) if any(f"{side}_{kind}" in arrays for side in SIDES)]
    if not kinds:
        return ""
    allowed = {f"{side}_{kinds[0]}" for side in SIDES}
    if missing := sorted(allowed - set(arrays)):
        raise UserError(f"{path}: lacks {missing[0]}, has {sorted(arrays)}")
    others = {f"{side}_{kind}" for kind in ("logits", "probs", SCORES) for side in SIDES} | EARLY
    if kinds[0] == SCORES:
        others |= {f"{side}_labels" for side in SIDES} | REFERENCES
    if twice := sorted(others & set(arrays) - allowed):
        raise UserError(f"{path}: has {kinds[0]} and {twice[0]}, allowed: one of them")
    return kinds[0]


def of_predictions(arrays: Mapping[str, np.ndarray], path: Path | str) -> dict[str, np.ndarray]:
    """The arrays with one-hot logits float16 (n, n_classes) instead of predicted classes (n,).

    Predictions and labels: int (n,), or what `labels.labels_of` takes. UserError for others.
    """
    converted = dict(arrays)
    names = converted.pop(CLASSES, None)
    for side in SIDES:
        for kind in (PREDICTIONS, "labels"):
            key = f"{side}_{kind}"
            if key not in converted:
                raise UserError(f"{path}: lacks {key}, has {sorted(arrays)}")
            converted[key] = _classes(converted[key], names, f"{path}: {key}")
    every = [converted[f"{side}_{kind}"] for side in SIDES for kind in (PREDICTIONS, "labels")]
    most = max(int(classes.max()) for classes in every)
    n_classes = max(2, 1 + most) if names is None else len(names)
    if most >= n_classes:
        raise UserError(f"{path}: got class {most}, allowed: 0..{n_classes - 1}, the names in {CLASSES}")
    for side in SIDES:
        predicted = converted.pop(f"{side}_{PREDICTIONS}")
        if len(predicted) != len(converted[f"{side}_labels"]):
            raise UserError(
                f"{path}: {side}_predictions must be (n,) as {side}_labels, got "
                f"{predicted.shape} and {converted[f'{side}_labels'].shape}"
            )
        converted[f"{side}_logits"] = np.zeros((len(predicted), n_classes), np.float16)
        converted[f"{side}_logits"][np.arange(len(predicted)), predicted] = 1.0
    return converted


def _classes(values: np.ndarray, names: np.ndarray | None, what: str) -> np.ndarray:
    """Classes int (n,), 0 or more."""
    classes = labels_of(values, None, names, what)
    if classes.ndim != 1 or not len(classes) or classes.dtype.kind not in "iu" or classes.min() < 0:
        raise UserError(f"{what} must be integers (n,) of at least 0, got {values.dtype} {values.shape}")
    return classes


def of_scores(arrays: Mapping[str, np.ndarray], path: Path | str) -> dict[str, np.ndarray]:
    """The arrays with logits (n, 2) of two classes, label 1, instead of finite scores (n,)."""
    converted = dict(arrays)
    for side in SIDES:
        key = f"{side}_{SCORES}"
        scores = plain(converted.pop(key), f"{path}: {key}")
        if scores.ndim == 2 and scores.shape[1] == 1:
            scores = scores[:, 0]
        if scores.ndim != 1 or not len(scores) or scores.dtype.kind not in "biuf":
            raise UserError(f"{path}: {key} must be numbers (n,), got {scores.dtype} {scores.shape}")
        scores = scores.astype(np.float64)
        if not (np.abs(scores) <= LARGEST).all():  # false for NaN, too
            raise UserError(f"{path}: {key} must be finite and at most {LARGEST:g}")
        converted[f"{side}_logits"] = np.column_stack([np.zeros(len(scores)), scores])
        converted[f"{side}_labels"] = np.ones(len(scores), np.int64)
    return converted
