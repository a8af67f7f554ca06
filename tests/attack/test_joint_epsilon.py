"""The lower bound of epsilon that holds for all rows of a variant at once."""

import numpy as np
import pytest

from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.epsilon_bound import TailCounts, epsilon_low, tail_counts
from privacy_report.attack.findings import SELECTS
from privacy_report.attack.measures import EVIDENCE
from privacy_report.attack.tables import privacy_rows, with_joint_epsilon
from privacy_report.audits.attacks import audit_params
from privacy_report.pipeline.contract import CLASS, ENTIRE, EPSILON_JOINT, GIVEN_BEFOREHAND, LEVEL

KINDS = ["entire", "class", "correctness", "percentile"]


def rows_of(outputs, mode="default", attacks=("threshold", "threshold_entropy"), slices=KINDS, epochs=(2, 4)):
    """privacy.csv and halves.csv of checkpoints that leak more and more."""
    params = audit_params(attacks, slices, mode)
    results = {epoch: attack_outputs(outputs(2000, 1000, shift=epoch / 2), params) for epoch in epochs}
    return privacy_rows("cnn2", results), privacy_rows("cnn2", results, halves=True)


def test_it_is_below_each_row_s_own_bound_and_only_where_epsilon_is_bounded(outputs):
    for rows in rows_of(outputs):
        assert all(EVIDENCE not in row for row in rows)
        bounded = [row for row in rows if row[EPSILON_JOINT] is not None]
        assert {row["slice"] for row in bounded} == {ENTIRE, *(f"{CLASS}{i}" for i in range(4))}
        assert all(0 <= row[EPSILON_JOINT] <= row["epsilon_fixed_split"] for row in bounded)
        assert any(0 < row[EPSILON_JOINT] < row["epsilon_fixed_split"] for row in bounded)
        for row in rows:
            if not row["slice"].startswith(GIVEN_BEFOREHAND):
                assert row[EPSILON_JOINT] is None
                assert row["epsilon_fixed_split"] is not None or row["note"].startswith("not attacked")


def test_one_row_is_its_own_joint_bound(outputs):
    """Slices that an output decides do not count."""
    (row,), _ = rows_of(outputs, attacks=["threshold"], slices=["entire"], epochs=[4])
    assert row[EPSILON_JOINT] == row["epsilon_fixed_split"] > 0
    more, _ = rows_of(outputs, attacks=["threshold"], slices=["entire", "correctness"], epochs=[4])
    assert more[0][EPSILON_JOINT] == row["epsilon_fixed_split"]


def test_the_error_is_shared_by_the_rows_that_are_bounded(outputs):
    counts, delta = (900, 1000, 300, 1000), 1e-5
    given = [{"attack": "threshold", "slice": ENTIRE, EVIDENCE: [*counts, delta]}] * 3
    refused = [
        {"slice": f"{CLASS}0"},
        {"attack": "threshold", "slice": "correct", EVIDENCE: [*counts, delta]},
    ]
    bounds = [row[EPSILON_JOINT] for row in with_joint_epsilon([*given, *refused])]
    assert bounds == [epsilon_low(TailCounts(*counts), delta, LEVEL / 3)] * 3 + [None] * 2


def test_the_reference_s_bounds_are_no_evidence(outputs):
    rows, _ = rows_of(outputs, mode="parity", attacks=["threshold"])
    assert all(row[EPSILON_JOINT] is None for row in rows)
    assert any(row["epsilon_fixed_split"] for row in rows)


def randomized_response(slice_, epsilon, is_member, rng):
    """A row of answers that are true with probability e^epsilon / (1 + e^epsilon): exactly epsilon-DP."""
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))
    answers = np.where(rng.random(len(is_member)) < truth, is_member, ~is_member).astype(float)
    order = np.argsort(-answers, kind="stable")
    counts = tail_counts(answers[order], is_member[order], rng.random(len(answers)) < SELECTS, 0.0)
    return {
        "attack": "threshold",
        "slice": slice_,
        EVIDENCE: [*counts, 0.0],
        "epsilon_fixed_split": epsilon_low(counts, 0.0),
    }


@pytest.mark.parametrize("epsilon", [0.0, 2.0])
def test_it_holds_for_all_rows_at_once(epsilon):
    """Two checkpoints of eleven slices, whose epsilon is known; at 0 nothing leaks.

    Some row's own bound exceeds it in more than 5% of draws, the joint bound does not.
    """
    rng, is_member, draws = np.random.default_rng(0), np.arange(600) < 400, 200
    names = [ENTIRE, *(f"{CLASS}{i}" for i in range(10))] * 2
    own, joint = [], []
    for _ in range(draws):
        rows = with_joint_epsilon([randomized_response(name, epsilon, is_member, rng) for name in names])
        own.append(max(row["epsilon_fixed_split"] for row in rows) > epsilon)
        joint.append(max(row[EPSILON_JOINT] for row in rows) > epsilon)
    assert np.mean(joint) <= 0.05
    assert not epsilon or np.mean(own) > 0.1  # the null's own bounds hardly ever exceed 0
