"""Examples of a user's own as NumPy arrays: an .npz, or a folder of .npy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from privacy_report.datasets import own
from privacy_report.datasets.labelled import LabelledImages, RefusedError
from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.mapped import map_arrays

NAME = re.compile(r"(?:(?P<split>.+)_)?(?P<part>features|labels|person)")
CLASS_NAMES = "class_names"


def load(path: Path) -> LabelledImages:
    """The arrays `features` and `labels` as one split `all`, or `SPLIT_features`, `SPLIT_labels` of each.

    `person` or `SPLIT_person` of each, integers or texts (n,), says whose row it is. `class_names`, texts
    (n_classes,), may be there, too. Nothing is unpickled. UserError of one line for what
    is missing, left over, or no array of numbers.
    """
    arrays = _folder(path) if path.is_dir() else map_arrays(path)
    names = arrays.pop(CLASS_NAMES, None)
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise RefusedError(
            f"{path}: {CLASS_NAMES} must be texts (n_classes,), got {names.dtype} {names.shape}"
        )
    splits: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        if not (match := NAME.fullmatch(name)):
            raise RefusedError(
                f"{path}: unknown array {name!r}, allowed: features, labels, SPLIT_features, SPLIT_labels, "
                f"person, SPLIT_person, {CLASS_NAMES}"
            )
        parts = splits.setdefault(match["split"] or "all", {})
        if match["part"] in parts:
            raise RefusedError(f"{path}: has {match['part']} and all_{match['part']}, allowed: one of them")
        parts[match["part"]] = array
    for split, parts in splits.items():
        if missing := {"features", "labels"} - set(parts):
            raise RefusedError(f"{path}: split {split} has no {missing.pop()}, it has {sorted(arrays)}")
    if not splits:
        raise RefusedError(f"{path}: has no arrays, allowed: features and labels")
    pairs = {split: (parts["features"], parts["labels"]) for split, parts in splits.items()}
    persons = {split: parts["person"] for split, parts in splits.items() if "person" in parts}
    return own.examples(pairs, None if names is None else tuple(names.tolist()), path, persons)


def _folder(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for file in sorted(path.glob("*.npy")):
        try:
            arrays[file.stem] = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{file}: no plain array ({one_line(error)})") from None
    return arrays
