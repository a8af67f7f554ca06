"""Who is a member and who is not, written down as indices into the examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from privacy_report.datasets.persons import check_sides
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError
from privacy_report.pipeline.params import one_of


@dataclass(frozen=True)
class Membership:
    """Indices of the examples in the target's training set and of those that are not, each ascending.

    int32 (n_member,) and (n_nonmember,), disjoint. Raises UserError for an empty side.
    """

    member: np.ndarray
    nonmember: np.ndarray

    def __post_init__(self) -> None:
        for side in ("member", "nonmember"):
            if not len(getattr(self, side)):
                raise UserError(f"dataset: no {side} is left; both members and non-members are needed")


def membership(
    params: DatasetParams,
    splits: Mapping[str, range],
    labels: np.ndarray,
    persons: np.ndarray | None = None,
) -> Membership:
    """Divide the rows of `splits` as `params` say; labels: int (n,), one for each row.

    persons: integers or text (n,), whose row each is; they are members or not with all their rows. Raises
    UserError for a split that the dataset does not have, and for a person in both.
    """
    for key in ("member_split", "nonmember_split"):
        one_of(f"dataset.{key}", getattr(params, key), splits)
    rows = _indices(splits[params.member_split])
    if params.member_fraction is None:
        sides = Membership(rows, _indices(splits[params.nonmember_split]))
        if persons is not None:
            check_sides(persons, sides.member, sides.nonmember)
        return sides
    some = None if persons is None else persons[rows]
    drawn = draw(labels[rows], params.member_fraction, params.seed, some)
    return Membership(rows[drawn], rows[~drawn])


def draw(labels: np.ndarray, fraction: float, seed: int, persons: np.ndarray | None = None) -> np.ndarray:
    """Random members: bool (n,), true for the nearest whole number to `fraction` of each class.

    Stratified, so that the slices by class have both sides and neither side is easier by its mix of
    classes. Each class has its own random stream, derived from `seed`. With persons these are drawn, each as
    one of the class of the first row.
    """
    if persons is not None:
        _, first, person = np.unique(persons, return_index=True, return_inverse=True)
        return draw(labels[first], fraction, seed)[person]
    drawn = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        order = np.random.default_rng([seed, int(label)]).permutation(len(rows))
        drawn[rows[order[: round(fraction * len(rows))]]] = True
    return drawn


def _indices(rows: range) -> np.ndarray:
    return np.arange(rows.start, rows.stop, dtype=np.int32)
