import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest, norm

from privacy_report.attack.intervals import (
    advantage_interval,
    advantage_p,
    delong_variance,
    holm,
    lower_rate,
    tpr_interval,
    upper_rate,
)
from privacy_report.attack.roc import Roc, advantage, auc, roc_curve

SCORES = st.lists(st.integers(-4, 4), min_size=2, max_size=25).map(lambda values: np.array(values, float))


@given(SCORES, SCORES)
def test_delong_variance_against_placements_one_by_one(members, nonmembers):
    wins = (members[:, None] > nonmembers) + 0.5 * (members[:, None] == nonmembers)
    slow = wins.mean(axis=1).var(ddof=1) / len(members) + wins.mean(axis=0).var(ddof=1) / len(nonmembers)
    assert delong_variance(roc_curve(members, nonmembers)) == pytest.approx(slow, abs=1e-12)


def test_delong_variance_against_a_bootstrap():
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(0.7, 1, 300), rng.normal(0, 1, 150)
    values = [auc(roc_curve(rng.choice(members, 300), rng.choice(nonmembers, 150))) for _ in range(2000)]
    assert np.sqrt(delong_variance(roc_curve(members, nonmembers))) == pytest.approx(np.std(values), rel=0.08)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_tpr_interval_covers_the_truth(shift):
    rng = np.random.default_rng(2)
    truth, hits = norm.cdf(shift + norm.ppf(0.01)), 0
    for _ in range(300):
        low, high = tpr_interval(roc_curve(rng.normal(shift, 1, 3000), rng.normal(0, 1, 1000)), 0.01)
        hits += low <= truth <= high
    assert hits / 300 >= 0.94


@pytest.mark.parametrize("step", [0.1, 0.5, 1.0])
def test_tpr_interval_covers_the_truth_where_scores_tie(step):
    """Normal scores rounded to a grid: the TPR of the laxest threshold whose FPR is at most 1%."""
    rng, hits = np.random.default_rng(6), 0
    cuts = (np.arange(-20 / step, 20 / step) - 0.5) * step
    truth = norm.sf(cuts - 1)[norm.sf(cuts) <= 0.01].max()
    for _ in range(300):
        scores = (np.round(rng.normal(shift, 1, n) / step) for shift, n in ((1, 3000), (0, 1000)))
        low, high = tpr_interval(roc_curve(*scores), 0.01)
        assert low <= high
        hits += low <= truth <= high
    assert hits / 300 >= 0.94


def crowded(rng, share, side, m=25_000, n=5_000, top=0.05):
    """The curve of uniform non-members and of members that crowd just above or below their threshold of 1%.

    Scores are written as false positive rates. Where the crowd is below, as many members score above
    everyone; all other members, and the non-members that nothing depends on, share the last threshold.
    """
    above = rng.binomial(m, share)
    below = rng.binomial(m - above, share / (1 - share)) if side == "below" else 0
    members = np.repeat([0.0 if below else 0.0099999, 0.0100001], [above, below])
    curve = roc_curve(-members, -rng.random(rng.binomial(n, top)) * top)
    return Roc(np.append(curve.thresholds, -1.0), np.append(curve.tp, m), np.append(curve.fp, n))


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("side", ["above", "below"])
def test_each_end_of_the_tpr_errs_in_2_5_percent_where_members_crowd_at_the_threshold(share, side):
    rng, draws, too_low, too_high = np.random.default_rng(7), 3000, 0, 0
    for _ in range(draws):
        low, high = tpr_interval(crowded(rng, share, side), 0.01)
        too_low += high < share
        too_high += low > share
    most = binom.ppf(0.99, draws, 0.025)
    assert too_low <= most
    assert too_high <= most


