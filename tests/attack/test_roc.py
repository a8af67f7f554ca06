import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_curve

from privacy_report.attack.roc import advantage, auc, balanced_accuracy, ppv, roc_curve, thin, tpr_at_fpr

# Few distinct values, so that ties are common.
SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=30).map(lambda values: np.array(values, float))


@given(SCORES, SCORES)
def test_auc_is_pairwise_counting_with_ties(members, nonmembers):
    difference = members[:, None] - nonmembers
    expected = np.mean((difference > 0) + 0.5 * (difference == 0))
    assert auc(roc_curve(members, nonmembers)) == pytest.approx(expected, abs=1e-12)


@given(SCORES, SCORES)
def test_auc_swaps_and_ignores_monotone_transforms(members, nonmembers):
    value = auc(roc_curve(members, nonmembers))
    assert auc(roc_curve(nonmembers, members)) == pytest.approx(1 - value, abs=1e-12)
    assert auc(roc_curve(np.exp(members), np.exp(nonmembers))) == value


@given(SCORES, SCORES)
def test_advantage_is_the_one_sided_kolmogorov_smirnov_statistic(members, nonmembers):
    # "less": the members' distribution function lies below, their scores are larger.
    expected = ks_2samp(members, nonmembers, alternative="less", method="asymp").statistic
    assert advantage(roc_curve(members, nonmembers)) == pytest.approx(expected, abs=1e-12)


@given(SCORES, SCORES, st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]))
def test_tpr_at_fpr_against_brute_force(members, nonmembers, fpr):
    best = 0.0
    for threshold in [np.inf, *members, *nonmembers]:
        if np.mean(nonmembers >= threshold) <= fpr + 1e-12:
            best = max(best, np.mean(members >= threshold))
    assert tpr_at_fpr(roc_curve(members, nonmembers), fpr) == pytest.approx(best)


@given(SCORES, SCORES)
def test_curve_has_the_points_of_sklearn(members, nonmembers):
    curve = roc_curve(members, nonmembers)
    is_member = np.repeat([1, 0], [len(members), len(nonmembers)])
    fpr, tpr, _ = sklearn_curve(is_member, np.concatenate([members, nonmembers]), drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)


def test_one_example_a_side_and_constant_scores():
    assert auc(roc_curve(np.array([1.0]), np.array([0.0]))) == 1.0
    constant = roc_curve(np.zeros(5), np.zeros(3))
    assert (auc(constant), advantage(constant), balanced_accuracy(constant)) == (0.5, 0.0, 0.5)


def test_auc_of_a_circular_arc_is_pi_over_4():
    # TPR = sqrt(1 - (1 - FPR)^2), read off at evenly spaced scores.
    u = (np.arange(200_000) + 0.5) / 200_000
    nonmembers, members = 1 - u, np.sqrt(1 - u**2)  # P(member >= t) = sqrt(1 - t^2)
    assert auc(roc_curve(members, nonmembers)) == pytest.approx(np.pi / 4, abs=1e-4)


def test_advantage_of_shifted_uniforms():
    u = (np.arange(10_000) + 0.5) / 10_000
    assert advantage(roc_curve(u + 0.3, u)) == pytest.approx(0.3, abs=2e-4)


def test_ppv_counts_the_base_rate_and_distrusts_handfuls():
    tpr, fpr = np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.1, 1.0])
    assert ppv(tpr, fpr, ratio=0.2) == pytest.approx(0.5 / (0.5 + 0.1 * 0.2))
    for ratio in (0.2, 5.0):  # one member found and nobody else says no more than the base rate
        assert ppv(np.array([0, 0.001, 1.0]), np.array([0, 0.0, 1.0]), ratio) == pytest.approx(
            1 / (1 + ratio)
        )


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_thin_keeps_small_fprs_exactly(seed):
    rng = np.random.default_rng(seed)
    curve = roc_curve(rng.normal(0.5, 1, 3000), rng.normal(0, 1, 2000))
    fpr, tpr = thin(curve)
    assert len(fpr) <= 500
    assert (fpr[-1], tpr[-1]) == (1.0, 1.0)
    for at in (0.0, 0.001, 0.01, 0.1):
        assert tpr[np.searchsorted(fpr, at + 1e-9, side="right") - 1] == tpr_at_fpr(curve, at)
    assert np.trapezoid(tpr, fpr) == pytest.approx(auc(curve), abs=0.002)
    # Every point is one of the whole's, so that none lies above it: the best TPR at its own FPR.
    assert tpr.tolist() == [curve.tpr[curve.fpr <= x].max() for x in fpr]
    assert set(fpr) <= set(curve.fpr)


def test_auc_agrees_with_sklearn_on_many_examples():
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(0.3, 1, 5000).round(2), rng.normal(0, 1, 1000).round(2)
    is_member = np.repeat([1, 0], [5000, 1000])
    expected = roc_auc_score(is_member, np.concatenate([members, nonmembers]))
    assert auc(roc_curve(members, nonmembers)) == pytest.approx(expected, abs=1e-12)
