"""Exposure of single examples against planted truth, and the FPR at which each is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from privacy_report.attack.example_exposure import exposure, exposure_error, found_at_fpr
from privacy_report.attack.references import References
from privacy_report.errors import UserError
from privacy_report.training.memberships import halves


def planted(k, n=5000, gap=1.0, fraction=0.5, seed=0) -> References:
    """Spreads 1.5 IN and 0.5 OUT, a gap for each example."""
    rng, sides = np.random.default_rng(seed), halves(n, k, seed, fraction)
    phi = rng.normal(2, 2, n) + gap * sides + np.where(sides, 1.5, 0.5) * rng.standard_normal((k, n))
    return References(phi.astype(np.float32), sides)


def test_exposure_is_the_planted_gap_over_both_spreads():
    """Gap 3 over 1.5 + 0.5, with the error that is stated for it."""
    d, error = exposure(planted(8, gap=3.0)), exposure_error(planted(8, gap=3.0))
    assert d.mean() == pytest.approx(1.5, abs=0.03)
    assert error == pytest.approx(np.sqrt(1.5**2 / 4 + 0.5**2 / 4) / 2, rel=0.03)
    assert d.std() == pytest.approx(error[0], rel=0.05)


def test_exposure_of_harmless_examples_is_noise_of_the_stated_size():
    references = planted(8, gap=0.0)
    assert exposure(references).mean() == pytest.approx(
        np.sqrt(2 / np.pi) * exposure_error(references)[0], rel=0.05
    )


def test_a_spread_of_each_example_would_rank_worse_at_8_references():
    gaps = np.random.default_rng(9).exponential(1.0, 5000)
    references = planted(8, gap=gaps)
    own = [np.sqrt(side.squares / (side.count - 1)) for side in (references.inside, references.outside)]
    mutant = np.abs(references.inside.mean - references.outside.mean) / sum(own)
    assert spearmanr(exposure(references), gaps)[0] > spearmanr(mutant, gaps)[0] + 0.03
    top = gaps >= np.quantile(gaps, 0.95)

    def found(d):
        return (top & (d >= np.quantile(d, 0.95))).sum() / top.sum()

    assert found(exposure(references)) > found(mutant) + 0.15


def test_exposure_is_unknown_without_a_side():
    references = planted(8)
    is_member = references.is_member.copy()
    is_member[:, 3], is_member[:, 4] = True, False
    lacking = References(references.phi, is_member)
    assert np.flatnonzero(np.isnan(exposure(lacking))).tolist() == [3, 4]
    assert np.flatnonzero(np.isnan(exposure_error(lacking))).tolist() == [3, 4]


@pytest.mark.parametrize(("references", "side"), [(planted(2), "IN"), (planted(6, fraction=5 / 6), "OUT")])
def test_exposure_needs_two_references_a_side(references, side):
    for measure in (exposure, exposure_error):
        with pytest.raises(UserError, match=f"exposure: got at most one {side} reference an example"):
            measure(references)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_found_at_fpr_against_counting(rows):
    scores, is_member = np.array([s for s, _ in rows], float), np.array([m for _, m in rows])
    if is_member.all():
        with pytest.raises(UserError, match="is_member: got no non-member"):
            found_at_fpr(scores, is_member)
        return
    slow = [np.mean(scores[~is_member] >= score) for score in scores]
    assert found_at_fpr(scores, is_member).tolist() == pytest.approx(slow, abs=1e-15)


def test_found_at_fpr_of_members_is_the_roc():
    """The share of members found at or below an FPR is the TPR there."""
    scores, is_member = np.array([5.0, 4.0, 4.0, 3.0, 2.0, 1.0]), np.array([1, 1, 0, 1, 0, 0], bool)
    assert found_at_fpr(scores, is_member).tolist() == [0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 1]


@pytest.mark.parametrize(
    ("scores", "is_member", "text"),
    [
        (np.zeros(3), np.zeros(4, bool), r"scores and is_member: got \(3,\) and bool \(4,\), allowed"),
        (np.zeros((3, 1)), np.zeros((3, 1), bool), r"scores and is_member: got \(3, 1\)"),
        (np.zeros(3), np.zeros(3), r"scores and is_member: got \(3,\) and float64 \(3,\), allowed"),
        (np.array([0, np.nan]), np.array([True, False]), "scores: got NaN for example 1, allowed: numbers"),
    ],
)
def test_found_at_fpr_refuses_what_does_not_fit(scores, is_member, text):
    with pytest.raises(UserError, match=text):
        found_at_fpr(scores, is_member)
