"""The one-run bound of epsilon: published oracles, mechanisms whose epsilon is known, and what is refused."""

import json

import numpy as np
import pytest
from sandbox import ROOT
from scipy import stats

from benchmarks import one_run as bench
from privacy_report.attack.one_run import (
    correct_guesses,
    epsilon_gaussian,
    epsilon_low,
    epsilon_of_gaussian,
    one_run,
    p_value,
)
from privacy_report.errors import UserError

MEASURED = json.loads((ROOT / "benchmarks/one_run.json").read_text())


@pytest.mark.parametrize(
    ("m", "r", "v", "delta", "expected"),
    [
        (1000, 132, 86, 0, 0.3122),
        (1000, 100, 90, 0, 1.6308),
        (1000, 100, 90, 1e-5, 1.6261),
        (1000, 100, 100, 0, 3.4930),
        (1000, 100, 100, 1e-5, 3.4654),
        (2000, 200, 170, 0, 1.3994),
        (2000, 200, 170, 1e-5, 1.3955),
    ],
)
def test_oracles_of_steinke_et_al(m, r, v, delta, expected):
    assert epsilon_low(m, r, v, delta) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("m", "r", "v", "expected"),
    [(1000, 100, 90, 2.456), (1000, 100, 100, 5.549), (2000, 200, 170, 2.047)],
)
def test_oracles_of_the_gaussian_number(m, r, v, expected):
    assert epsilon_gaussian(m, r, v, 1e-5) == pytest.approx(expected, abs=5e-4)


def test_the_bound_is_where_the_binomial_tail_is_five_percent():
    epsilon = epsilon_low(300, 60, 50, 0.0)
    assert stats.binom.sf(49, 60, 1 / (1 + np.exp(-epsilon))) == pytest.approx(0.05)
    assert p_value(300, 60, 50, epsilon + 0.01, 0.0) > 0.05


def test_delta_costs_what_the_definition_says():
    """The term of delta by a loop over the ways in which it may have helped."""
    m, r, v, epsilon, delta = 200, 40, 33, 0.8, 1e-4
    q = np.exp(epsilon) / (1 + np.exp(epsilon))
    at_least = [sum(stats.binom.pmf(k, r, q) for k in range(max(least, 0), r + 1)) for least in range(v + 1)]
    alpha = max((at_least[v - i] - at_least[v]) / i for i in range(1, v + 1))
    assert p_value(m, r, v, epsilon, delta) == pytest.approx(at_least[v] + 2 * m * delta * alpha, rel=1e-9)


@pytest.mark.parametrize("r", [100, 1000, 5000])
def test_the_ceiling_grows_with_the_logarithm_of_the_guesses(r):
    assert epsilon_low(5 * r, r, r, 0.0) == pytest.approx(np.log(r / np.log(20)), abs=0.02)


def test_gaussian_epsilon_by_its_definition():
    for mu, delta in ((0.5, 1e-5), (1.0, 1e-2), (4.0, 1e-6)):
        epsilon = epsilon_of_gaussian(mu, delta)
        first, second = -epsilon / mu + mu / 2, -epsilon / mu - mu / 2
        spent = stats.norm.cdf(first) - np.exp(epsilon) * stats.norm.cdf(second)
        assert spent == pytest.approx(delta, rel=1e-6)
    assert epsilon_of_gaussian(0.0, 1e-5) == 0.0


def test_more_right_guesses_never_lower_a_bound():
    for bound in (epsilon_low, epsilon_gaussian):
        bounds = [bound(500, 100, v, 1e-5) for v in range(101)]
        assert bounds == sorted(bounds)
        assert bounds[50] == 0 < bounds[70]


def test_the_highest_are_guessed_in_and_the_lowest_out():
    scores = np.array([0.1, 5.0, 3.0, -2.0, 0.2, 4.0])
    coins = np.array([True, True, False, False, True, True])
    assert correct_guesses(scores, coins, 4) == 3  # 5 and 4 in; -2 out is right, 0.1 is not
    assert correct_guesses(scores, coins, 3) == 3  # one "in" more
    assert correct_guesses(scores, ~coins, 4) == 1


def test_ties_are_broken_by_position_not_by_membership():
    coins = np.arange(100) % 2 == 0
    assert correct_guesses(np.zeros(100), coins, 20) == 10
    assert correct_guesses(np.zeros(100), ~coins, 20) == 10


def test_one_run_of_a_leak_and_of_none():
    rng = np.random.default_rng(0)
    coins = rng.random(1000) < 0.5
    audited = one_run(coins + 0.1 * rng.normal(size=1000), coins, 1e-5)
    assert (audited.canaries, audited.guesses, audited.correct, audited.delta) == (1000, 200, 200, 1e-5)
    assert audited.epsilon_one_run == audited.epsilon_ceiling == epsilon_low(1000, 200, 200, 1e-5)
    assert audited.epsilon_one_run_fdp > audited.epsilon_one_run
    assert one_run(rng.normal(size=1000), coins, 1e-5).epsilon_one_run == 0
    assert one_run(rng.normal(size=1000), coins, 0.0, guesses=70).guesses == 70
    assert one_run(rng.normal(size=1000), coins, 0.0).epsilon_one_run_fdp is None


