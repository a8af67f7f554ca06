"""Outputs of somebody's model as they come: .npz, .csv, or a folder of .npy, in several shapes.

What is unambiguous is put into the one shape that attacks read; anything else is refused with the remedy.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.audits.labels import PURPOSE, as_bools, labels_of
from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.files import DamagedError
from privacy_report.pipeline.mapped import map_arrays

SIDES = ("member", "nonmember")
NEEDED = "member_logits (or member_probs), member_labels, and the same for nonmember_"
CSV_COLUMNS = (
    "side (member or nonmember), label, and logit_CLASS or prob_CLASS each (or one logit, prob or "
    "prediction); "
    "or side and score alone; also person"
)
BOOLS = {"canary_is_member", "member_is_canary", "nonmember_is_canary", "reference_is_member"}
CLASSES = "classes"
"""Array of the classes' names in the order of the columns: what labels of text are looked up in."""


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """The named arrays in an .npz, in a folder of .npy files, or in a .csv. UserError with the remedy.

    Those on disk as they are in memory are mapped: see `mapped.map_arrays`.
    """
    if path.is_dir() and not any(path.glob("*.npy")):
        raise UserError(
            f"{path}: a folder without score files, allowed: a .npz or .csv each, or {NEEDED}, each a .npy"
        )
    if path.suffix == ".npy" and not path.is_dir():
        raise UserError(f"{path}: holds one array, needs {NEEDED}: put them into one folder, or use np.savez")
    if path.suffix == ".csv":
        return _from_csv(path)
    try:
        return map_arrays(path)
    except DamagedError as error:
        if "objects" not in str(error):
            raise
        raise UserError(
            f"{error}; objects are never unpickled, save labels.astype(str) or .astype(int)"
        ) from None


def _from_csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from None
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise UserError(f"{path}: row {number} has more or fewer cells than the header, allowed: as many")
    names = list(rows[0]) if rows else []
    kinds = {kind: [n for n in names if n == kind or n.startswith(f"{kind}_")] for kind in ("logit", "prob")}
    kinds |= {kind: [n for n in names if n == kind] for kind in ("prediction", "score")}
    present = [kind for kind, columns in kinds.items() if columns]
    if len(present) != 1 or "side" not in names or ("label" in names) == (present == ["score"]):
        raise UserError(f"{path}: got the columns {names}, allowed: {CSV_COLUMNS}")
    if wrong := {row["side"] for row in rows} - set(SIDES):
        raise UserError(f"{path}: got the sides {sorted(map(str, wrong))}, allowed: member, nonmember")
    (kind,) = present
    if kind in ("prediction", "score"):
        return _of_one_column(rows, kind)
    columns = kinds[kind]
    arrays = _persons(rows)
    try:
        for side in SIDES:
            mine = [row for row in rows if row["side"] == side]
            values = np.array([[float(row[name]) for name in columns] for row in mine])
            arrays[f"{side}_{kind}s"] = values.reshape(len(mine), len(columns))
            labels = np.array([row["label"] for row in mine], dtype=str)
            arrays[f"{side}_labels"] = _numbers(labels, float if len(columns) == 1 else np.int64)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}; {columns} must be numbers") from None
    if len(columns) > 1:
        arrays[CLASSES] = np.array([name.removeprefix(f"{kind}_") for name in columns])
    return arrays


def _persons(rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """The column `person` of both sides, as text; nothing where there is none."""
    if "person" not in rows[0]:
        return {}
    return {
        f"{side}_person": np.array([row["person"] for row in rows if row["side"] == side], dtype=str)
        for side in SIDES
    }


def _of_one_column(rows: list[dict[str, str]], name: str) -> dict[str, np.ndarray]:
    """Predicted classes and labels, or scores, of both sides."""
    arrays = _persons(rows)
    for side in SIDES:
        for column in (name, "label") if name == "prediction" else (name,):
            values = np.array([row[column] for row in rows if row["side"] == side], dtype=str)
            arrays[f"{side}_{column}s"] = _numbers(values, float if name == "score" else np.int64)
    return arrays


def _numbers(labels: np.ndarray, kind: type) -> np.ndarray:
    """Labels of text as numbers where all of them are, else as they are."""
    try:
        return labels.astype(kind)
    except ValueError:
        return labels


def normalised(arrays: Mapping[str, np.ndarray], path: Path | str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays with outputs (n, n_classes) and labels int (n,), and warnings, each one line.

    What has that shape is given back as it is, mapped or not. Both sides may have outputs (n,) or (n, 1):
    those of class 1 of two. Labels: see `labels.labels_of`. Memberships may be 0 and 1. What else is
    wrong is left for `outputs.Outputs` to say.
    """
    converted, warnings, one_column = dict(arrays), list[str](), False
    names = converted.pop(CLASSES, None)
    for key in BOOLS & converted.keys():
        converted[key] = as_bools(converted[key], f"{path}: {key}")
    for kind in ("logits", "probs"):
        keys = [f"{side}_{kind}" for side in SIDES]
        for key in converted.keys() & set(keys):
            _check_rank(converted[key], f"{path}: {key}")
        if single := all(key in converted and _is_single(converted[key]) for key in keys):
            converted |= {key: _two_classes(converted[key], kind) for key in keys}
        one_column |= single
    for side in SIDES:
        if (key := f"{side}_labels") in converted:
            converted[key] = labels_of(converted[key], _columns(converted, side), names, f"{path}: {key}")
            if one_column and not np.isin(converted[key], (0, 1)).all():
                raise UserError(
                    f"{path}: {key} must be 0 or 1 where there is one output per row, got "
                    f"{converted[key].min()}..{converted[key].max()} (a regression?): {PURPOSE}"
                )
    looks = [key for side in SIDES if _are_probabilities(converted.get(key := f"{side}_logits"))]
    if len(looks) == len(SIDES):
        warnings.append(
            f"{path}: {looks[0]} and {looks[1]} look like probabilities (in 0..1, rows summing to 1), "
            "but are taken as logits; name them member_probs and nonmember_probs"
        )
    return converted, warnings


def _columns(arrays: Mapping[str, np.ndarray], side: str) -> int | None:
    """How many classes a side's outputs have; None where nothing says so."""
    kinds = (arrays.get(f"{side}_{kind}") for kind in ("logits", "probs"))
    return next((values.shape[1] for values in kinds if values is not None and values.ndim == 2), None)


def _check_rank(values: np.ndarray, what: str) -> None:
    """UserError for outputs with more than one row of columns per example."""
    if values.ndim > 2:
        raise UserError(
            f"{what}: got {values.dtype} {values.shape}, several outputs per row (tokens?): {PURPOSE}"
        )


def _is_single(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1))


def _two_classes(values: np.ndarray, kind: str) -> np.ndarray:
    """Outputs of class 1 as outputs (n, 2) of both."""
    positive = values.reshape(-1)
    return np.stack([np.zeros_like(positive) if kind == "logits" else 1 - positive, positive], axis=1)


def _are_probabilities(values: np.ndarray | None) -> bool:
    if values is None or values.dtype.kind != "f" or values.ndim != 2 or not values.size:
        return False
    return all(_sum_to_one(block) for _, block in blocks(values))  # of logits the first block says no


def _sum_to_one(rows: np.ndarray) -> bool:
    inside = bool((rows >= 0).all() and (rows <= 1).all())
    return inside and bool(np.allclose(rows.sum(axis=1), 1, atol=1e-3))
