"""Each record's own AUC, what noise alone gives, and whether a leak of few members is seen."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from privacy_report.attack import record_auc as module
from privacy_report.attack.record_auc import AUCS, by_noise, of_members, of_persons, record_auc
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.attack.slices import Group
from privacy_report.attack.tables import record_auc_rows, slices_of_members
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import PERSON_SCORES
from privacy_report.training.memberships import halves

AT_90 = AUCS.index(0.9)


def drawn(n, k, seed, exposed=0.0, fraction=0.5) -> References:
    """Examples and models that differ in level, spreads that differ by example, heavy tails.

    Of a share `exposed` of the examples a model that trained on them is more confident by 8.
    """
    rng, sides = np.random.default_rng([seed, k]), halves(n, k, seed, fraction)
    phi = rng.normal(2, 2, n) + rng.normal(0, 0.3, (k, 1))
    phi += np.exp(rng.normal(0, 0.5, n)) * rng.standard_t(5, (k, n))
    some = slice(int(exposed * n))
    phi[:, some] += 8 * sides[:, some]
    return References(phi.astype(np.float32), sides)


def rows_of(references, kinds=(), labels=None, groups=None):
    labels = np.zeros(references.n, int) if labels is None else labels
    arrays = {"record_auc": record_auc(references), "by_noise": by_noise(references)}
    return record_auc_rows("v", 20, arrays, slices_of_members(labels, kinds, groups))


def beyond_noise(rows):
    return any(row["share"] > row["noise_high"] for row in rows)


def test_the_record_auc_is_that_of_models_that_trained_on_it_against_models_that_did_not():
    """Two normal distributions with spreads 1.5 and 0.5; many models' phi say how often IN is above OUT."""
    rng, sides = np.random.default_rng(0), halves(400, 200, 0)
    gap = 1.2
    phi = gap * sides + np.where(sides, 1.5, 0.5) * rng.standard_normal(sides.shape)
    known = rng.normal(gap, 1.5, 10**6) > rng.normal(0, 0.5, 10**6)
    assert record_auc(References(phi, sides)).mean() == pytest.approx(known.mean(), abs=0.01)


@pytest.mark.parametrize(("k", "fraction"), [(4, 0.5), (6, 2 / 3)])
def test_noise_is_the_mean_over_all_ways_to_exchange_the_memberships(k, fraction):
    references = drawn(7, k, 0, fraction=fraction)
    scale = np.sqrt(references.inside.variance + references.outside.variance)
    reached, ways = np.zeros((7, len(AUCS))), 0
    for order in permutations(range(7)):
        sides, ways = references.is_member[:, order], ways + 1
        for x in range(7):
            inside, outside = (references.phi[side, x].astype(float) for side in (sides[:, x], ~sides[:, x]))
            reached[x] += norm.cdf((inside.mean() - outside.mean()) / scale) >= np.array(AUCS)
    assert by_noise(references) == pytest.approx(reached / ways, abs=1e-6)


def test_of_more_memberships_than_are_tried_a_part_by_lot_serves(monkeypatch):
    references = drawn(3000, 12, 0)
    exact = by_noise(references).mean(axis=0)
    monkeypatch.setattr(module, "MOST", 40)
    assert by_noise(references).mean(axis=0) == pytest.approx(exact, rel=0.1, abs=0.002)


@pytest.mark.parametrize("k", [4, 16])
def test_where_nothing_leaks_the_curve_stays_below_noise(k):
    """Families of rows err in at most 5% each: of 60 draws hardly ever more than seven (99%)."""
    whole = by_class = 0
    for seed in range(60):
        rows = rows_of(drawn(500, k, seed), ["class"], np.arange(500) % 5)
        whole += beyond_noise(row for row in rows if row["slice"] == ENTIRE)
        by_class += beyond_noise(row for row in rows if row["slice"] != ENTIRE)
    assert whole <= 7
    assert by_class <= 7


def test_the_mean_share_where_nothing_leaks_is_noise():
    shares = [[(row["share"], row["noise"]) for row in rows_of(drawn(500, 8, seed))] for seed in range(40)]
    share, noise = np.mean(shares, axis=0).T
    assert share == pytest.approx(noise, abs=0.012)


@pytest.mark.parametrize("k", [4, 16])
def test_a_leak_of_two_members_in_a_hundred_is_beyond_noise(k):
    """An attack on a target has an AUC below 0.52; the curve at 0.9 is above noise nonetheless."""
    references = drawn(12_000, k, 3, exposed=0.02)
    target = drawn(12_000, 2, 3, exposed=0.02)  # the levels of other examples: only the leak is alike
    is_member, phi = target.is_member[0], target.phi[0]
    assert auc(roc_curve(phi[is_member], phi[~is_member])) < 0.52
    row = rows_of(references)[AT_90]
    assert row["share_low"] > row["noise_high"]
    assert 0.01 < row["share"] - row["noise"] < 0.025


