"""What prepare leaves behind, written: four arrays, two more with persons and groups, and dataset.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.datasets import duplicates, persons
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.splits import Membership
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.files import atomic, write_json

GROUP = "group"


def write(folder: Path, name: str, examples: LabelledImages, membership: Membership) -> dict[str, Any]:
    """Write images.npy, labels.npy, member.npy, nonmember.npy and last dataset.json, which is returned.

    Where the examples have persons person.npy, too, int32 (n,): a number each, and no names. Where columns
    say groups group.npy, int32 (n, columns): which of the column's values in dataset.json, -1 for none.
    The bytes depend on the arguments alone: nothing says which source the examples came from.
    """
    arrays = {
        "images": examples.images,
        "labels": examples.labels,
        "member": membership.member,
        "nonmember": membership.nonmember,
    }
    if examples.persons is not None:
        arrays[persons.NAME] = persons.numbers(examples.persons)
    values = {column: sorted(set(texts) - {""}) for column, texts in examples.groups.items()}
    if values:
        columns = [_places(texts, values[column]) for column, texts in examples.groups.items()]
        arrays[GROUP] = np.stack(columns, axis=1)
    # dataset.json is there only when all that it describes is, and nothing else.
    (folder / "dataset.json").unlink(missing_ok=True)
    for stem in (persons.NAME, GROUP):
        (folder / f"{stem}.npy").unlink(missing_ok=True)
    for stem, array in arrays.items():
        with atomic(folder / f"{stem}.npy") as file:
            kind = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
            np.lib.format.write_array_header_1_0(file, kind)
            for _, block in blocks(array):
                file.write(np.ascontiguousarray(block).data)
    description = {
        "name": name,
        "n_classes": len(examples.class_names),
        "class_names": list(examples.class_names),
        "shape": list(examples.images.shape[1:]),
        "n_member": len(membership.member),
        "n_nonmember": len(membership.nonmember),
        "dtype": examples.images.dtype.name,
        "duplicates": duplicates.count(examples.images, membership),
        "digest": digest(arrays),
    }
    if examples.persons is not None:
        for side in ("member", "nonmember"):
            mine = examples.persons[getattr(membership, side)]
            description[f"n_{side}_person"] = len(np.unique(mine))
    if values:
        description["groups"] = [
            {"column": column, "values": distinct} for column, distinct in values.items()
        ]
    write_json(folder / "dataset.json", description)
    return description


def _places(texts: np.ndarray, values: Sequence[str]) -> np.ndarray:
    """Where each text is among sorted values, int32 (n,), -1 for ""."""
    return np.where(texts == "", -1, np.searchsorted(np.array(values, texts.dtype), texts)).astype(np.int32)


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (hex) of named arrays: their names, types, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        for _, block in blocks(array):
            total.update(np.ascontiguousarray(block).data)
    return total.hexdigest()
