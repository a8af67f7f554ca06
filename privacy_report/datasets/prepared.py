"""What prepare leaves behind for the other stages, read: four arrays and dataset.json."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.digests import digest, file_digest
from privacy_report.pipeline.files import read_json

FOLDER = Path("data/prepare")
ARRAYS = ("images", "labels", "member", "nonmember")


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

    def with_n_classes_alone(self) -> Prepared:
        """The same, but `about` has only what `files_digest` holds of it."""
        return replace(self, about={"n_classes": self.about["n_classes"]})


def read(folder: Path | str = FOLDER) -> Prepared:
    """Read what `preparation.write` has written to `folder`. UserError where a file is missing."""
    folder = Path(folder)
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        return Prepared(**arrays, about=read_json(folder / "dataset.json"))
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file; `dvc repro prepare` makes it") from None


def files_digest(folder: Path | str = FOLDER) -> str:
    """SHA-256 (hex) of what is on disk now and results depend on: all four arrays' bytes, n_classes."""
    digests = {name: file_digest(Path(folder, f"{name}.npy")) for name in ARRAYS}
    return digest(digests | {"n_classes": read(folder).about["n_classes"]})
