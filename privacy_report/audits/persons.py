"""Whose row is which, in the file of an audit: `member_person` and `nonmember_person`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from privacy_report.audits.labels import plain
from privacy_report.errors import UserError

PERSONS = ("member_person", "nonmember_person")
MOST = np.iinfo(np.int64).max
"""The largest number of a person."""


def persons_of(arrays: Mapping[str, np.ndarray], n: tuple[int, int], path: Path | str) -> np.ndarray | None:
    """Numbers int (n_member + n_nonmember,) of the persons whose rows they are, members first; None without.

    arrays: PERSONS, integers or text (n_member,) and (n_nonmember,); n: those lengths. UserError for others,
    and for a person on both sides, by name.
    """
    given = [name for name in PERSONS if name in arrays]
    if not given:
        return None
    if len(given) == 1:
        raise UserError(f"{path}: {PERSONS[0]} goes with {PERSONS[1]}, has only {given[0]}")
    sides = [_side(arrays[name], size, f"{path}: {name}") for name, size in zip(PERSONS, n, strict=True)]
    if len({side.dtype.kind for side in sides}) > 1:
        raise UserError(f"{path}: {PERSONS[0]} and {PERSONS[1]} must be both integers or both text")
    if len(both := np.intersect1d(sides[0], sides[1])):
        more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
        raise UserError(
            f"{path}: person {both[0].item()!r}{more} is a member and a non-member, allowed: one of them"
        )
    return np.unique(np.concatenate(sides), return_inverse=True)[1]


def _side(values: np.ndarray, n: int, what: str) -> np.ndarray:
    """The persons of one side, int64 or text (n,)."""
    persons = plain(values, what)
    if persons.ndim == 2 and persons.shape[1] == 1:
        persons = persons[:, 0]
    if persons.shape != (n,) or persons.dtype.kind not in "iuU":
        raise UserError(f"{what} must be integers or text ({n},), got {persons.dtype} {persons.shape}")
    if persons.dtype.kind != "U":
        if len(persons) and persons.max() > MOST:
            raise UserError(f"{what} must be at most {MOST}, got {persons.max()}; larger ones as text")
        return persons.astype(np.int64)
    if len(empty := np.flatnonzero(np.char.strip(persons) == "")):
        raise UserError(f"{what}: nobody is named in row {empty[0]}, allowed: a person for each row")
    return persons