def test_examples_of_which_all_models_say_the_same_are_ties_and_no_exposure():
    """Their gap is 0 up to rounding, with any memberships: each has an AUC of 0.5, and so has noise."""
    references = drawn(300, 8, 0)
    phi = references.phi.copy()
    phi[:, 10:] = np.float32(0.1) + np.arange(290, dtype=np.float32) / 7
    same = References(phi, references.is_member)
    assert record_auc(same)[10:] == pytest.approx(0.5, abs=1e-12)
    assert np.all(by_noise(same)[10:, 0] == 1)
    assert np.all(by_noise(same)[10:, 1:] == 0)
    row = rows_of(same)[0]
    assert row["share"] <= row["noise_high"] <= 1


def test_intervals_are_corrected_for_all_rows_that_are_looked_at():
    labels, groups = np.arange(400) % 2, {"mine": Group(tuple(range(50))), "empty": Group((), (1,))}
    rows = rows_of(drawn(400, 8, 0, exposed=0.1), ["class", "group"], labels, groups)
    counts = {row["slice"]: row["n_member"] for row in rows}
    assert counts == {ENTIRE: 400, "class=0": 200, "class=1": 200, "group=mine": 50}
    for row in rows:
        level = 1 - 0.05 / len(AUCS) / (1 if row["slice"] == ENTIRE else 3)
        known = binomtest(round(row["share"] * row["n_member"]), row["n_member"]).proportion_ci(level)
        assert (row["share_low"], row["share_high"]) == pytest.approx((known.low, known.high), abs=1e-9)
    mine = next(row for row in rows if row["slice"] == "group=mine" and row["record_auc"] == 0.9)
    assert mine["share"] > 0.5  # of the 50, 40 are exposed


@pytest.mark.parametrize("k", [2, 8])
def test_members_are_the_first_and_too_few_references_say_nothing(k, tmp_path):
    references = drawn(300, k, 0)
    np.save(tmp_path / "trains.npy", references.is_member)
    np.save(tmp_path / "phi.npy", references.phi)
    arrays = of_members(tmp_path / "trains.npy", tmp_path / "phi.npy", 200)
    if k == 2:
        assert arrays == {}
        assert record_auc_rows("v", 20, arrays, slices_of_members(np.zeros(200), [], None)) == []
    else:
        assert np.array_equal(arrays["record_auc"], record_auc(references)[:200])
        assert np.array_equal(arrays["by_noise"], by_noise(references)[:200])


def of_several(n, k, seed, correlation=0.6):
    """References on rows of n persons, four each on average, who are alike, and whose row each is."""
    rng = np.random.default_rng([seed, n, k])
    persons = rng.permutation(np.repeat(rng.permutation(n), 1 + rng.poisson(3, n)))
    phi = np.sqrt(correlation) * rng.normal(size=(k, n))[:, persons]
    phi = phi + np.sqrt(1 - correlation) * rng.normal(size=(k, len(persons)))
    return References(phi.astype(np.float32), halves(n, k, seed)[:, persons]), persons


@pytest.mark.parametrize("how", PERSON_SCORES)
def test_a_person_has_the_phi_that_a_loop_over_the_rows_makes(how):
    references, persons = of_several(30, 6, 0)
    combined = of_persons(references, persons * 7, how)
    for person in range(30):
        mine = persons == person
        expected = getattr(np, how)(references.phi[:, mine].astype(float), axis=1)
        assert combined.phi[:, person] == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert (combined.is_member[:, [person]] == references.is_member[:, mine]).all()


def test_persons_of_a_row_each_are_these_rows(tmp_path):
    references = drawn(60, 8, 0)
    np.save(tmp_path / "trains.npy", references.is_member)
    np.save(tmp_path / "phi.npy", references.phi)
    rows = of_members(tmp_path / "trains.npy", tmp_path / "phi.npy", 40)
    persons = of_members(tmp_path / "trains.npy", tmp_path / "phi.npy", 40, np.arange(60)[::-1])
    for name, array in rows.items():
        np.testing.assert_array_equal(array, persons[name][::-1])


def test_the_share_is_of_persons_in_all_slices(tmp_path):
    references, persons = of_several(50, 8, 1)
    persons = np.where(persons < 30, persons, persons + 100)
    order = np.argsort(persons >= 30, kind="stable")
    references, persons = references.take(order), persons[order]
    n = int((persons < 30).sum())
    np.save(tmp_path / "trains.npy", references.is_member)
    np.save(tmp_path / "phi.npy", references.phi)
    arrays = of_members(tmp_path / "trains.npy", tmp_path / "phi.npy", n, persons, "mean")
    labels = np.random.default_rng(0).integers(0, 3, n)
    slices = slices_of_members(labels, ["class"], None, persons[:n])
    rows = {row["slice"]: row for row in record_auc_rows("v", 2, arrays, slices) if row["record_auc"] == 0.6}
    alone = record_auc(of_persons(references, persons, "mean"))
    for name, mine in [(ENTIRE, np.ones(n, bool)), *((f"class={i}", labels == i) for i in range(3))]:
        who = sorted(set(persons[:n][mine]))
        assert rows[name]["n_member"] == len(who)
        assert rows[name]["share"] == pytest.approx(np.mean(alone[who] >= 0.6))


def test_where_nothing_leaks_persons_stay_below_noise():
    whole = 0
    for seed in range(60):
        references, persons = of_several(300, 8, seed)
        whole += beyond_noise(rows_of(of_persons(references, persons, "max")))
    assert whole <= 7
