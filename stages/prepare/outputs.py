"""What prepare leaves behind for the other stages: four arrays and dataset.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages.artefacts import atomic, write_json
from stages.prepare.examples import Examples
from stages.prepare.splits import Membership


def write(folder: Path, name: str, examples: Examples, membership: Membership) -> None:
    """Write images.npy, labels.npy, member.npy, nonmember.npy and last dataset.json.

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
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    description = {
        "name": name,
        "n_classes": len(examples.class_names),
        "class_names": list(examples.class_names),
        "shape": list(examples.images.shape[1:]),
        "n_member": len(membership.member),
        "n_nonmember": len(membership.nonmember),
        "digest": digest(arrays),
    }
    write_json(folder / "dataset.json", description)


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 (hex) of named arrays: their names, types, shapes and values, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.data)
    return total.hexdigest()
