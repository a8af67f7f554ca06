"""P-values of the advantage: against exact rational counting, scipy's exact test, and permutations."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import ks_2samp

from privacy_report.attack.intervals import advantage_p
from privacy_report.attack.roc import roc_curve
from privacy_report.attack.smirnov import EXACT, p_value


def counted(excess, m, n):
    """The share of lattice paths to (m, n) that reach i / m - j / n >= excess / (m n), in whole numbers."""
    below = [0] * (n + 1)
    for i in range(m + 1):
        for j in range(n + 1):
            paths = 1 if i == j == 0 else below[j] * (i > 0) + (below[j - 1] if j else 0)
            below[j] = 0 if i * n - j * m >= excess else paths
    return float(1 - Fraction(below[n], math.comb(m + n, m)))


def at(p, m, n):
    """The statistic, as an excess, whose p-value is about p: a multiple of the sizes' common divisor."""
    d = math.sqrt(-math.log(p) / 2 * (1 / m + 1 / n))
    return min(m * n, int(d * m * n) // math.gcd(m, n) * math.gcd(m, n))


LEVELS = (0.3, 0.05, 1e-3, 1e-5, 1e-8)


@pytest.mark.parametrize(
    "sizes", [(1, 1), (3, 1), (12, 5), (40, 30), (10, 300), (EXACT, EXACT - 1), (97, 150)]
)
def test_a_small_side_is_counted_exactly(sizes):
    for p in LEVELS:
        excess = at(p, *sizes)
        assert p_value(excess, *sizes) == pytest.approx(counted(excess, *sizes), rel=1e-9)


def test_far_in_the_tail_of_ten_against_a_thousand():
    """Only the order of all members above all non-members, and then one step less."""
    assert p_value(10_000, 10, 1000) == pytest.approx(1 / math.comb(1010, 10), rel=1e-9)
    assert p_value(9_990, 10, 1000) == pytest.approx(11 / math.comb(1010, 10), rel=1e-9)
    assert p_value(9_990, 1000, 10) == p_value(9_990, 10, 1000)


def two_of_one_size(excess, n):
    """The closed form of equal sizes (Gnedenko & Korolyuk 1951), C(2n, n - k) / C(2n, n)."""
    k = np.arange(1, excess // n + 1)
    return np.prod((n - k[::-1] + 1) / (n + k))


@pytest.mark.parametrize("n", [101, 501, 5000, 70_000, 600_000])
def test_two_sides_of_one_size_have_a_closed_form(n):
    for p in LEVELS:
        assert p_value(at(p, n, n), n, n) == pytest.approx(two_of_one_size(at(p, n, n), n), rel=1e-7)


@pytest.mark.parametrize("sizes", [(400, 101), (600, 200), (240, 120)])
def test_scipy_counts_the_same_paths(sizes):
    rng = np.random.default_rng(0)
    for shift in (0.0, 0.1, 0.3, 0.5):
        members, nonmembers = rng.normal(shift, 1, sizes[0]), rng.normal(0, 1, sizes[1])
        exact = ks_2samp(members, nonmembers, alternative="less", method="exact").pvalue
        tolerance = 1e-7 if sizes[0] % sizes[1] == 0 else 0.03
        assert advantage_p(roc_curve(members, nonmembers)) == pytest.approx(exact, rel=tolerance)


# Sizes that nearly divide each other, or whose ratio is a simple fraction, are the worst that were found.
WORST = [
    (241, 161),
    (134, 106),
    (252, 169),
    (377, 376),
    (667, 334),
    (501, 500),
    (1000, 501),
    (2497, 499),
    (3333, 667),
]


@pytest.mark.parametrize("sizes", WORST)
def test_other_sizes_are_right_to_3_percent_at_every_level_that_decides(sizes):
    for p in LEVELS:
        excess = at(p, *sizes)
        assert p_value(excess, *sizes) == pytest.approx(walked(excess, *sizes), rel=0.03)


def walked(excess, m, n):
    """The probability that a walk through both samples, drawn without replacement, touches: step by step."""
    i, touched = np.arange(m + 2), 0.0
    here = np.zeros(m + 2)
    here[0] = 1.0
    for step in range(m + n):
        up = here * np.clip((m - i) / (m + n - step), 0, 1)
        here -= up
        here[1:] += up[:-1]
        touches = i * n - (step + 1 - i) * m >= excess
        touched += here[touches].sum()
        here[touches] = 0.0
    return touched


def test_the_walk_of_the_oracle_is_counting():
    for p in (0.3, 1e-3):
        assert walked(at(p, 40, 30), 40, 30) == pytest.approx(counted(at(p, 40, 30), 40, 30), rel=1e-9)


def test_at_5_percent_a_p_value_is_at_most_that_in_5_percent_of_permutations():
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(4000):
        ranks = rng.permutation(500).astype(float)
        wrong += advantage_p(roc_curve(ranks[:333], ranks[333:])) <= 0.05
    assert 0.04 <= wrong / 4000 <= 0.06


def test_no_advantage_has_p_1():
    assert advantage_p(roc_curve(np.zeros(900), np.zeros(900))) == 1.0
    assert advantage_p(roc_curve(np.zeros(9), np.ones(9))) == 1.0
