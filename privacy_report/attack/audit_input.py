"""Outputs of somebody's model as they come: .npz, .csv, or a folder of .npy, in several shapes.

What is unambiguous is put into the one shape that attacks read; all else is refused with the remedy.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.mapped import map_arrays

SIDES = ("member", "nonmember")
NEEDED = "member_logits (or member_probs), member_labels, and the same for nonmember_"
CSV_COLUMNS = "side (member or nonmember), label, logit_CLASS or prob_CLASS each (or one logit or prob)"
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
    return _from_csv(path) if path.suffix == ".csv" else map_arrays(path)


def _from_csv(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as CSV ({error})") from None
    names = list(rows[0]) if rows else []
    kinds = {kind: [n for n in names if n == kind or n.startswith(f"{kind}_")] for kind in ("logit", "prob")}
    found = [kind for kind, columns in kinds.items() if columns]
    if len(found) != 1 or not {"side", "label"} <= set(names):
        raise UserError(f"{path}: got the columns {names}, allowed: {CSV_COLUMNS}")
    (kind,) = found
    columns = kinds[kind]
    arrays = {}
    try:
        for side in SIDES:
            mine = [row for row in rows if row["side"] == side]
            values = np.array([[float(row[name]) for name in columns] for row in mine])
            arrays[f"{side}_{kind}s"] = values.reshape(len(mine), len(columns))
            arrays[f"{side}_labels"] = _numbers(np.array([row["label"] for row in mine], dtype=str))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {error}; {columns} must be numbers") from None
    if wrong := {row["side"] for row in rows} - set(SIDES):
        raise UserError(f"{path}: got the sides {sorted(map(str, wrong))}, allowed: member, nonmember")
    if len(columns) > 1:
        arrays[CLASSES] = np.array([name.removeprefix(f"{kind}_") for name in columns])
    return arrays


def _numbers(labels: np.ndarray) -> np.ndarray:
    """Labels of text as numbers where all of them are, else as they are."""
    try:
        return labels.astype(np.int64)
    except ValueError:
        return labels


def normalised(arrays: Mapping[str, np.ndarray], path: Path | str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays with outputs (n, n_classes) and labels int (n,), and warnings, each one line.

    What has that shape is given back as it is, mapped or not. Both sides may have outputs (n,) or (n, 1):
    those of class 1 of two. Labels may be whole floats, (n, 1), or text that the array `classes` names. What
    else is wrong is left for `outputs.Outputs` to say.
    """
    found, warnings = dict(arrays), []
    names = found.pop(CLASSES, None)
    for kind in ("logits", "probs"):
        keys = [f"{side}_{kind}" for side in SIDES]
        if all(key in found and _is_single(found[key]) for key in keys):
            found |= {key: _two_classes(found[key], kind) for key in keys}
    for side in SIDES:
        if (key := f"{side}_labels") in found:
            found[key] = _labels(found[key], names, f"{path}: {key}")
    looks = [key for side in SIDES if _are_probabilities(found.get(key := f"{side}_logits"))]
    if len(looks) == len(SIDES):
        warnings.append(
            f"{path}: {looks[0]} and {looks[1]} look like probabilities (in 0..1, rows summing to 1), "
            "but are taken as logits; name them member_probs and nonmember_probs"
        )
    return found, warnings


def _is_single(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1))


def _two_classes(values: np.ndarray, kind: str) -> np.ndarray:
    """Outputs of class 1 as outputs (n, 2) of both."""
    one = values.reshape(-1)
    return np.stack([np.zeros_like(one) if kind == "logits" else 1 - one, one], axis=1)


def _labels(labels: np.ndarray, names: np.ndarray | None, what: str) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "f":
        if not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
            raise UserError(f"{what} must be integers, got {labels.dtype} that are not whole")
        return labels.astype(np.int64)
    if labels.dtype.kind in "US":
        if names is None:
            raise UserError(f"{what} are text: add the array `classes`, names in the order of columns")
        place = {str(name): i for i, name in enumerate(names)}
        if unknown := sorted({str(one) for one in labels} - set(place)):
            raise UserError(f"{what} got {unknown[0]!r}, allowed: {', '.join(place)}")
        return np.array([place[str(one)] for one in labels], np.int64)
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels


def _are_probabilities(values: np.ndarray | None) -> bool:
    if values is None or values.dtype.kind != "f" or values.ndim != 2 or not values.size:
        return False
    return all(_sum_to_one(block) for _, block in blocks(values))  # of logits the first block says no


def _sum_to_one(rows: np.ndarray) -> bool:
    inside = bool((rows >= 0).all() and (rows <= 1).all())
    return inside and bool(np.allclose(rows.sum(axis=1), 1, atol=1e-3))
