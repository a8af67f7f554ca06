import numpy as np
import pytest

from privacy_report.attack.findings import CheckpointResult, attack_checkpoint
from privacy_report.attack.measures import METRICS
from privacy_report.attack.schema import Attack, Estimator, default_estimators
from privacy_report.attack.slices import Group

EVERYTHING = ["entire", "class", "correctness", "percentile"]


@pytest.fixture(scope="module")
def config():
    return Attack(attacks=["threshold", "logistic"], slices=EVERYTHING)


def test_every_attack_has_a_row_on_every_slice(outputs, config):
    rows = attack_checkpoint(outputs(), config).rows
    assert len(rows) == 2 * (1 + 4 + 2 + 10)
    for row in rows:
        measured = row["auc"] is not None
        assert measured or row["note"].startswith("not attacked: ")
        assert row["n_member"] + row["n_nonmember"] > 0
        if measured:
            assert all(row[name] is not None for name in METRICS if not name.startswith("tpr"))


def test_accuracies_are_those_of_the_entire_sides(outputs, config):
    some = outputs()
    for row in attack_checkpoint(some, config).rows:
        assert row["accuracy"] == np.mean(some.member_logits.argmax(1) == some.member_labels)
        assert row["val_accuracy"] == np.mean(some.nonmember_logits.argmax(1) == some.nonmember_labels)


def test_a_leak_is_found_and_intervals_hold_their_values(outputs, config):
    for row in attack_checkpoint(outputs(2000, 1000, shift=2.0), config).rows:
        if row["slice"] == "entire dataset":
            assert row["auc_low"] < row["auc"] < row["auc_high"]
            assert row["auc_low"] > 0.7
            assert 0.2 < row["advantage_low"] < row["advantage"] < row["advantage_high"] < 1
            assert row["advantage_p"] < 1e-6
            assert row["epsilon_low"] > 0.3
            assert row["tpr_at_fpr_0.01_low"] <= row["tpr_at_fpr_0.01"] <= row["tpr_at_fpr_0.01_high"]
            assert row["tpr_at_fpr_0.001"] is None
            assert "no tpr_at_fpr_0.001: needs 5000" in row["note"]


def test_members_that_score_lower_are_pointed_out(outputs):
    config = Attack(attacks=["threshold"], slices=["entire"])
    row = attack_checkpoint(outputs(2000, 1000, shift=-2.0), config).rows[0]
    assert row["auc_high"] < 0.5
    assert "AUC below 0.5" in row["note"]


def test_one_sided_and_small_slices_say_why(outputs):
    groups = {"members": Group(member=(0, 1)), "few": Group((0, 1), (0, 1)), "nobody": Group()}
    config = Attack(attacks=["threshold"], slices=["group"], groups="groups.json")
    notes = {row["slice"]: row["note"] for row in attack_checkpoint(outputs(), config, groups).rows}
    assert notes["group=members"] == "not attacked: no non-members"
    assert notes["group=nobody"] == "not attacked: no examples"
    assert "at least 10 of each" in notes["group=few"]


@pytest.mark.parametrize("name", default_estimators())
def test_trained_attackers_manage_the_smallest_slice(outputs, name):
    some = outputs(n_member=50, n_nonmember=50, n_classes=2)
    row = attack_checkpoint(some, Attack(attacks=[name], slices=["entire"])).rows[0]
    assert row["auc"] is not None
    assert 0 <= row["auc_low"] <= row["auc_high"] <= 1


def test_any_estimator_by_its_import_path(outputs):
    estimators = {"bayes": Estimator("sklearn.naive_bayes.GaussianNB")}
    config = Attack(attacks=["bayes"], slices=["entire"], estimators=estimators)
    row = attack_checkpoint(outputs(1000, 500, shift=2.0), config).rows[0]
    assert row["attack"] == "bayes"
    assert row["auc"] > 0.65


def test_halves_share_the_members_and_split_the_nonmembers(outputs, config):
    halves = attack_checkpoint(outputs(400, 201), config).halves
    entire = [row for row in halves if row["slice"] == "entire dataset" and row["attack"] == "threshold"]
    assert [(row["half"], row["n_member"], row["n_nonmember"]) for row in entire] == [
        ("select", 400, 101),
        ("report", 400, 100),
    ]
    assert {row["slice"] for row in halves} == {"entire dataset", *(f"class={i}" for i in range(4))}
    assert entire[0]["auc"] != entire[1]["auc"]


def test_result_survives_the_store_and_reruns_are_identical(outputs, config, tmp_path):
    from privacy_report.pipeline.files import read_arrays, write_arrays

    result = attack_checkpoint(outputs(), config)
    write_arrays(tmp_path / "a.npz", result.to_arrays())
    write_arrays(tmp_path / "b.npz", attack_checkpoint(outputs(), config).to_arrays())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = CheckpointResult.from_arrays(read_arrays(tmp_path / "a.npz"))
    assert (again.rows, again.halves) == (result.rows, result.halves)
    for name in ("member_loss", "nonmember_loss", "probability"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    for attack, (fpr, tpr) in result.curves.items():
        np.testing.assert_array_equal(again.curves[attack], (fpr, tpr))


def test_the_seed_moves_trained_attackers_only(outputs):
    rows = [attack_checkpoint(outputs(), Attack(slices=["entire"], seed=seed)).rows for seed in (0, 1)]
    assert rows[0][0]["auc"] == rows[1][0]["auc"]
    assert rows[0][1]["auc"] != rows[1][1]["auc"]
