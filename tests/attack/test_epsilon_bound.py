import numpy as np
import pytest

from privacy_report.attack.epsilon_bound import epsilon_low
from privacy_report.attack.findings import SELECTS


def bound(members, nonmembers, rng, delta=0.0):
    scores = np.concatenate([members, nonmembers]).astype(float)
    order = np.argsort(-scores, kind="stable")
    is_member = np.arange(len(scores)) < len(members)
    return epsilon_low(scores[order], is_member[order], rng.random(len(scores)) < SELECTS, delta)


@pytest.mark.parametrize("epsilon", [0.5, 1, 2, 4])
def test_randomized_response_is_not_overestimated(epsilon):
    """Randomized response tells the truth with probability e^eps / (1 + e^eps), exactly eps-DP."""
    rng = np.random.default_rng(0)
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))
    bounds = np.array([bound(rng.random(2000) < truth, rng.random(1000) >= truth, rng) for _ in range(300)])
    assert np.mean(bounds <= epsilon) >= 0.95
    assert np.median(bounds) > 0.6 * epsilon  # a bound of 0 would be true and useless


@pytest.mark.parametrize("epsilon", [0.5, 2])
def test_leaky_randomized_response_needs_its_delta(epsilon):
    """Randomized response that with probability 0.2 gives membership away, (eps, 0.2)-DP and no better."""
    rng, delta = np.random.default_rng(3), 0.2
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))

    def answers(n, sign):
        return np.where(rng.random(n) < delta, 2 * sign, np.where(rng.random(n) < truth, sign, -sign))

    draws = [(answers(2000, 1), answers(1000, -1)) for _ in range(300)]
    bounds = np.array([bound(*draw, rng, delta) for draw in draws])
    assert np.mean(bounds <= epsilon) >= 0.95
    assert np.median(bounds) > 0.6 * epsilon
    assert np.median([bound(*draw, rng) for draw in draws]) > epsilon + 1


def test_no_leak_gives_no_epsilon():
    rng = np.random.default_rng(1)
    above = [bound(rng.normal(size=1000), rng.normal(size=300), rng) > 0 for _ in range(300)]
    assert np.mean(above) <= 0.05


def test_both_tails_are_searched():
    rng = np.random.default_rng(2)
    n = 3000
    top_heavy = np.where(rng.random(n) < 0.2, 10 + rng.random(n), rng.random(n))
    assert bound(top_heavy, rng.random(n), rng) > 3  # members stand out at the top
    low_heavy = np.where(rng.random(n) < 0.2, -10 - rng.random(n), rng.random(n))
    assert bound(rng.random(n), low_heavy, rng) > 3  # non-members stand out at the bottom


def test_a_part_without_a_side_gives_zero():
    scores, is_member = np.array([3.0, 2, 1]), np.array([True, False, True])
    assert epsilon_low(scores, is_member, np.array([True, True, True]), 0.0) == 0.0
    assert epsilon_low(scores, is_member, np.array([True, False, False]), 0.0) == 0.0
