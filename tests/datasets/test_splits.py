"""Membership by split and at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.datasets.schema import DatasetParams
from privacy_report.datasets.splits import draw, membership
from privacy_report.errors import UserError

LABELS = np.arange(1000) % 7


def test_two_splits_are_taken_whole() -> None:
    got = membership(
        DatasetParams("cifar10"), {"train": range(5), "test": range(5, 8)}, np.zeros(8, np.int32)
    )
    assert got.member.tolist() == [0, 1, 2, 3, 4]
    assert got.nonmember.tolist() == [5, 6, 7]
    assert got.member.dtype == got.nonmember.dtype == np.int32


def test_one_split_is_divided_without_rest() -> None:
    got = membership(DatasetParams("x", "a", "a", 0.5), {"b": range(100), "a": range(100, 1000)}, LABELS)
    both = np.concatenate([got.member, got.nonmember])
    np.testing.assert_array_equal(np.sort(both), np.arange(100, 1000))
    assert (np.diff(got.member) > 0).all()
    assert (np.diff(got.nonmember) > 0).all()


@given(
    labels=st.lists(st.integers(0, 4), max_size=200).map(np.array),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_each_class_keeps_the_fraction(labels: np.ndarray, fraction: float, seed: int) -> None:
    drawn = draw(labels, fraction, seed)
    for label in set(labels.tolist()):
        n = int((labels == label).sum())
        assert abs(drawn[labels == label].sum() - fraction * n) <= 0.5


def test_the_seed_decides() -> None:
    assert (draw(LABELS, 0.5, 1) == draw(LABELS, 0.5, 1)).all()
    # Two independent halves agree on about half.
    assert 0.4 < (draw(LABELS, 0.5, 1) == draw(LABELS, 0.5, 2)).mean() < 0.6
    # Not the same positions in each class.
    first, second = (draw(LABELS, 0.5, 1)[label == LABELS][:142] for label in (0, 1))
    assert (first != second).any()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (DatasetParams("x", "training"), r"dataset\.member_split: got 'training', allowed: test, train"),
        (
            DatasetParams("x", nonmember_split="val"),
            r"dataset\.nonmember_split: got 'val', allowed: test, train",
        ),
    ],
)
def test_a_missing_split_is_named(params: DatasetParams, match: str) -> None:
    with pytest.raises(UserError, match=match):
        membership(params, {"train": range(5), "test": range(5, 8)}, np.zeros(8, int))


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(UserError, match="no member is left"):
        membership(DatasetParams("x", "a", "a", 0.01), {"a": range(8)}, np.zeros(8, int))
    with pytest.raises(UserError, match="no nonmember is left"):
        membership(DatasetParams("x", "a", "a", 0.99), {"a": range(8)}, np.zeros(8, int))
