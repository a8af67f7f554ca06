"""Planted Gaussians, where the truth is known: what attacks find, and what mutants lose."""

import numpy as np
import pytest
from scipy.stats import norm

from privacy_report.attack.reference_scores import (
    REFERENCE_SCORES,
    bavaria,
    lira,
    lira_offline,
    rmia,
    trajectory,
)
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve, tpr_at_fpr
from privacy_report.training.memberships import halves


def planted(k, n, gap=1.0, s_in=1.0, s_out=1.0, seed=0, sides=None):
    """A target that saw the first half of n examples of very different hardness, and k references.

    phi is N(mu, s_out) for OUT and N(mu + gap, s_in) for IN, with mu from N(2, 2).
    """
    rng = np.random.default_rng(seed)
    is_member, hardness = np.arange(n) < n // 2, rng.normal(2, 2, n)
    saw = np.vstack([is_member, halves(n, k, seed) if sides is None else sides])
    phi = hardness + gap * saw + np.where(saw, s_in, s_out) * rng.standard_normal(saw.shape)
    return phi[0], References(phi[1:].astype(np.float32), saw[1:]), is_member


def curve(scores, is_member):
    return roc_curve(scores[is_member], scores[~is_member])


def area(scores, is_member):
    return auc(curve(scores, is_member))


def standard_error(n):
    """Of the AUC of two equally distributed halves of n examples."""
    return np.sqrt((n + 1) / (12 * (n / 2) ** 2))


def test_lira_nears_the_optimum_from_below_as_references_grow():
    """The likelihood ratio of two Gaussians a gap of 1 apart has the AUC Phi(1 / sqrt 2)."""
    optimum, n = norm.cdf(1 / np.sqrt(2)), 20_000
    phi, references, is_member = planted(64, n)
    areas = []
    for k in (2, 4, 8, 16, 64):  # the first 8 of 64 are the 8: the draws are nested
        few = References(references.phi[:k], references.is_member[:k])
        areas.append(area(lira(phi, few), is_member))
    assert (np.diff(areas) > 0).all()
    assert areas[-1] < optimum + 2 * standard_error(n)
    assert areas[0] < optimum - 0.1
    assert areas[-1] > optimum - 0.02


def test_lira_is_the_likelihood_ratio_where_spreads_differ_widely():
    """With s_in = 3 and s_out = 1 both tails speak for membership: only two spreads can tell."""
    phi, references, is_member = planted(64, 6000, s_in=3.0)
    mu_out = references.outside.mean
    truth = norm.logpdf(phi, mu_out + 1.0, 3.0) - norm.logpdf(phi, mu_out, 1.0)
    assert area(lira(phi, references), is_member) > area(truth, is_member) - 0.01
    pooled = norm.logpdf(phi, references.inside.mean, 2.2) - norm.logpdf(phi, mu_out, 2.2)
    assert area(pooled, is_member) < area(lira(phi, references), is_member) - 0.04


def test_a_variance_of_uncentred_residuals_loses():
    """The hardness of examples (2) is not the spread of models (0.5 OUT, 1.5 IN)."""
    phi, references, is_member = planted(16, 6000, s_in=1.5, s_out=0.5)
    s_in, s_out = (references.phi[mask].std() for mask in (references.is_member, ~references.is_member))
    mutant = norm.logpdf(phi, references.inside.mean, s_in) - norm.logpdf(phi, references.outside.mean, s_out)
    assert area(mutant, is_member) < area(lira(phi, references), is_member) - 0.04


def test_a_fixed_variance_beats_one_of_each_example_at_8_references():
    phi, references, is_member = planted(8, 6000)
    own = [np.sqrt(side.squares / (side.count - 1)) for side in (references.inside, references.outside)]
    mutant = norm.logpdf(phi, references.inside.mean, own[0]) - norm.logpdf(
        phi, references.outside.mean, own[1]
    )
    ours, theirs = curve(lira(phi, references), is_member), curve(mutant, is_member)
    assert auc(ours) > auc(theirs) + 0.03
    assert tpr_at_fpr(ours, 0.01) > 1.5 * tpr_at_fpr(theirs, 0.01)


def test_offline_lira_is_one_sided():
    """A two-sided density, as published in code, takes improbably low confidence for membership."""
    phi, references, is_member = planted(16, 6000)
    two_sided = -norm.logpdf(phi, references.outside.mean, 1.0)
    ours = area(lira_offline(phi, references), is_member)
    assert ours > area(two_sided, is_member) + 0.04
    # phi - mean of 8 has the variance 1 + 1/8 on both sides
    assert ours == pytest.approx(norm.cdf(1 / np.sqrt(2 * (1 + 1 / 8))), abs=4 * standard_error(6000))


@pytest.mark.parametrize("k", [2, 8])
@pytest.mark.parametrize("name", REFERENCE_SCORES)
def test_nothing_is_found_where_models_learn_nothing(name, k):
    n = 6000
    phi, references, is_member = planted(k, n, gap=0.0)
    assert abs(area(REFERENCE_SCORES[name](phi, references), is_member) - 0.5) < 4 * standard_error(n)


@pytest.mark.parametrize("k", [2, 8])
@pytest.mark.parametrize("name", REFERENCE_SCORES)
def test_every_attack_beats_the_target_s_own_confidence(name, k):
    phi, references, is_member = planted(k, 6000, gap=2.0)
    assert area(REFERENCE_SCORES[name](phi, references), is_member) > area(phi, is_member) + 0.03


def test_trajectory_finds_what_was_learnt_late():
    rng, n = np.random.default_rng(0), 6000
    is_member, hardness = np.arange(n) < n // 2, rng.normal(0, 2, n)
    early = hardness + 0.3 * rng.standard_normal((3, n))
    late = hardness + is_member + 0.3 * rng.standard_normal(n)
    assert area(trajectory(late, early), is_member) > area(late, is_member) + 0.2
    nothing = hardness + 0.3 * rng.standard_normal(n)
    assert abs(area(trajectory(nothing, early), is_member) - 0.5) < 4 * standard_error(n)


def balanced_with_target(models, n, rng):
    """Exactly half of all models saw each example, the target (first row) among them: the mutant design."""
    sides = np.zeros((models, n), bool)
    sides[0] = np.arange(n) < n // 2
    others = np.argsort(rng.random((models - 1, n)), axis=0)
    sides[1:] = others < models // 2 - sides[0]
    return sides


@pytest.mark.parametrize(("score", "at_most"), [(lira, 0.49), (bavaria, 0.4)])
def test_a_target_inside_the_balanced_design_is_caught_on_pure_noise(score, at_most):
    """The number of IN references gives membership away; without the target among the half nothing does."""
    n, models = 40_000, 8
    sides = balanced_with_target(models, n, np.random.default_rng(0))
    assert (sides.sum(axis=0) == 4).all()
    phi, references, is_member = planted(models - 1, n, gap=0.0, sides=sides[1:])
    assert area(score(phi, references), is_member) < min(at_most, 0.5 - 4 * standard_error(n))
    phi, references, is_member = planted(models, n, gap=0.0)
    assert abs(area(score(phi, references), is_member) - 0.5) < 4 * standard_error(n)


def test_rmia_does_not_see_the_design():
    """It asks nobody who trained on what, so even the mutant design gives nothing away."""
    n, sides = 40_000, balanced_with_target(8, 40_000, np.random.default_rng(0))
    phi, references, is_member = planted(7, n, gap=0.0, sides=sides[1:])
    assert abs(area(rmia(phi, references), is_member) - 0.5) < 4 * standard_error(n)
