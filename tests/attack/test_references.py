"""The value that holds references: what it refuses, and which references hang together."""

import numpy as np
import pytest

from privacy_report.attack.reference_scores import REFERENCE_SCORES, trajectory
from privacy_report.attack.references import References, over_snapshots
from privacy_report.errors import UserError
from privacy_report.training.memberships import halves

N = 40


def phi_of(k: int, n: int = N, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(k, n)).astype(np.float32)


def spoiled(phi: np.ndarray, value: float) -> np.ndarray:
    phi = phi.copy()
    phi[2, 7] = value
    return phi


PAIRS = halves(N, 4, 0)


@pytest.mark.parametrize(
    ("phi", "is_member", "text"),
    [
        (phi_of(4), PAIRS[:, 1:], r"references: got phi \(4, 40\) and is_member \(4, 39\), allowed: both"),
        (phi_of(4)[0], PAIRS[0], r"references: got phi \(40,\) and is_member \(40,\), allowed: both"),
        (phi_of(4)[:, :0], PAIRS[:, :0], r"references: got phi \(4, 0\)"),
        (phi_of(4), PAIRS.astype(int), "references: got is_member of int64, allowed: bool"),
        (phi_of(1), PAIRS[:1], "references: got 1, allowed: 2 or more"),
        (spoiled(phi_of(4), np.nan), PAIRS, "reference 2: got nan for example 7, allowed: finite"),
        (spoiled(phi_of(4), -np.inf), PAIRS, "reference 2: got -inf for example 7, allowed: finite"),
        (phi_of(4)[[0, 1, 2, 1]], PAIRS, "references 1 and 3 have the same outputs, allowed: different"),
    ],
)
def test_what_is_no_set_of_references(phi, is_member, text):
    with pytest.raises(UserError, match=text) as error:
        References(phi, is_member)
    assert "\n" not in str(error.value)


def test_a_confidence_beyond_float32_names_its_reference():
    with pytest.raises(UserError, match="reference 2: got inf for example 7"):
        References(spoiled(phi_of(4).astype(float), 1e39), PAIRS)


ALL_SCORES = {**REFERENCE_SCORES, "trajectory": lambda phi, references: trajectory(phi, references.phi)}


@pytest.mark.parametrize("name", ALL_SCORES)
def test_what_is_no_target(name):
    score, references, target = ALL_SCORES[name], References(phi_of(4), PAIRS), phi_of(1, seed=1)[0]
    what = "early checkpoint" if name == "trajectory" else "reference"
    for bad, text in (
        (target[:-1], rf"target_phi: got shape \(39,\), allowed: \(40,\), as each {what} has"),
        (target[None], r"target_phi: got shape \(1, 40\)"),
        (np.where(np.arange(N) == 3, np.nan, target), "target: got nan for example 3, allowed: finite"),
        (np.where(np.arange(N) == 3, np.inf, target), "target: got inf for example 3, allowed: finite"),
        (references.phi[1].astype(float), f"target and {what} 1 have the same outputs, allowed: different"),
    ):
        with pytest.raises(UserError, match=text) as error:
            score(bad, references)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("models", "fraction", "size"),
    [(2, 1 / 2, 2), (4, 1 / 2, 2), (16, 1 / 2, 2), (6, 2 / 3, 3), (12, 5 / 6, 6)],
)
def test_groups_are_read_off_the_memberships(models, fraction, size):
    assert References(phi_of(models), halves(N, models, 3, fraction)).group_size == size


def test_memberships_that_balance_only_together_are_one_group():
    """Half of four for each example, at random (no pairs); and independent coins."""
    rng = np.random.default_rng(0)
    together = rng.permuted(np.tile([[True], [True], [False], [False]], N), axis=0)
    for is_member in (together, rng.random((4, N)) < 0.5, PAIRS[[0, 2, 1, 3]]):
        references = References(phi_of(4), is_member)
        assert references.group_size == 4
        with pytest.raises(UserError, match="4 references whose memberships balance only all together"):
            references.without_group_of(0)


def test_without_group_leaves_out_the_reference_and_its_pair():
    references = References(phi_of(6), halves(N, 6, 0))
    for j in range(6):
        left = references.without_group_of(j)
        kept = [i for i in range(6) if i // 2 != j // 2]
        assert (left.phi == references.phi[kept]).all()
        assert (left.is_member == references.is_member[kept]).all()


def test_sides_against_numpy_one_example_at_a_time():
    rng = np.random.default_rng(1)
    references = References(phi_of(3) + 3, rng.random((3, N)) < 0.5)
    for side, members in ((references.inside, True), (references.outside, False)):
        squares, lacking = 0.0, 0
        for i in range(N):
            values = references.phi[references.is_member[:, i] == members, i].astype(float)
            assert side.count[i] == len(values)
            assert np.isnan(side.mean[i]) if not len(values) else side.mean[i] == pytest.approx(values.mean())
            assert side.squares[i] == pytest.approx(
                ((values - values.mean()) ** 2).sum() if len(values) else 0
            )
            lacking += not len(values)
            squares += values.var(ddof=1) * (len(values) - 1) if len(values) > 1 else 0.0
        assert side.variance == pytest.approx(squares / np.maximum(side.count - 1, 0).sum())
        assert lacking  # the seed has examples without this side


def test_snapshots_answer_with_the_mean_probability():
    """One example and one reference at a time; memberships stay what they are."""
    phis = [3 * phi_of(4, seed=seed) for seed in range(3)]
    found = over_snapshots(phis, PAIRS)
    assert found.phi.dtype == np.float32
    assert (found.is_member == PAIRS).all()
    for j in range(4):
        for i in range(N):
            mean = np.mean([1 / (1 + np.exp(-float(phi[j, i]))) for phi in phis])
            assert found.phi[j, i] == pytest.approx(np.log(mean / (1 - mean)), rel=1e-6, abs=1e-6)


def test_one_snapshot_is_the_reference_itself():
    assert over_snapshots([phi_of(4)], PAIRS).phi == pytest.approx(phi_of(4), rel=1e-6)


@pytest.mark.parametrize(
    ("phis", "text"),
    [
        ([], r"snapshots: got shapes \[\], allowed: one or more of the same \(k, n\)"),
        ([phi_of(4), phi_of(2)], r"snapshots: got shapes \[\(2, 40\), \(4, 40\)\], allowed"),
        ([phi_of(4)[0]], r"snapshots: got shapes \[\(40,\)\], allowed"),
        ([phi_of(4), spoiled(phi_of(4), np.nan)], "reference 2: got nan for example 7, allowed: finite"),
        ([phi_of(4), spoiled(phi_of(4), np.inf)], "reference 2: got inf for example 7, allowed: finite"),
    ],
)
def test_what_are_no_snapshots(phis, text):
    with pytest.raises(UserError, match=text):
        over_snapshots(phis, PAIRS)