@given(SCORES, SCORES, st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.2]))
@example(np.arange(25) - 0.5, np.arange(25.0), 1, 0.2)  # a member between each two of the non-members
def test_tpr_interval_against_counting_one_by_one(members, nonmembers, times, fpr):
    """Non-members that surely lie above the threshold, and those that may, by the tails of their number."""
    nonmembers = np.repeat(nonmembers, times)
    m, n = len(members), len(nonmembers)
    interval = tpr_interval(roc_curve(members, nonmembers), fpr)
    if fpr * n < 5 - 1e-9:
        assert interval is None
        return
    ranked = np.sort(nonmembers)[::-1]
    surely = max((k for k in range(1, n + 1) if binom.cdf(k - 1, n, fpr) <= 0.0125), default=0)
    beyond = min((k for k in range(1, n + 1) if binom.sf(k - 1, n, fpr) <= 0.0125), default=n + 1)
    low = np.sum(members > ranked[surely - 1]) if surely else 0
    high = np.sum(members > ranked[beyond - 1]) if beyond <= n else m
    ends = (
        beta.ppf(0.0125, low, m - low + 1) if low else 0.0,
        beta.isf(0.0125, high + 1, m - high) if high < m else 1.0,
    )
    assert interval == pytest.approx(ends)


def test_tpr_interval_of_constant_scores_is_not_inverted():
    low, high = tpr_interval(roc_curve(np.zeros(3000), np.zeros(1000)), 0.01)
    assert low == 0.0 <= high


def test_tpr_interval_is_refused_below_five_expected_nonmembers():
    rng = np.random.default_rng(3)
    assert tpr_interval(roc_curve(rng.normal(size=900), rng.normal(size=499)), 0.01) is None
    assert tpr_interval(roc_curve(rng.normal(size=900), rng.normal(size=500)), 0.01) is not None


def test_rates_are_clopper_pearson():
    for k, n in ((0, 10), (3, 10), (10, 10), (40, 5000)):
        interval = binomtest(k, n).proportion_ci(0.95, method="exact")
        assert lower_rate(k, n, 0.025) == pytest.approx(interval.low)
        assert upper_rate(k, n, 0.025) == pytest.approx(interval.high)


def test_rates_of_broken_counts_lie_between_those_of_whole_ones():
    for k in (0, 3, 9):
        rates = [float(lower_rate(k + fraction, 10, 0.025)) for fraction in (0.0, 1e-3, 0.5, 0.999, 1.0)]
        assert rates == sorted(rates)
        assert len(set(rates)) == 5
    assert lower_rate(0.3, 10, 0.025) == pytest.approx(beta.ppf(0.025, 0.3, 10.7))
    assert upper_rate(9.7, 10, 0.025) == pytest.approx(beta.isf(0.025, 10.7, 0.3))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_advantage_interval_covers_the_truth(shift, absolute):
    rng = np.random.default_rng(5)
    truth, too_high, too_low = 2 * norm.cdf(shift / 2) - 1, 0, 0
    for _ in range(1000):
        curve = roc_curve(rng.normal(shift, 1, 300), rng.normal(0, 1, 100))
        value = float(np.max(np.abs(curve.tpr - curve.fpr))) if absolute else advantage(curve)
        low, high = advantage_interval(value, 300, 100, absolute)
        assert 0 <= low <= value <= high <= 1
        too_high += low > truth
        too_low += high < truth
    assert too_high <= 25
    assert too_low <= 25


def test_advantage_interval_by_hand():
    low, high = advantage_interval(0.5, 2000, 500)
    assert low == pytest.approx(0.5 - np.sqrt(np.log(80) / 4000) - np.sqrt(np.log(80) / 1000))
    assert high == pytest.approx(0.5 + np.sqrt(np.log(40) / 2 * (1 / 2000 + 1 / 500)))
    assert advantage_interval(0.5, 2000, 500, absolute=True) == (
        pytest.approx(0.5 - np.sqrt(np.log(160) / 4000) - np.sqrt(np.log(160) / 1000)),
        high,
    )
    assert advantage_interval(0.1, 10, 10)[0] == 0.0
    assert advantage_interval(0.9, 10, 10)[1] == 1.0


def test_no_advantage_has_p_1():
    assert advantage_p(roc_curve(np.zeros(900), np.zeros(900))) == 1.0
    assert advantage_p(roc_curve(np.zeros(9), np.ones(9))) == pytest.approx(1.0)


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == [True, False, False, True]
    assert holm(np.array([0.05])).tolist() == [True]
    assert holm(np.array([])).tolist() == []
    # The second smallest fails, so a third that would pass on its own does not.
    assert holm(np.array([0.001, 0.03, 0.04])).tolist() == [True, False, False]
