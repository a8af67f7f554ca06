"""Whose row is which: `person.npy` next to the prepared arrays, only where the data have persons."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privacy_report.datasets import canaries
from privacy_report.datasets.labelled import RefusedError
from privacy_report.datasets.prepared import FOLDER, Prepared

NAME = "person"
MOST = np.iinfo(np.int64).max
"""The largest number of a person."""
STREAM = 0x706572
"""Of the choice of a row of each person, which no other purpose has."""


def numbers(persons: np.ndarray) -> np.ndarray:
    """Numbers int32 (n,) from 0 on instead of integers or text: no name is written down."""
    return np.unique(persons, return_inverse=True)[1].astype(np.int32)


def read(examples: Prepared, folder: Path | str = FOLDER) -> np.ndarray | None:
    """Persons int32 (n_member + n_nonmember,) of a world's examples, members first; None without persons."""
    path = path_in(folder)
    return np.load(path)[np.concatenate([examples.member, examples.nonmember])] if path.exists() else None


def path_in(folder: Path | str = FOLDER) -> Path:
    """The file of persons, which is there only where there are any."""
    return Path(folder, f"{NAME}.npy")


def of_references(variant: str) -> np.ndarray | None:
    """The persons of all examples of a variant, in the order in which its references have them."""
    if not path_in().exists():
        return None
    return read(canaries.read_world(canaries.path_of(variant)).for_references)


def check_sides(persons: np.ndarray, member: np.ndarray, nonmember: np.ndarray) -> None:
    """RefusedError that names a person with rows on both sides; member, nonmember: positions of rows."""
    both = np.intersect1d(persons[member], persons[nonmember])
    if len(both):
        more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
        raise RefusedError(
            f"dataset: person {both[0].item()!r}{more} is a member and a non-member, allowed: one of them; "
            "with both sides from one split and member_fraction, persons are drawn"
        )


def checked(persons: np.ndarray, n: int, what: str) -> np.ndarray:
    """Persons of n rows, int64 or text (n,); RefusedError for others.

    Integers are of one type, since those of two types may have no other in common than float64, which takes
    some persons for one.
    """
    if persons.shape != (n,) or persons.dtype.kind not in "iuU":
        raise RefusedError(f"{what} must be integers or text ({n},), got {persons.dtype} {persons.shape}")
    if persons.dtype.kind == "U" and len(empty := np.flatnonzero(np.char.strip(persons) == "")):
        raise RefusedError(f"{what} names nobody in row {empty[0] + 1}")
    if persons.dtype.kind == "u" and len(persons) and persons.max() > MOST:
        raise RefusedError(f"{what} must be at most {MOST}, got {persons.max()}; larger ones as text")
    return persons if persons.dtype.kind == "U" else persons.astype(np.int64)


def one_row_each(examples: Prepared, persons: np.ndarray, seed: int) -> np.ndarray:
    """One random row of each person among the members, ascending: whom canaries are drawn from.

    persons int (n,): of the `examples`, members first. So the coins of canaries are of different persons.
    """
    n = len(examples.member)
    order = np.random.default_rng([STREAM, seed]).permutation(n)
    _, first = np.unique(persons[:n][order], return_index=True)
    return np.sort(np.asarray(examples.member)[order[first]])
