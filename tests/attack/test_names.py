"""Names at a stated error rate, against Benjamini and Hochberg as SciPy has them, and where nothing leaks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from privacy_report.attack import names
from privacy_report.attack.roc import roc_curve
from privacy_report.audits.attacks import audit, audit_params
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import FLOOR, NAMED

FEW = st.lists(st.integers(-4, 4), min_size=4, max_size=30).map(lambda values: np.array(values, float))


def by_scipy(members, others, calibrating, rate, share):
    """Named (members, others): p-values one by one, each candidate repeated as often as it weighs."""
    weight = Fraction(share).limit_denominator(100)
    of_member = weight * len(others)
    of_other = (1 - weight) * len(members)
    size = np.lcm(of_member.denominator, of_other.denominator)
    repeats = [int(size * of_member)] * len(members) + [int(size * of_other)] * len(others)
    scores = np.concatenate([members, others])
    p = np.array([(1 + np.sum(calibrating >= s)) / (len(calibrating) + 1) for s in scores])
    adjusted = false_discovery_control(np.repeat(p, repeats), method="bh")
    first = np.cumsum(repeats) - repeats
    named = (adjusted <= rate * (1 + 1e-9))[np.minimum(first, len(adjusted) - 1)] & (np.array(repeats) > 0)
    return int(named[: len(members)].sum()), int(named[len(members) :].sum())


@given(FEW, FEW, st.sampled_from([0.1, 0.01]), st.sampled_from([0.1, 0.5, 0.8]), st.integers(0, 99))
def test_names_are_benjamini_hochbergs(members, nonmembers, rate, share, seed):
    members = members + 4.0  # that names are given at all, with so few to calibrate by
    nonmembers = np.concatenate([nonmembers, nonmembers - 9.0, np.linspace(-30, -20, 40)])
    both_halves = names.halves(roc_curve(members, nonmembers), np.random.default_rng(seed))
    ordered = -np.sort(-nonmembers)
    first = np.random.default_rng(seed).permutation(len(ordered)) < len(ordered) // 2
    for half, calibrates in zip(both_halves, (first, ~first), strict=True):
        expected = by_scipy(members, ordered[~calibrates], ordered[calibrates], rate, share)
        assert expected[0] == half.named(rate, share)[0]


def test_what_is_measured_is_the_mean_over_cuts():
    rng = np.random.default_rng(3)
    members, nonmembers = rng.normal(size=600), -np.sort(-rng.normal(size=400))
    members[:80] += 6.0
    row = names.measure(roc_curve(members, nonmembers), 600, np.random.default_rng(8))
    draws, counts = np.random.default_rng(8), []
    for _ in range(names.CUTS):
        first = draws.permutation(400) < 200
        for calibrates in (first, ~first):
            counts.append(by_scipy(members, nonmembers[~calibrates], nonmembers[calibrates], 0.1, 0.6)[0])
    assert row["named_at_10pct_fdr"] == pytest.approx(np.mean(counts))
    assert np.mean(counts) > 70
    assert row["named_at_10pct_fdr" + FLOOR] == -(-600 // (0.1 * 0.6 * 201))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_floor_is_what_perfect_scores_reach_and_no_fewer(share):
    n, rate = 400, 0.1
    least = names.floor(500, n, rate, share)
    for exposed, expected in ((least - 1, 0), (least, least)):
        members = np.concatenate([np.full(exposed, 9.0), np.full(500 - exposed, -9.0)])
        curve = roc_curve(members, np.zeros(n))
        assert {half.named(rate, share)[0] for half in names.halves(curve, np.random.default_rng(0))} == {
            expected
        }


def test_nobody_is_named_where_all_scores_are_equal():
    row = names.measure(roc_curve(np.zeros(5000), np.zeros(5000)), 5000, np.random.default_rng(0))
    assert [row[column] for column in NAMED] == [0.0] * len(NAMED)


def test_too_few_nonmembers_measure_nothing_and_say_how_many_would_be_seen():
    row = names.measure(roc_curve(np.arange(50.0), np.zeros(20)), 50, np.random.default_rng(0))
    assert row["named_at_1pct_fdr"] is None
    assert row["named_at_1pct_fdr" + FLOOR] == 637  # 70 / (0.01 * 11), more than there are members


def test_a_scored_part_stands_for_all_members():
    curve = roc_curve(np.arange(400.0) + 1, np.zeros(300))
    scored, whole = (names.measure(curve, n, np.random.default_rng(0)) for n in (400, 600))
    assert (whole["named_at_10pct_fdr"], scored["named_at_10pct_fdr"]) == (600, 400)


def test_a_few_exposed_members_are_named_and_a_shift_of_all_is_not():
    """The AUC says the opposite: 0.69 where nobody can be named, 0.505 where half a hundred can."""
    rng = np.random.default_rng(1)
    few, nonmembers = rng.normal(size=5000), rng.normal(size=5000)
    few[:50] += 5.0
    shifted = rng.normal(0.7, 1, 5000)
    named = [
        names.measure(roc_curve(members, nonmembers), 5000, np.random.default_rng(0))["named_at_10pct_fdr"]
        for members in (few, shifted)
    ]
    assert named[0] > 40
    assert named[1] < 20


def test_rows_have_names_on_the_entire_dataset_alone(outputs):
    rows, _ = audit(outputs(2000, 1200, shift=2.0), audit_params(attacks=["threshold", "logistic"]))
    columns = [name for column in NAMED for name in (column, column + FLOOR)]
    for row in rows:
        assert all((row[name] is None) == (row["slice"] != ENTIRE) for name in columns[:2])
    entire = {row["attack"]: row for row in rows if row["slice"] == ENTIRE}
    assert entire["threshold"]["named_at_10pct_fdr" + FLOOR] == -(-3200 // (0.1 * 601))
    assert (
        entire["logistic"]["named_at_10pct_fdr" + FLOOR] > entire["threshold"]["named_at_10pct_fdr" + FLOOR]
    )
