"""References in the target's place: the recipe, the placebo, and the choice of an epoch."""

import numpy as np
import pytest
from scipy.stats import norm

from privacy_report.attack.reference_checks import (
    FPRS,
    choose_epochs,
    outcomes_by_epoch,
    placebo,
    recipe,
    scores_of_reference,
)
from privacy_report.attack.reference_scores import REFERENCE_SCORES, lira_offline, rmia
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve, tpr_at_fpr
from privacy_report.errors import UserError
from privacy_report.training.memberships import halves

N = 4000


def planted(k=8, n=N, gap=1.0, seed=0, hardness=None) -> References:
    rng, sides = np.random.default_rng(seed), halves(n, k, seed)
    mu = rng.normal(2, 2, n) if hardness is None else hardness
    return References((mu + gap * sides + rng.standard_normal((k, n))).astype(np.float32), sides)


def test_recipe_against_each_reference_by_hand():
    references = planted(k=6, n=1200)
    outcome = recipe(rmia, references)
    for j in range(6):
        kept = [i for i in range(6) if i // 2 != j // 2]
        scores = rmia(references.phi[j], References(references.phi[kept], references.is_member[kept]))
        assert (scores_of_reference(rmia, references, j) == scores).all()
        curve = roc_curve(scores[references.is_member[j]], scores[~references.is_member[j]])
        assert outcome.auc[j] == auc(curve)
        assert outcome.auc_low[j] < outcome.auc[j] < outcome.auc_high[j]
        assert outcome.tpr[j, 0] == tpr_at_fpr(curve, FPRS["tpr_at_1pct_fpr"])
    assert np.isnan(outcome.tpr[:, 1:]).all()  # 0.1% of 600 non-members is not one
    assert outcome.mean()["auc"] == np.mean(outcome.auc)
    assert outcome.spread()["tpr_at_1pct_fpr"] == np.std(outcome.tpr[:, 0], ddof=1)
    assert set(outcome.mean()) == {"auc", "tpr_at_1pct_fpr", "tpr_at_0p1pct_fpr", "tpr_at_0p01pct_fpr"}


def test_recipe_measures_the_planted_leak():
    """lira_offline with m OUT references has the AUC Phi(1 / sqrt(2 (1 + 1/m))); of eight, three are left."""
    outcome = recipe(lira_offline, planted())
    truth = norm.cdf(1 / np.sqrt(2 * (1 + 1 / 3)))
    assert outcome.mean()["auc"] == pytest.approx(truth, abs=0.01)
    assert outcome.mean()["tpr_at_1pct_fpr"] == pytest.approx(
        norm.cdf(np.sqrt(3) / 2 + norm.ppf(0.01)), abs=0.01
    )


def test_a_pair_that_stays_gives_membership_away():
    """Why groups are left out: the complement of a reference is IN where it is OUT."""
    references, aucs = planted(gap=0.0), []
    for j in range(references.k):
        left = np.arange(references.k) != j
        scores = REFERENCE_SCORES["bavaria"](
            references.phi[j], References(references.phi[left], references.is_member[left])
        )
        aucs.append(auc(roc_curve(scores[references.is_member[j]], scores[~references.is_member[j]])))
    assert np.mean(aucs) < 0.4
    assert recipe(REFERENCE_SCORES["bavaria"], references).mean()["auc"] == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("name", REFERENCE_SCORES)
def test_placebo_finds_nothing_in_a_split_that_no_reference_knows(name):
    """Over 40 splits the intervals cover 0.5 as they should, although every reference leaks."""
    references, hits = planted(k=4, n=1200, gap=2.0), []
    split = np.random.default_rng(1)
    for _ in range(40):
        outcome = placebo(REFERENCE_SCORES[name], references, split.random(1200) < 5 / 6)
        hits.append((outcome.auc_low <= 0.5) & (outcome.auc_high >= 0.5))
    assert np.mean(hits) >= 0.9


def test_placebo_is_labelled_by_the_target_s_split():
    references, is_member = planted(k=4, n=1200), np.arange(1200) < 1000
    outcome = placebo(rmia, references, is_member)
    for j in range(4):
        scores = scores_of_reference(rmia, references, j)
        assert outcome.auc[j] == auc(roc_curve(scores[is_member], scores[~is_member]))


def test_placebo_shows_sides_that_differ_in_themselves():
    """Members that are hard and non-members that are easy for all: there p is skewed the other way."""
    is_member = np.arange(N) < N // 2
    outcome = placebo(rmia, planted(k=4, hardness=np.where(is_member, -3.0, 3.0)), is_member)
    assert (outcome.auc_high < 0.5).all()


@pytest.mark.parametrize(
    ("is_member", "text"),
    [
        (np.ones(N, bool), "is_member: got one side only, allowed: members and non-members"),
        (np.zeros(N, bool), "is_member: got one side only"),
        (np.ones(N - 1, bool), r"is_member: got bool \(3999,\), allowed: bool \(4000,\)"),
        (np.ones(N), r"is_member: got float64 \(4000,\), allowed: bool"),
    ],
)
def test_placebo_refuses_what_is_no_split(is_member, text):
    with pytest.raises(UserError, match=text):
        placebo(rmia, planted(k=4), is_member)


def test_one_pair_cannot_attack_itself():
    for check in (
        lambda: recipe(rmia, planted(k=2)),
        lambda: placebo(rmia, planted(k=2), np.arange(N) < 3000),
        lambda: choose_epoch({4: planted(k=2).phi}, planted(k=2).is_member, 4),
    ):
        with pytest.raises(UserError, match="2 references whose memberships balance only all together"):
            check()


def epochs(noise: dict[int, float], k=6, n=N) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """References at several epochs that say the same with more or less noise of their own."""
    rng, sides, hardness = np.random.default_rng(5), halves(n, k, 5), np.random.default_rng(6).normal(2, 2, n)
    phis = {e: hardness + 2 * sides + s * rng.standard_normal((k, n)) for e, s in noise.items()}
    return {e: phi.astype(np.float32) for e, phi in phis.items()}, sides


def choose_epoch(phis, sides, target, score=rmia):
    """The choice for one target."""
    return choose_epochs(phis, sides, [target], score)[target]


NOISE = {2: 3.0, 10: 0.3, 20: 1.0, 50: 1.5}


def test_the_epoch_whose_references_find_most_is_chosen():
    phis, sides = epochs(NOISE)
    assert choose_epoch(phis, sides, 50, lira_offline) == 10
    assert choose_epoch({e: phis[e] for e in (50, 20, 2)}, sides, 50, lira_offline) == 20


def test_outcomes_by_epoch_attack_the_target_s_epoch():
    phis, sides = epochs(NOISE)
    at = {50: 50, 70: 50, 20: 20, 21: 20, 15: 10, 1: 2}
    for target_epoch, outcomes in outcomes_by_epoch(phis, sides, at).items():
        attacked = at[target_epoch]
        assert list(outcomes) == [2, 10, 20, 50]
        for epoch in outcomes:
            others = References(phis[epoch][2:], sides[2:])
            for j in (0, 1):
                scores = rmia(phis[attacked][j], others)
                assert outcomes[epoch].auc[j] == auc(roc_curve(scores[sides[j]], scores[~sides[j]]))


def test_ties_go_to_the_earliest_epoch():
    """A score that does not look at its references makes all epochs equal."""
    phis, sides = epochs(NOISE)
    assert choose_epoch({e: phis[e] for e in (20, 50, 10)}, sides, 50, lambda phi, _: phi) == 10


def test_the_tpr_at_1_percent_decides_where_it_can_else_the_auc():
    """Epoch 4 is told apart by a score with the better AUC, epoch 8 by one with the better TPR at 1% FPR."""

    def outcome_of(n):
        sides = halves(n, 4, 0)
        phis = {e: np.random.default_rng(e).standard_normal((4, n)).astype(np.float32) for e in (4, 8)}

        def score(phi, references):
            j = next(j for j in range(4) if (phi == phis[8][j]).all())
            uniform = np.random.default_rng(j).random(n)
            if references.phi.tobytes() in (phis[4][:2].tobytes(), phis[4][2:].tobytes()):
                return uniform + 0.5 * sides[j]  # AUC 0.875, TPR at 1% about a half
            member_scores = np.where(uniform < 0.7, 2.0, uniform - 0.7)
            return np.where(sides[j], member_scores, uniform)  # AUC 0.745, TPR at 1% 0.7

        return choose_epoch(phis, sides, 8, score)

    assert outcome_of(2000) == 8
    assert outcome_of(998) == 4  # 1% of 499 non-members are fewer than five


def test_a_faulty_epoch_is_named():
    phis, sides = epochs(NOISE)
    phis[20][3, 5] = np.nan
    with pytest.raises(UserError, match="epoch 20: reference 3: got nan for example 5"):
        choose_epoch(phis, sides, 50)
    with pytest.raises(UserError, match="phis: got no epoch"):
        choose_epoch({}, sides, 50)
