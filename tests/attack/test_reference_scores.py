"""Scores against slow oracles, one example at a time; invariances; examples that lack a side; bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from privacy_report.attack.reference_scores import (
    OFFLINE_A,
    REFERENCE_SCORES,
    bavaria,
    choose_offline_a,
    lira,
    lira_offline,
    rmia,
    rmia_offline,
    spreads,
    trajectory,
)
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.errors import UserError
from privacy_report.training.memberships import halves

N = 60


def case(k=8, n=N, seed=0, gap=1.0, fraction=0.5) -> tuple[np.ndarray, References]:
    """A planted target, IN for the first half, and k references; spreads 1.5 IN and 1 OUT."""
    rng = np.random.default_rng(seed)
    sides, hardness = halves(n, k, seed, fraction), rng.normal(2, 2, n)
    saw = np.concatenate([sides, (np.arange(n) < n // 2)[None]])
    phi = hardness + gap * saw + rng.normal(size=saw.shape) * np.where(saw, 1.5, 1.0)
    return phi[-1], References(phi[:-1].astype(np.float32), sides)


def p(phi):
    return 1 / (1 + np.exp(-np.asarray(phi, float)))


def residual_sd(references: References, members: bool) -> float:
    """Root of the mean of the examples' variances with n / (n - 1), for equal numbers of references."""
    columns = zip(references.phi.T.astype(float), references.is_member.T, strict=True)
    return np.sqrt(np.mean([phi[inside == members].var(ddof=1) for phi, inside in columns]))


def slow_lira(phi, references, i):
    seen, inside = references.phi[:, i].astype(float), references.is_member[:, i]
    s_in, s_out = residual_sd(references, True), residual_sd(references, False)
    return norm.logpdf(phi[i], seen[inside].mean(), s_in) - norm.logpdf(phi[i], seen[~inside].mean(), s_out)


def slow_lira_offline(phi, references, i):
    out = references.phi[~references.is_member[:, i], i].astype(float)
    return (phi[i] - out.mean()) / residual_sd(references, False)


def slow_rmia(phi, references, i):
    return np.log(p(phi[i]) / p(references.phi[:, i]).mean())


def slow_rmia_offline(phi, references, i, a=0.3):
    out = p(references.phi[~references.is_member[:, i], i]).mean()
    return np.log(p(phi[i]) / (((1 + a) * out + 1 - a) / 2))


def slow_bavaria(phi, references, i):
    total = 0.0
    for sign, mask in ((1, references.is_member), (-1, ~references.is_member)):
        everyone, values = references.phi[mask].astype(float), references.phi[mask[:, i], i].astype(float)
        n, mu0, beta0 = len(values), everyone.mean(), everyone.var()
        kappa, alpha = 1 + n, 2 + n / 2
        beta = beta0 + ((values - values.mean()) ** 2).sum() / 2
        beta += n * (values.mean() - mu0) ** 2 / (2 * kappa)
        scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
        total += sign * t.logpdf((phi[i] - (mu0 + n * values.mean()) / kappa) / scale, 2 * alpha)
        total -= sign * np.log(scale)
    return total


ORACLES = {
    "lira": (lira, slow_lira),
    "lira_offline": (lira_offline, slow_lira_offline),
    "rmia": (rmia, slow_rmia),
    "rmia_offline": (lambda phi, references: rmia_offline(phi, references, 0.3), slow_rmia_offline),
    "bavaria": (bavaria, slow_bavaria),
    "trajectory": (lambda phi, references: trajectory(phi, references.phi), slow_rmia),
}


