"""The interval of rows of persons: DeLong's where each has one row, a bootstrap's over persons, its error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from privacy_report.attack.intervals import auc_interval, delong_variance
from privacy_report.attack.persons import LOPSIDED, clustered_variance, effective, of_rows
from privacy_report.attack.roc import auc, roc_curve, sorted_roc


def sorted_rows(scores, *others):
    order = np.argsort(-scores)
    return scores[order], *(other[order] for other in others)


def clustered(rng, persons, rows, correlation, shift=0.0):
    """Scores, memberships and persons of as many persons on each side, by falling score."""
    person = np.repeat(np.arange(2 * persons), rows)
    own, shared = rng.normal(size=len(person)), rng.normal(size=2 * persons)[person]
    scores = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared
    is_member = person < persons
    return sorted_rows(scores + shift * is_member, is_member, person)


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=20), st.integers(0, 9))
def test_with_a_row_each_the_clustered_variance_is_delongs(scores, seed):
    is_member = np.arange(len(scores)) % 2 == 0
    scores, is_member = sorted_rows(np.array(scores, float), is_member)
    curve = sorted_roc(scores, is_member)
    person = np.random.default_rng(seed).permutation(len(scores))
    for prior in (0, 6):
        expected = delong_variance(curve, prior)
        assert clustered_variance(curve, is_member, person, prior) == pytest.approx(expected)


def test_with_a_row_each_the_interval_is_that_of_rows():
    rng = np.random.default_rng(2)
    scores, is_member = sorted_rows(rng.normal(size=60) + (np.arange(60) < 30), np.arange(60) < 30)
    row = of_rows(scores, is_member, rng.permutation(60))
    assert (row["auc_low"], row["auc_high"]) == pytest.approx(auc_interval(sorted_roc(scores, is_member)))


def test_where_few_persons_have_most_rows_fewer_persons_count():
    """Kish: the variance of a mean with the numbers of rows as weights, by hand and by simulation."""
    assert effective(np.repeat(np.arange(4), 3)) == 4
    assert effective(np.array([0, 0, 0, 1])) == 16 / 10
    sizes = np.array([50, *[1] * 50])
    person = np.repeat(np.arange(51), sizes)
    means = np.random.default_rng(0).normal(size=(20_000, 51)) @ sizes / sizes.sum()
    assert 1 / means.var() == pytest.approx(effective(person), rel=0.05)
    is_member = np.concatenate([np.ones(100, bool), np.zeros(100, bool)])
    row = of_rows(-np.arange(200.0), is_member, np.concatenate([person, 100 + person]))
    assert (row["auc"], row["auc_low"], row["auc_high"], row["note"]) == (1.0, None, None, LOPSIDED)


def test_the_interval_holds_where_persons_have_unequally_many_rows():
    """1 to some 30 rows each, correlated at 0.5: 0.5 lies outside in 5% of 600 null draws, and chance."""
    rng, missed = np.random.default_rng(4), 0
    for _ in range(600):
        sizes = rng.geometric(0.2, 200)
        person = np.repeat(np.arange(200), sizes)
        scores = rng.normal(size=200)[person] + rng.normal(size=len(person))
        row = of_rows(*sorted_rows(scores, person < 100, person))
        missed += not row["auc_low"] <= 0.5 <= row["auc_high"]
    assert binomtest(missed, 600, 0.065, "greater").pvalue > 0.01
    assert binomtest(missed, 600, 0.03, "less").pvalue > 0.01


def test_rows_that_are_there_twice_say_nothing_more():
    """With each row k times over, the variance is that of the rows: they are one person's."""
    rng = np.random.default_rng(3)
    scores, is_member = sorted_rows(rng.normal(size=80) + (np.arange(80) < 30), np.arange(80) < 30)
    curve, again = sorted_roc(scores, is_member), np.repeat(np.arange(80), 5)
    variance = clustered_variance(sorted_roc(scores[again], is_member[again]), is_member[again], again)
    assert variance == pytest.approx(delong_variance(curve))


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_the_clustered_variance_is_that_of_a_bootstrap_over_persons(correlation):
    """Persons with 1 to 12 rows, drawn again with all their rows: Obuchowski's formula to within 10%."""
    rng = np.random.default_rng(11)
    scores, is_member, person = clustered(rng, 150, 12, correlation, shift=0.5)
    kept = rng.random(len(scores)) < np.linspace(0.1, 1, 300)[rng.permutation(300)][person]
    scores, is_member, person = scores[kept], is_member[kept], person[kept]
    rows = {number: np.flatnonzero(person == number) for number in np.unique(person)}
    sides = [[number for number in rows if is_member[rows[number][0]] == side] for side in (True, False)]
    drawn = []
    for _ in range(1500):
        at = [
            np.concatenate([rows[side[i]] for i in rng.integers(len(side), size=len(side))]) for side in sides
        ]
        drawn.append(auc(roc_curve(scores[at[0]], scores[at[1]])))
    variance = clustered_variance(sorted_roc(scores, is_member), is_member, person)
    assert np.std(drawn) == pytest.approx(np.sqrt(variance), rel=0.1)
