"""All attacks on one checkpoint, and the path that every attack takes: outputs, scores, measures."""

from dataclasses import replace

import numpy as np
import pytest

from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.findings import Findings
from privacy_report.attack.schema import AttackParams, Estimator
from privacy_report.attack.slices import Group
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.pipeline.contract import CLASS, ENTIRE, EPSILON_JOINT, METRICS
from privacy_report.pipeline.files import read_arrays, write_arrays

EVERYTHING = ["entire", "class", "correctness", "percentile"]


@pytest.fixture(scope="module")
def params():
    return audit_params(["threshold", "logistic"], EVERYTHING)


def test_every_attack_has_a_row_on_every_slice(outputs, params):
    rows = attack_outputs(outputs(), params).rows
    assert len(rows) == 2 * (1 + 4 + 2 + 10)
    for row in rows:
        measured = row["auc"] is not None
        assert measured or row["note"].startswith("not attacked: ")
        assert row["n_member"] + row["n_nonmember"] > 0
        if measured:
            always = {name for name in METRICS if not name.startswith(("tpr", "named"))} - {EPSILON_JOINT}
            assert all(row[name] is not None for name in always)


def test_accuracies_are_those_of_the_entire_sides(outputs, params):
    some = outputs()
    for row in attack_outputs(some, params).rows:
        assert row["accuracy"] == np.mean(some.member_logits.argmax(1) == some.member_labels)
        assert row["val_accuracy"] == np.mean(some.nonmember_logits.argmax(1) == some.nonmember_labels)


def test_a_leak_is_found_and_intervals_hold_their_values(outputs, params):
    for row in attack_outputs(outputs(2000, 1000, shift=2.0), params).rows:
        if row["slice"] == ENTIRE:
            assert row["auc_low"] < row["auc"] < row["auc_high"]
            assert row["auc_low"] > 0.7
            assert 0.2 < row["advantage_low"] < row["advantage"] < row["advantage_high"] < 1
            assert row["advantage_p"] < 1e-6
            assert row["epsilon_fixed_split"] > 0.3
            assert row["tpr_at_1pct_fpr_low"] <= row["tpr_at_1pct_fpr"] <= row["tpr_at_1pct_fpr_high"]
            assert row["tpr_at_0p1pct_fpr"] is None
            assert "no tpr_at_0p1pct_fpr: needs 5000" in row["note"]


def test_members_that_score_lower_are_pointed_out(outputs):
    params = AttackParams(attacks=["threshold"], slices=["entire"])
    row = attack_outputs(outputs(2000, 1000, shift=-2.0), params).rows[0]
    assert row["auc_high"] < 0.5
    assert "AUC below 0.5" in row["note"]


def test_one_sided_and_small_slices_say_why(outputs):
    groups = {"members": Group(member=(0, 1)), "few": Group((0, 1), (0, 1)), "nobody": Group()}
    params = AttackParams(attacks=["threshold"], slices=["entire", "group"], groups="groups.json")
    notes = {row["slice"]: row["note"] for row in attack_outputs(outputs(), params, groups).rows}
    assert notes["group=members"] == "not attacked: no non-members"
    assert notes["group=nobody"] == "not attacked: no examples"
    assert "at least 10 of each" in notes["group=few"]


@pytest.mark.parametrize("name", default_estimators())
def test_trained_attackers_manage_the_smallest_slice(outputs, name):
    some = outputs(n_member=50, n_nonmember=50, n_classes=2)
    row = attack_outputs(some, audit_params([name], ["entire"])).rows[0]
    assert row["auc"] is not None
    assert 0 <= row["auc_low"] <= row["auc_high"] <= 1


def test_any_estimator_by_its_import_path(outputs):
    estimators = {"bayes": Estimator("sklearn.naive_bayes.GaussianNB")}
    params = AttackParams(attacks=["bayes"], slices=["entire"], estimators=estimators)
    row = attack_outputs(outputs(1000, 500, shift=2.0), params).rows[0]
    assert row["attack"] == "bayes"
    assert row["auc"] > 0.65


def test_halves_split_both_sides(outputs, params):
    halves = attack_outputs(outputs(401, 201), params).halves
    entire = [row for row in halves if row["slice"] == ENTIRE and row["attack"] == "threshold"]
    assert [(row["half"], row["n_member"], row["n_nonmember"]) for row in entire] == [
        ("select", 201, 101),
        ("report", 200, 100),
    ]
    assert {row["slice"] for row in halves} == {ENTIRE, *(f"{CLASS}{i}" for i in range(4))}
    assert entire[0]["auc"] != entire[1]["auc"]


def test_a_single_example_is_not_cut_in_halves(outputs, params):
    assert attack_outputs(outputs(1, 200), params).halves == []


def test_findings_survive_the_store_and_reruns_are_identical(outputs, params, tmp_path):
    result, again = (attack_outputs(outputs(), params) for _ in range(2))
    for name, findings in result.by_attack.items():
        write_arrays(tmp_path / "a.npz", findings.to_arrays())
        write_arrays(tmp_path / "b.npz", again.by_attack[name].to_arrays())
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        read = Findings.from_arrays(read_arrays(tmp_path / "a.npz"))
        assert (read.rows, read.halves) == (findings.rows, findings.halves)
        for ours, theirs in zip(read.curve, result.curves[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    for name in ("member_loss", "nonmember_loss", "probability"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))


def test_the_seed_moves_trained_attackers_only(outputs):
    rows = [
        attack_outputs(outputs(), audit_params(["threshold", "logistic"], ["entire"], seed=seed)).rows
        for seed in (0, 1)
    ]
    assert rows[0][0]["auc"] == rows[1][0]["auc"]
    assert rows[0][1]["auc"] != rows[1][1]["auc"]


def test_no_attack_depends_on_the_others(outputs):
    """Each is kept on its own, so that one that is added leaves the others' numbers alone."""
    together = audit_params(["threshold", "logistic", "knn"], ["entire", "class"])
    rows = attack_outputs(outputs(), together).rows
    for name in together.attacks:
        alone = attack_outputs(outputs(), replace(together, attacks=[name])).rows
        assert [row for row in rows if row["attack"] == name] == alone


def test_members_and_nonmembers_have_their_own_losses(outputs):
    some = outputs(30, 20)
    findings = attack_outputs(some, AttackParams())
    for side, loss in (("member", findings.member_loss), ("nonmember", findings.nonmember_loss)):
        logits = getattr(some, f"{side}_logits").astype(float)
        of_label = logits[np.arange(len(logits)), getattr(some, f"{side}_labels")]
        np.testing.assert_allclose(loss, np.log(np.exp(logits).sum(axis=1)) - of_label, rtol=1e-9)
    assert findings.probability.shape == (50,)
