"""Memberships of references: complementary, nested, random, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.errors import UserError
from privacy_report.training.memberships import group_size, halves


@given(st.integers(2, 50), st.integers(1, 5), st.integers(0, 2**32))
def test_pairs_are_complementary_halves(n, pairs, seed):
    is_member = halves(n, 2 * pairs, seed)
    assert is_member.shape == (2 * pairs, n)
    assert (is_member[0::2] != is_member[1::2]).all()
    assert set(is_member.sum(axis=1)) == {n // 2, n - n // 2}


@given(st.integers(2, 7), st.integers(1, 3), st.integers(0, 40), st.integers(0, 99))
def test_folds_leave_each_example_out_once_a_group(size, groups, extra, seed):
    n = size + extra
    is_member = halves(n, size * groups, seed, (size - 1) / size)
    assert ((~is_member).reshape(groups, size, n).sum(axis=1) == 1).all()
    assert set((~is_member).sum(axis=1)) <= {n // size, -(-n // size)}


@pytest.mark.parametrize("fraction", [1 / 2, 5 / 6])
def test_the_first_are_the_same_however_many_follow(fraction):
    few, many = halves(101, 12, 7, fraction), halves(101, 36, 7, fraction)
    assert (many[:12] == few).all()


def test_groups_and_seeds_differ():
    rows = np.vstack([halves(200, 8, 0)[::2], halves(200, 8, 1)[::2]])
    assert (np.corrcoef(rows) - np.eye(8) < 0.3).all()  # 4 standard errors


def test_examples_are_drawn_evenly():
    """Over 400 independent halves each of 20 examples is IN about as often: 4 standard errors of a half."""
    counts = halves(20, 800, 3)[::2].sum(axis=0)
    assert (np.abs(counts - 200) < 4 * np.sqrt(400 / 4)).all()
    assert counts.std() > 4  # and no block is dealt out in turn


@pytest.mark.parametrize(
    ("fraction", "size"), [(0.5, 2), (0.6667, 3), (0.75, 4), (0.8333, 6), (0.833333, 6), (0.9, 10)]
)
def test_fractions_may_be_rounded_to_four_decimals(fraction, size):
    assert group_size(fraction) == size


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 0.4, 1 / 3, 0.6, 0.7, 0.83, 1.5, np.nan])
def test_other_fractions_are_refused(fraction):
    with pytest.raises(UserError, match=r"fraction: got .*, allowed: 1/2, 2/3, 3/4, ... k/\(k\+1\)"):
        halves(100, 6, 0, fraction)


@pytest.mark.parametrize(
    ("n", "models", "seed", "fraction", "text"),
    [
        (100, 3, 0, 1 / 2, "models: got 3 at fraction 0.5, allowed: multiples of 2"),
        (100, 0, 0, 1 / 2, "models: got 0 at fraction 0.5"),
        (100, -2, 0, 1 / 2, "models: got -2 at fraction 0.5"),
        (100, 8, 0, 5 / 6, "models: got 8 at fraction 0.8333, allowed: multiples of 6"),
        (1, 2, 0, 1 / 2, "examples: got 1, allowed: at least 2 at fraction 0.5"),
        (5, 6, 0, 5 / 6, "examples: got 5, allowed: at least 6"),
        (100, 2, -1, 1 / 2, "seed: got -1, allowed"),
    ],
)
def test_what_does_not_fit_is_refused(n, models, seed, fraction, text):
    with pytest.raises(UserError, match=text):
        halves(n, models, seed, fraction)


def test_memberships_do_not_change():
    """References that are kept on disk were trained on these: another draw would orphan them all."""
    drawn = halves(12, 4, 0)[[0, 2]].astype(int).tolist()
    assert drawn == [[1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0], [0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1]]
