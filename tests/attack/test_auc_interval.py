"""The AUC's interval: its formula, its ends, and how often it covers a truth that is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import beta, norm

from privacy_report.attack.intervals import PRIOR, auc_interval, delong_variance
from privacy_report.attack.roc import auc, roc_curve

SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=25).map(lambda values: np.array(values, float))
Z = norm.isf(0.025)


@given(SCORES, SCORES)
def test_it_holds_the_auc_and_stays_in_the_unit_interval(members, nonmembers):
    curve = roc_curve(members, nonmembers)
    low, high = auc_interval(curve)
    assert 0 <= low <= auc(curve) + 1e-12
    assert auc(curve) - 1e-12 <= high <= 1
    assert high - low > 0.05  # 25 examples a side say no more than that


@given(SCORES, SCORES)
def test_swapping_the_sides_mirrors_it(members, nonmembers):
    low, high = auc_interval(roc_curve(members, nonmembers))
    assert auc_interval(roc_curve(nonmembers, members)) == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_it_by_hand():
    """AUC 0.75; placements of the members 1 and 0.5, of the non-members 0.5 and 1; twelve times over."""
    members, nonmembers = np.repeat([3.0, 1], 12), np.repeat([2.0, 0], 12)
    squares, credit = 24 * 0.25**2, 6 * 0.75 * 0.25 / 3
    variance = 2 * (squares + credit) / (23 + 6) / 24
    half = Z * np.sqrt(variance) / (0.75 * 0.25)
    expected = expit(logit(0.75) - half), expit(logit(0.75) + half)
    assert auc_interval(roc_curve(members, nonmembers)) == pytest.approx(expected, abs=1e-12)


def test_few_pairs_cut_it_by_hand():
    """One of 400 members below one of 10 non-members: the logit scale alone would go down to 0.002."""
    curve = roc_curve(np.append(np.full(399, 2.0), 0.5), np.append(np.zeros(9), 1.0))
    pairs_won = 10 * (1 - 1 / 4000)
    assert auc_interval(curve)[0] == pytest.approx(beta.ppf(0.025, pairs_won, 11 - pairs_won))


def test_many_examples_give_delongs_interval():
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 3.0):
        curve = roc_curve(rng.normal(shift, 1, 50_000), rng.normal(0, 1, 10_000))
        value, plain = auc(curve), delong_variance(curve)
        low, high = auc_interval(curve)
        half = Z * np.sqrt(plain) / (value * (1 - value))
        width = expit(logit(value) + half) - expit(logit(value) - half)
        assert high - low == pytest.approx(width, rel=2e-3)


def test_complete_separation_is_ten_pairs_in_a_row():
    low, high = auc_interval(roc_curve(np.arange(10, 30.0), np.arange(10.0)))
    assert (low, high) == (pytest.approx(0.025**0.1), 1.0)
    assert auc_interval(roc_curve(np.arange(10.0), np.arange(10, 30.0))) == (
        0.0,
        pytest.approx(1 - 0.025**0.1),
    )


def test_constant_scores_are_no_certainty():
    """40 pairs tie: with 95% confidence at most a share 1 - 0.025^(1/40) does not, all of it on one side."""
    half = (1 - 0.025 ** (1 / 40)) / 2
    assert auc_interval(roc_curve(np.zeros(60), np.zeros(40))) == pytest.approx((0.5 - half, 0.5 + half))


def test_a_single_example_says_next_to_nothing():
    assert delong_variance(roc_curve(np.array([0.5]), np.arange(3.0))) == np.inf
    low, high = auc_interval(roc_curve(np.array([0.5]), np.arange(3.0)))
    assert low < 0.07
    assert high > 0.9
    assert auc_interval(roc_curve(np.array([1.0]), np.array([0.0]))) == (pytest.approx(0.025), 1.0)
    assert auc_interval(roc_curve(np.array([1.0]), np.array([1.0]))) == pytest.approx((0.0125, 0.9875))


def rounded_auc(shift, step):
    """P(X > Y) + P(X = Y) / 2 of N(shift, 1) and N(0, 1), both rounded to multiples of `step`."""
    cuts = (np.arange(-30, 32) - 0.5) * step
    p, q = np.diff(norm.cdf(cuts - shift)), np.diff(norm.cdf(cuts))
    return float(np.dot(p, np.cumsum(q) - q / 2))


def normal(rng, shift, m, n):
    return rng.normal(shift, 1, m), rng.normal(0, 1, n), norm.cdf(shift / np.sqrt(2))


def rounded(rng, shift, m, n):
    """Heavy ties: nearly all scores take one of three or four values."""
    members, nonmembers, _ = normal(rng, shift, m, n)
    return np.round(members / 2), np.round(nonmembers / 2), rounded_auc(shift, 2)


def exponential(rng, shift, m, n):
    """Skewed: losses are exponential, the members' smaller; the AUC is that of normal scores."""
    truth = norm.cdf(shift / np.sqrt(2))
    return -rng.exponential(1, m), -rng.exponential(truth / (1 - truth), n), truth


def coverage(draw, shift, m, n, draws):
    hits, rng = 0, np.random.default_rng([m, n, int(10 * shift)])
    for _ in range(draws):
        members, nonmembers, truth = draw(rng, shift, m, n)
        low, high = auc_interval(roc_curve(members, nonmembers))
        hits += low <= truth <= high
    return hits / draws


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("draw", [normal, rounded])
@pytest.mark.parametrize(("m", "n"), [(10, 10), (400, 10), (10, 400), (1000, 30)])
def test_coverage_from_ten_examples_a_side_on(draw, m, n, shift):
    """10,000 draws a cell gave 94% to 99%; DeLong's variance alone 77% at 400, 10, shift 3 and ties."""
    assert 0.92 <= coverage(draw, shift, m, n, 300) <= 0.998


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("m", "n"), [(400, 10), (10, 400), (400, 20)])
def test_coverage_of_skewed_scores(m, n, shift):
    """Least where few examples have the long tail: 90% at 400, 20 and shift 2 (10,000 draws)."""
    assert coverage(exponential, shift, m, n, 300) >= (0.87 if (m, n) == (400, 20) else 0.91)


def test_the_credit_is_what_covers(monkeypatch):
    """Without it the same simulation fails: the tests above can."""
    monkeypatch.setattr("privacy_report.attack.intervals.PRIOR", 0)
    assert PRIOR == 6
    assert coverage(normal, 3.0, 400, 10, 300) < 0.88