@pytest.mark.parametrize(
    ("scores", "coins", "options", "said"),
    [
        (np.zeros((2, 10)), np.zeros(20, bool), {}, r"got scores float64 \(2, 10\)"),
        (np.zeros(20), np.zeros(20, int), {}, "memberships int64"),
        (np.zeros(20), np.zeros(19, bool), {}, "20 scores"),
        (np.zeros(9), np.arange(9) < 4, {}, "at least 10"),
        (np.full(20, np.nan), np.arange(20) < 9, {}, "NaN for 20 of 20"),
        (np.zeros(100), np.arange(100) < 90, {}, "90 in and 10 out, allowed: by a fair coin"),
        (np.zeros(20), np.arange(20) < 9, {"guesses": 21}, "guesses: got 21, allowed: 1 to 20"),
        (np.zeros(20), np.arange(20) < 9, {"delta": 1.0}, "delta: got 1.0"),
    ],
)
def test_what_is_refused(scores, coins, options, said):
    with pytest.raises(UserError, match=said):
        one_run(scores, coins, **{"delta": 1e-5} | options)


# What benchmarks/one_run.py measures, in short and as committed.

CASES = bench.cases()


def near_the_median(case, median):
    """Whether a median is that of theory, or the bound with one right guess more or less."""
    r = case.m // 5
    v = int(stats.binom.median(r, case.theory))
    return epsilon_low(case.m, r, v - 1, case.delta) <= median <= epsilon_low(case.m, r, v + 1, case.delta)


@pytest.mark.parametrize(
    "name", ["randomised response, epsilon 1", "(0, 0.01) gives 60 away at once, m = 1000", "coins permuted"]
)
def test_a_short_simulation(name):
    """Both bounds where the truth is known: the older one fails where delta's events are correlated."""
    measured, case = bench.measure(name, CASES[name], draws=300), CASES[name]
    assert measured["above_truth"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    if case.theory:
        assert near_the_median(case, measured["median"])
        assert measured["above_truth_of_theory"] <= 0.05
    if name.startswith("(0, 0.01)"):
        assert measured["older_above_truth"] > 0.07


def test_the_committed_simulation_is_of_todays_code():
    """Its cheap cases, all draws of them, come out as they did."""
    assert list(MEASURED["rows"]) == sorted(CASES)
    for name, case in CASES.items():
        if case.theory is not None:
            assert bench.measure(name, case) == MEASURED["rows"][name]


@pytest.mark.parametrize("name", CASES)
def test_the_bound_holds_in_the_committed_simulation(name):
    row, case = MEASURED["rows"][name], CASES[name]
    assert row["draws"] == 2000
    if case.theory is None:
        assert row["above_truth"] <= 0.05
        return
    assert row["above_truth_of_theory"] <= 0.05
    exact = row["above_truth_of_theory"]
    assert abs(row["above_truth"] - exact) <= 3 * np.sqrt(exact * (1 - exact) / 2000)
    assert near_the_median(case, row["median"])


def test_the_older_bound_fails_in_the_same_simulation():
    failing = [name for name, row in MEASURED["rows"].items() if row["older_above_truth"] > 0.05]
    assert any(name.startswith("(0, 0.001)") for name in failing)
    assert all(MEASURED["rows"][name]["above_truth"] <= 0.05 for name in failing)


def test_both_bounds_hold_where_all_canaries_share_one_loss():
    """Today's code gives what is committed; the rule that takes losses for independent fails."""
    assert [bench.shared_loss(*case) for case in bench.SHARED] == MEASURED["shared_loss"]
    for row in MEASURED["shared_loss"]:
        for name in ("epsilon_one_run", "epsilon_one_run_fdp"):
            assert row["above_truth"][name] <= 0.05, row
    all_guessed = [row for row in MEASURED["shared_loss"] if row["guesses"] == row["canaries"]]
    assert all(row["above_truth"]["independent"] > 0.25 for row in all_guessed)


def test_the_shared_loss_is_told_as_often_as_a_gaussian_tells_a_coin():
    """A guess by the likelihood ratio of N(0, 1) and N(mu, 1) is right with probability Phi(mu / 2)."""
    rng = np.random.default_rng(0)
    for mu in (0.5, 1.0, 2.0):
        right = bench.told_right(rng, bench.losses(rng, mu, 100_000)) / 100_000
        assert right == pytest.approx(stats.norm.cdf(mu / 2), abs=0.006)


def test_the_number_of_guesses_that_shows_most_is_no_bound():
    measured = bench.best_of_many(300)
    assert measured["fixed"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert measured["largest"] > 0.2
    assert MEASURED["best_of_many"]["fixed"] <= 0.05 < 0.2 < MEASURED["best_of_many"]["largest"]