@pytest.mark.parametrize("fraction", [1 / 2, 2 / 3])
@pytest.mark.parametrize("name", ORACLES)
def test_scores_against_one_example_at_a_time(name, fraction):
    score, slow = ORACLES[name]
    phi, references = case(k=12, fraction=fraction)
    scores = score(phi, references)
    assert scores.dtype == np.float64
    assert scores == pytest.approx([slow(phi, references, i) for i in range(N)], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("a", OFFLINE_A)
def test_rmia_offline_against_one_example_at_a_time_for_every_a(a):
    phi, references = case()
    slow = [slow_rmia_offline(phi, references, i, a) for i in range(N)]
    assert rmia_offline(phi, references, a) == pytest.approx(slow, rel=1e-9, abs=1e-9)


def test_spreads_are_those_of_the_residuals():
    """2,000 examples whose hardness spreads twice as wide as what models differ by."""
    _, references = case(n=2000)
    assert spreads(references) == pytest.approx((1.5, 1.0), rel=0.05)
    uncentred = references.phi[references.is_member].std()
    assert uncentred > 2.3  # what the mutant would take, for both sides


@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("points", [slice(0, 30), slice(30, 60), slice(0, 200, 7)])
def test_rmia_has_the_roc_of_the_paper_for_any_gamma_and_z(gamma, points):
    """The share of points z with r(x) / r(z) > gamma never orders two examples otherwise; it ties some."""
    phi, references = case(n=200, seed=3)
    ratio = p(phi) / p(references.phi).mean(axis=0)
    paper = (ratio[:, None] / ratio[points] > gamma).mean(axis=1)
    ours, is_member = rmia(phi, references), np.arange(200) < 100
    assert len(np.unique(paper)) > 3
    assert (np.diff(paper[np.argsort(ours)]) >= 0).all()
    ours_roc, paper_roc = (roc_curve(s[is_member], s[~is_member]) for s in (ours, paper))
    ours_points = set(zip(ours_roc.fp, ours_roc.tp, strict=True))
    assert set(zip(paper_roc.fp, paper_roc.tp, strict=True)) < ours_points


def test_certain_models_are_told_apart():
    """All p round to 1: ratios of 1 - p are what orders examples, and underflow is no score."""
    phi = np.array([38.0, 45.0, 60.0, 600.0])
    references = References(
        np.array([[40.0] * 4, [41.0] * 4], np.float32), np.array([[True] * 4, [False] * 4])
    )
    mean = np.mean(np.exp(-np.array([40.0, 41.0])))
    assert rmia(phi, references) == pytest.approx(mean - np.exp(-phi), rel=1e-9)
    doubtful = References(-references.phi, references.is_member)
    assert rmia(-phi, doubtful) == pytest.approx(-phi - np.log(mean))
    assert rmia_offline(-phi, doubtful, 1.0) == pytest.approx(-phi + 41)  # row 1 is OUT, with log p = -41


@given(st.permutations(range(6)), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_order_of_references_does_not_matter(order, seed):
    phi, references = case(k=6, seed=seed)
    other = References(references.phi[order], references.is_member[order])
    for name, score in {**REFERENCE_SCORES, "rmia_offline": ORACLES["rmia_offline"][0]}.items():
        assert score(phi, other) == pytest.approx(score(phi, references), rel=1e-9, abs=1e-12), name
    early, mixed = trajectory(phi, references.phi), trajectory(phi, references.phi[order])
    assert mixed == pytest.approx(early, rel=1e-9, abs=1e-12)


@given(st.integers(-64, 64), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_lira_does_not_see_a_shift_of_all_models_on_one_class(shift, seed):
    phi, references = case(k=6, seed=seed)
    grid = np.round(references.phi * 256) / 256  # on which the shift is exact in float32
    moved = np.where(np.arange(N) % 3 == 0, float(shift), 0.0)
    before, after = References(grid, references.is_member), References(grid + moved, references.is_member)
    for score in (lira, lira_offline):
        assert score(phi + moved, after) == pytest.approx(score(phi, before), rel=1e-6, abs=1e-6)


@given(st.integers(0, 99), st.integers(0, N - 1), st.floats(0.1, 5))
@settings(max_examples=25, deadline=None)
def test_a_more_confident_target_scores_higher_and_changes_no_other_score(seed, example, more):
    phi, references = case(seed=seed)
    higher = phi + more * (np.arange(N) == example)
    for score in (lira_offline, rmia, ORACLES["rmia_offline"][0], ORACLES["trajectory"][0]):
        change = score(higher, references) - score(phi, references)
        assert change[example] > 0
        assert not np.delete(change, example).any()


def lacking() -> tuple[np.ndarray, References]:
    """Example 0 is IN everywhere, example 1 OUT everywhere."""
    phi, references = case()
    is_member = references.is_member.copy()
    is_member[:, 0], is_member[:, 1] = True, False
    return phi, References(references.phi, is_member)


def test_lira_without_a_side_moves_the_other_by_the_mean_gap():
    phi, references = lacking()
    gap = np.mean((references.inside.mean - references.outside.mean)[2:])
    s_in, s_out = spreads(references)
    for i, known in enumerate((references.inside.mean[0] - gap, references.outside.mean[1])):
        truth = norm.logpdf(phi[i], known + gap, s_in) - norm.logpdf(phi[i], known, s_out)
        assert lira(phi, references)[i] == pytest.approx(truth)


def test_bavaria_without_a_side_has_the_prior_there():
    phi, references = lacking()
    out = references.phi[~references.is_member].astype(float)
    prior = t.logpdf(phi[0], 4, out.mean(), np.sqrt(out.var()))  # beta (kappa + 1) / (alpha kappa) = variance
    moved = phi + 0.5 * (np.arange(N) == 0)
    change = bavaria(moved, references)[0] - bavaria(phi, references)[0]
    values = references.phi[:, 0].astype(float)
    everyone = references.phi[references.is_member].astype(float)
    centre = (everyone.mean() + 8 * values.mean()) / 9
    beta = everyone.var() + 4 * values.var() + 8 * (values.mean() - everyone.mean()) ** 2 / 18
    scale = np.sqrt(beta * 10 / (6 * 9))
    inside = t.logpdf([moved[0], phi[0]], 12, centre, scale)
    assert bavaria(phi, references)[0] == pytest.approx(inside[1] - prior)
    assert change == pytest.approx(
        inside[0] - t.logpdf(moved[0], 4, out.mean(), out.std()) - inside[1] + prior
    )


def test_rmia_without_a_side_takes_what_there_is():
    phi, references = lacking()
    assert rmia(phi, references)[:2] == pytest.approx([slow_rmia(phi, references, i) for i in (0, 1)])


@pytest.mark.parametrize("name", ["lira_offline", "rmia_offline"])
def test_offline_attacks_refuse_an_example_without_an_out_reference(name):
    with pytest.raises(UserError, match=rf"{name}: example 0 \(1 of 60 in all\) is in every reference's"):
        REFERENCE_SCORES[name](*lacking())


def test_lira_and_bavaria_refuse_references_of_one_side():
    phi, references = case()
    everywhere = References(references.phi, np.ones_like(references.is_member))
    with pytest.raises(UserError, match="lira: got no example with both an IN and an OUT reference"):
        lira(phi, everywhere)
    with pytest.raises(UserError, match="bavaria: got no OUT reference of any example"):
        bavaria(phi, everywhere)


def test_models_that_do_not_differ_are_refused():
    """IN references of both examples say 1; OUT references differ, as no two models are the same."""
    is_member = np.array([[True, False], [False, True], [True, False], [False, True]])
    phi = np.where(is_member, 1.0, 0.0)
    phi[2, 1] = phi[3, 0] = 0.5
    references = References(phi, is_member)
    with pytest.raises(UserError, match="got the same outputs on one side of every example"):
        lira(np.zeros(2), references)
    with pytest.raises(UserError, match="bavaria: got one and the same confidence in all IN references"):
        bavaria(np.zeros(2), references)


def test_one_pair_orders_as_equal_spreads_do():
    phi, references = case(k=2)
    assert spreads(references) == (1.0, 1.0)
    mu_in, mu_out = references.inside.mean, references.outside.mean
    assert lira(phi, references) == pytest.approx((mu_in - mu_out) * (phi - (mu_in + mu_out) / 2))


def test_one_set_of_folds_takes_the_known_spread_for_both():
    _, references = case(k=6, fraction=5 / 6)
    assert np.isnan(references.outside.variance)
    assert spreads(references) == (np.sqrt(references.inside.variance),) * 2


def test_a_is_chosen_by_the_references_alone():
    """By the mean AUC of four references, each attacked by the others without its pair."""
    phi, references = case(k=6, n=400, gap=2.0)
    quality = []
    for a in OFFLINE_A:
        aucs = []
        for j in range(4):
            kept = [i for i in range(6) if i // 2 != j // 2]
            others = References(references.phi[kept], references.is_member[kept])
            scores = np.array([slow_rmia_offline(references.phi[j], others, i, a) for i in range(400)])
            aucs.append(auc(roc_curve(scores[references.is_member[j]], scores[~references.is_member[j]])))
        quality.append(np.mean(aucs))
    best = OFFLINE_A[int(np.argmax(quality))]
    assert np.ptp(quality) > 0.001
    assert choose_offline_a(references) == best
    assert (rmia_offline(phi, references) == rmia_offline(phi, references, best)).all()


def test_a_of_one_pair_is_the_published_one():
    phi, references = case(k=2)
    assert (rmia_offline(phi, references) == rmia_offline(phi, references, 0.3)).all()
    with pytest.raises(UserError, match="2 references whose memberships balance only all together"):
        choose_offline_a(references)


@pytest.mark.parametrize("a", [-0.1, 1.1, np.nan])
def test_a_outside_the_unit_interval_is_refused(a):
    with pytest.raises(UserError, match=r"rmia_offline: got a = .*, allowed: 0 to 1"):
        rmia_offline(*case(), a)


def test_trajectory_refuses_what_is_no_set_of_checkpoints():
    phi, references = case()
    for early, text in (
        (references.phi[0], r"early_phi: got shape \(60,\), allowed"),
        (references.phi[:0], r"early_phi: got shape \(0, 60\), allowed"),
        (np.where(np.eye(8, N) == 1, np.nan, references.phi), "early checkpoint 0: got nan for example 0"),
    ):
        with pytest.raises(UserError, match=text):
            trajectory(phi, early)
    assert trajectory(phi, references.phi[:1]).shape == (N,)
