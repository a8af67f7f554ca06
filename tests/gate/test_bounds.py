import numpy as np
import pytest
from scipy.stats import binom, ks_2samp, norm

from stages.gate.bounds import accuracy_low, advantage_high


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_advantage_bound_covers_the_truth(shift):
    truth = 2 * norm.cdf(shift / 2) - 1
    generator = np.random.default_rng(3)
    n, m = 400, 100
    draws = 400
    covered = sum(
        advantage_high(ks_2samp(generator.normal(shift, 1, n), generator.normal(0, 1, m)).statistic, n, m)
        >= truth
        for _ in range(draws)
    )
    assert covered >= 0.975 * draws


def test_advantage_bound_is_hoeffdings():
    assert advantage_high(0.1, 50_000, 5_000) == pytest.approx(
        0.1 + np.sqrt(np.log(40) / 2 * (1 / 50_000 + 1 / 5_000))
    )
    assert advantage_high(0.99, 10, 10) == 1.0


def test_accuracy_bound_is_exact():
    low = accuracy_low(0.7, 200)
    assert binom.sf(139, 200, low) == pytest.approx(0.025)  # P(at least 140 right | low)
    assert accuracy_low(0.0, 50) == 0.0
    assert 0.9 < accuracy_low(1.0, 50) < 1.0
