"""What prepare leaves behind for the other stages: four arrays and dataset.json, written and read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.datasets import duplicates
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.splits import Membership
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.files import atomic, read_json, write_json

FOLDER = Path("data/prepare")
ARRAYS = ("images", "labels", "member", "nonmember")


def write(folder: Path, name: str, examples: LabelledImages, membership: Membership) -> dict[str, Any]:
    """Write images.npy, labels.npy, member.npy, nonmember.npy and last dataset.json, which is returned.

    The bytes depend on the arguments alone: nothing says which source the examples came from.
    """
    arrays = {
        "images": examples.images,
        "labels": examples.labels,
        "member": membership.member,
        "nonmember": membership.nonmember,
    }
    # dataset.json is there only when all that it describes is.
    (folder / "dataset.json").unlink(missing_ok=True)
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
    write_json(folder / "dataset.json", description)
    return description


@dataclass(frozen=True)
class Prepared:
    """The examples in their canonical order, and who of them is a member.

    images: uint8 (n, H, W, C), or a user's features (n, ...), memory-mapped; labels: int32 (n,); member,
    nonmember: int32 indices into both; about: dataset.json.
    """

    images: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    nonmember: np.ndarray
    about: dict[str, Any]


def read(folder: Path | str = FOLDER) -> Prepared:
    """Read what `write` has written to `folder`. UserError where a file is missing."""
    folder = Path(folder)
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        return Prepared(**arrays, about=read_json(folder / "dataset.json"))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `dvc repro prepare` makes it") from None


def files_digest(folder: Path | str = FOLDER) -> str:
    """SHA-256 (hex) of what is on disk now and results depend on: all four arrays' bytes, n_classes."""
    digests = {name: memo.file_digest(Path(folder, f"{name}.npy")) for name in ARRAYS}
    return memo.digest(digests | {"n_classes": read(folder).about["n_classes"]})


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (hex) of named arrays: their names, types, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        for _, block in blocks(array):
            total.update(np.ascontiguousarray(block).data)
    return total.hexdigest()
