"""Epsilon against published values and independent formulas, and the noise solved for a target."""

import logging
import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld, rdp
from scipy import optimize, stats
from scipy.special import gammaln, logsumexp

from privacy_report.attack import epsilon_bound
from privacy_report.errors import UserError
from privacy_report.training import accounting

MNIST = {"noise_multiplier": 1.3, "sampling_probability": 250 / 60_000, "steps": 3600}


def renyi(order, noise_multiplier, sampling_probability, steps):
    """Renyi divergence of integer order: Mironov et al. 2019, section 3.3."""
    k = np.arange(order + 1)
    terms = (
        gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        + (order - k) * np.log1p(-sampling_probability)
        + k * np.log(sampling_probability)
        + (k * k - k) / (2 * noise_multiplier**2)
    )  # fmt: skip
    return steps * logsumexp(terms) / (order - 1)


def test_published_example():
    """TF Privacy's MNIST tutorial reports 1.18, by the conversion from RDP of Mironov 2017.

    dp-accounting now converts by Canonne et al. 2020, which gives 0.94 for the same divergences.
    """
    orders = range(2, 65)
    divergences = [renyi(order, **MNIST) for order in orders]
    published = min(d + math.log(1e5) / (a - 1) for a, d in zip(orders, divergences, strict=True))
    assert published == pytest.approx(1.18, rel=0.02)
    tighter = min(
        d + math.log1p(-1 / a) - math.log(1e-5 * a) / (a - 1)
        for a, d in zip(orders, divergences, strict=True)
    )
    ours = accounting.spent_epsilon(**MNIST, delta=1e-5)
    assert ours.rdp == pytest.approx(tighter, rel=0.02)
    assert ours.rdp <= tighter  # more orders than ours here
    assert ours.pld < ours.rdp < published


def test_epsilon_equals_dp_accountings_composed_step_by_step():
    event = dp_accounting.PoissonSampledDpEvent(0.02, dp_accounting.GaussianDpEvent(1.1))
    exact, renyi_dp = pld.PLDAccountant(), rdp.RdpAccountant()
    for steps in (50, 100, 150):
        ours = accounting.spent_epsilon(1.1, 0.02, steps, 1e-5)
        assert ours.pld == pytest.approx(exact.compose(event, 50).get_epsilon(1e-5), rel=1e-6)
        assert ours.rdp == pytest.approx(renyi_dp.compose(event, 50).get_epsilon(1e-5), rel=1e-9)


def test_without_sampling_epsilon_is_that_of_one_gaussian():
    """T steps of noise s are one step of s / sqrt(T): Balle and Wang 2018, theorem 8."""
    noise = 4.0 / math.sqrt(16)

    def delta(epsilon):
        a, b = 1 / (2 * noise), epsilon * noise
        return stats.norm.cdf(a - b) - math.exp(epsilon) * stats.norm.cdf(-a - b)

    exact = optimize.brentq(lambda e: delta(e) - 1e-5, 0, 50)
    ours = accounting.spent_epsilon(4.0, 1.0, 16, 1e-5)
    assert exact <= ours.pld <= exact * 1.001
    assert ours.pld < ours.rdp


def test_epsilon_grows_with_steps_and_shrinks_with_noise():
    by_steps = [accounting.spent_epsilon(1.0, 0.01, steps, 1e-5) for steps in (0, 1, 100, 1000)]
    assert by_steps[0] == (0, 0)
    assert by_steps == sorted(by_steps)
    assert accounting.spent_epsilon(2.0, 0.01, 100, 1e-5) < by_steps[2]


def test_orders_that_do_not_converge_are_left_out_without_a_word(caplog):
    level = logging.getLogger("absl").level
    assert accounting.spent_epsilon(0.6, 0.1, 10, 1e-5).rdp > 0
    assert not caplog.records
    assert logging.getLogger("absl").level == level


@pytest.mark.parametrize(("target", "probability", "steps"), [(8, 0.02, 500), (0.2, 0.01, 300)])
def test_the_solved_noise_reaches_the_target_and_hardly_less_would(target, probability, steps):
    noise = accounting.noise_for(target, probability, steps, 1e-5)
    assert accounting.spent_epsilon(noise, probability, steps, 1e-5).pld <= target
    assert accounting.spent_epsilon(noise * 0.995, probability, steps, 1e-5).pld > target


@pytest.mark.parametrize("target", [1e-7, 1e9])
def test_a_target_out_of_reach_is_refused(target):
    with pytest.raises(UserError, match=r"privacy\.target_epsilon: got"):
        accounting.noise_for(target, 0.05, 100, 1e-5)


@pytest.mark.parametrize("noise", [0.0, 0.01, -1.0, math.nan, math.inf])
def test_noise_that_gives_no_epsilon_is_refused(noise):
    with pytest.raises(UserError, match=r"privacy\.noise_multiplier: got .*, allowed: at least 0\.1"):
        accounting.spent_epsilon(noise, 0.01, 10, 1e-5)


def test_delta_is_at_most_half_of_one_over_the_members_as_in_its_audit():
    accounting.check_delta(1e-5, 50_000)
    epsilon_bound.check_delta(1e-5, 50_000)
    for delta in (1.01e-5, 2e-5, 1e-3):
        with pytest.raises(UserError, match=r"privacy\.delta: got .* at most 0\.5/50000 = 1e-05 "):
            accounting.check_delta(delta, 50_000)
        with pytest.raises(UserError, match=r"attack\.delta: got .* at most 1e-05 "):
            epsilon_bound.check_delta(delta, 50_000)
    for delta in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match=r"privacy\.delta: got"):
            accounting.check_delta(delta, 50_000)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(50_000, 250, 10_000), (300, 30, 50), (40, 1, 400)])
def test_the_capacity_is_the_least_that_overflows_with_negligible_probability(n, batch_size, steps):
    capacity = accounting.batch_capacity(n, batch_size, steps)
    q = batch_size / n
    tail = [stats.binom.pmf(np.arange(c + 1, n + 1), n, q).sum() * steps for c in (capacity, capacity - 1)]
    assert tail[0] <= 1e-9 < tail[1]
    assert accounting.overflow_probability(n, batch_size, steps, capacity) == pytest.approx(tail[0], rel=1e-3)


def test_the_capacity_never_exceeds_the_members():
    assert accounting.batch_capacity(20, 19, 1000) == 20
    assert accounting.overflow_probability(20, 19, 1000, 20) == 0
    assert accounting.overflow_probability(100, 50, 1000, 50) == 1
