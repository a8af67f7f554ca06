import numpy as np
import pytest
from scipy.stats import beta

from privacy_report.attack.epsilon_bound import (
    GIVEN_AWAY,
    NOTHING,
    TailCounts,
    check_delta,
    epsilon_low,
    tail_counts,
)
from privacy_report.attack.findings import SELECTS
from privacy_report.errors import UserError


def bound(members, nonmembers, rng, delta=0.0):
    scores = np.concatenate([members, nonmembers]).astype(float)
    order = np.argsort(-scores, kind="stable")
    is_member = np.arange(len(scores)) < len(members)
    counts = tail_counts(scores[order], is_member[order], rng.random(len(scores)) < SELECTS, delta)
    return epsilon_low(counts, delta)


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
    assert tail_counts(scores, is_member, np.array([True, True, True]), 0.0) == NOTHING
    assert tail_counts(scores, is_member, np.array([True, False, False]), 0.0) == NOTHING
    assert epsilon_low(NOTHING, 0.0) == 0.0


@pytest.mark.parametrize(
    "selects",
    [lambda member: member, lambda member: ~member, lambda member: member | (np.arange(60) % 4 == 0)],
    ids=["members alone", "non-members alone", "all members"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_both_parts_need_both_sides(selects, turned):
    is_member = np.arange(60) % 3 == 0
    chosen = selects(is_member)
    counts = tail_counts(-np.arange(60.0), is_member, ~chosen if turned else chosen, 0.0)
    assert counts == NOTHING


def test_half_of_the_error_goes_to_each_rate():
    for level in (0.05, 0.01):
        low, high = beta.ppf(level / 2, 40, 61), beta.isf(level / 2, 6, 195)
        assert epsilon_low(TailCounts(40, 100, 5, 200), 0.01, level) == pytest.approx(
            np.log((low - 0.01) / high)
        )


def test_a_delta_above_the_lowest_rate_bounds_nothing():
    assert epsilon_low(TailCounts(3, 1000, 1, 200), 0.5) == 0.0


def test_a_threshold_that_nobody_exceeds_is_none_that_everybody_does():
    """Constant scores, so that the best is to say of all that they are none; the other part says it, too."""
    is_member = np.arange(90) % 3 == 0
    chosen = np.arange(90) >= 30
    assert tail_counts(np.zeros(90), is_member, chosen, 0.0) == TailCounts(20, 20, 10, 10)


def exceeds_zero(n_member, n_nonmember, given_away, delta, rng):
    """Whether one run of a mechanism that gives `given_away` members away, and nothing else, looks leaky."""
    members = rng.random(n_member)
    members[:given_away] += 2
    return bound(members, rng.random(n_nonmember), rng, delta) > 0


def error_of_one_run(n_member, n_nonmember, delta, rng, sizes, runs):
    """P(bound > 0) for (0, delta)-private mechanisms that give L members away in delta n_member / L of runs.

    Those runs are simulated, the others give nothing away; the largest over L is returned.
    """
    errors = []
    for given_away in sizes:
        wrong = [exceeds_zero(n_member, n_nonmember, given_away, delta, rng) for _ in range(runs)]
        errors.append(min(1.0, delta * n_member / given_away) * np.mean(wrong))
    return max(errors)


def test_a_delta_above_the_allowed_one_makes_one_run_look_leaky():
    """Many members given away at once, rarely: private at any epsilon, and not to be seen in a single run."""
    rng = np.random.default_rng(4)
    sizes = (120, 200)
    assert error_of_one_run(50_000, 10_000, 1e-3, rng, sizes, runs=20) > 0.2
    assert error_of_one_run(50_000, 10_000, 1e-5, rng, sizes, runs=20) <= 0.01


@pytest.mark.parametrize(("n_member", "n_nonmember"), [(1000, 1000), (300, 5000)])
def test_the_largest_allowed_delta_holds_at_95_percent(n_member, n_nonmember):
    rng, largest = np.random.default_rng(5), GIVEN_AWAY / n_member
    check_delta(largest, n_member)
    sizes = (4, 8, 10, 13, 17, 28, 36)
    assert error_of_one_run(n_member, n_nonmember, largest, rng, sizes, runs=50) <= 0.05
    assert error_of_one_run(n_member, n_nonmember, 4 * largest, rng, sizes, runs=50) > 0.04


def test_a_delta_too_large_for_the_members_names_the_allowed_one():
    check_delta(1e-5, 50_000)
    check_delta(0.0, 10)
    with pytest.raises(UserError) as caught:
        check_delta(1e-3, 50_000)
    assert str(caught.value) == "attack.delta: got 0.001, allowed: at most 1e-05 (0.5 / 50000 members)"
