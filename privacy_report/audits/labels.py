"""Labels and memberships of somebody's model as they come: one class per row, or clearly equivalent."""

from __future__ import annotations

import numpy as np

from privacy_report.errors import UserError

PURPOSE = (
    "privacy-report audits classifiers: outputs (n, n_classes) and one class per row; "
    "other models by member_scores and nonmember_scores"
)
"""What is said of outputs of another kind of model."""
MOST_SHOWN = 10


def labels_of(labels: np.ndarray, n_classes: int | None, names: np.ndarray | None, what: str) -> np.ndarray:
    """Labels int (n,) of whole floats, bools, (n, 1), one-hot (n, n_classes), or text that `names` has.

    names (n_classes,): the classes in the order of the columns; n_classes is None where nothing says it.
    What is no array of one class per row is left for `outputs.Outputs` to refuse, or a UserError that says
    what the tool is for.
    """
    labels = plain(labels, what)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf":
        labels = _of_one_hot(labels, n_classes, what)
    if labels.dtype.kind == "f":
        if not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
            raise UserError(
                f"{what} must be integers, got {labels.dtype} that are not whole: of a regression? {PURPOSE}"
            )
        return labels.astype(np.int64)
    if labels.dtype.kind in "US":
        return _looked_up(labels, names, what)
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels


def plain(values: np.ndarray, what: str) -> np.ndarray:
    """Python objects, as pandas has them, as text or numbers where all are of one kind; else a UserError."""
    if values.dtype.kind != "O":
        return values
    kinds = {type(value) for value in values.ravel().tolist()}
    if kinds and kinds <= {str, np.str_}:
        return values.astype(str)
    for numbers, dtype in (
        ((bool, np.bool_), bool),
        ((int, np.integer), np.int64),
        ((float, np.floating), float),
    ):
        if kinds and all(issubclass(kind, numbers) and (kind is not bool or dtype is bool) for kind in kinds):
            return values.astype(dtype)
    names = ", ".join(sorted(kind.__name__ for kind in kinds)[:MOST_SHOWN])
    raise UserError(f"{what} are Python objects ({names}), allowed: all text, or all numbers")


def _of_one_hot(labels: np.ndarray, n_classes: int | None, what: str) -> np.ndarray:
    """The classes int (n,) of one-hot rows; UserError for what else has several numbers per row."""
    got = f"{what}: got {labels.dtype} {labels.shape}"
    if not np.isin(labels, (0, 1)).all():
        kind = "of a regression" if labels.dtype.kind == "f" else "tokens"
        raise UserError(f"{got}, several numbers per row ({kind}?): {PURPOSE}")
    if (labels.sum(axis=1) != 1).any():
        raise UserError(f"{got}, rows with several classes or none (multi-label?): {PURPOSE}")
    if n_classes not in (None, labels.shape[1]):
        raise UserError(f"{got}, one-hot of {labels.shape[1]} classes, the outputs have {n_classes} columns")
    return labels.argmax(axis=1)


def _looked_up(labels: np.ndarray, names: np.ndarray | None, what: str) -> np.ndarray:
    """Text as positions in `names`."""
    if names is None:
        raise UserError(f"{what} are text: add the array `classes`, names in the order of columns")
    if labels.ndim != 1:
        raise UserError(f"{what}: got text {labels.shape}, several labels per row: {PURPOSE}")
    place = {str(name): i for i, name in enumerate(names)}
    if len(place) < len(names):
        raise UserError(f"classes: got {[str(name) for name in names]}, allowed: each name once")
    if unknown := sorted({str(label) for label in labels.ravel()} - set(place)):
        raise UserError(f"{what} got {unknown[0]!r}, allowed: {', '.join(place)}")
    return np.array([place[str(label)] for label in labels], np.int64)


def as_bools(values: np.ndarray, what: str) -> np.ndarray:
    """Memberships bool, which may come as 0 and 1; UserError for other numbers."""
    values = plain(values, what)
    if values.dtype.kind not in "iuf":
        return values
    if wrong := sorted(set(np.unique(values).tolist()) - {0, 1}):
        raise UserError(f"{what} must be bool, or 0 and 1, got {wrong[0]}")
    return values.astype(bool)
