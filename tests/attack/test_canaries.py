"""The attack stage on a variant with canaries: rows of their own, one audit, nothing elsewhere."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target

from privacy_report.attack.canaries import attacks_on_canaries
from privacy_report.attack.one_run import epsilon_low
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.pipeline.contract import CANARIES, ENTIRE
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import output_arrays
from stages.attack import main

ATTACKS = ["threshold", "logistic", "trajectory", "rmia", "placebo"]
ORDINARY = planted(n_member=80, n_nonmember=60)
COINS = planted(n_member=103, n_nonmember=97, gap=6.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two kinds of examples of one variant: those of ORDINARY, and the canaries of COINS, in and out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    estimators = {"logistic": default_estimators()["logistic"]}
    params = {"attacks": ATTACKS, "slices": ["entire", "class"], "estimators": estimators}
    Path("params.yaml").write_text(yaml.safe_dump({"attack": params}))
    write_target(ORDINARY)
    for epoch in COINS.checkpoints:
        arrays = output_arrays(COINS.outputs(epoch))
        write_arrays(f"data/score/cnn2/canaries/epoch_{epoch:04}.npz", arrays)
    for subfolder, world in (("", ORDINARY), ("canaries", COINS)):
        write_references(
            Path("data/reference/cnn2", subfolder), world.trains, {4: world.phi(world.references)}
        )
    # the members' rows are 0..79; canaries come from other rows that prepare calls members
    np.save("data/prepare/member.npy", np.arange(280, dtype=np.int32))
    write_arrays("data/canaries/cnn2.npz", {"index": np.arange(80, 280, dtype=np.int32)})
    return tmp_path


def rows(name="privacy"):
    with open(f"data/attack/cnn2/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_canaries_have_a_row_for_each_attack_and_checkpoint(folder):
    main(["cnn2"])
    canary_rows = [row for row in rows() if row["slice"] == CANARIES]
    expected = [(epoch, name) for epoch in "246" for name in ATTACKS if name != "logistic"]
    assert [(row["epoch"], row["attack"]) for row in canary_rows] == expected
    assert {(row["n_member"], row["n_nonmember"]) for row in canary_rows} == {("103", "97")}
    entire = {(row["epoch"], row["attack"]): row for row in rows() if row["slice"] == ENTIRE}
    for row in canary_rows:
        whole = entire[row["epoch"], row["attack"]]
        assert row["accuracy"] == whole["accuracy"]  # of the checkpoint, not of its canaries
        assert (whole["n_member"], whole["n_nonmember"]) == ("80", "60")
    last = next(row for row in canary_rows if (row["epoch"], row["attack"]) == ("6", "rmia"))
    assert float(last["auc"]) > 0.9


def test_all_other_rows_are_those_of_a_variant_without_canaries(folder):
    main(["cnn2"])
    with_canaries = [row for row in rows() if row["slice"] != CANARIES], rows("halves"), rows("exposed")
    for stage in ("score", "reference"):
        shutil.rmtree(f"data/{stage}/cnn2/canaries")
    np.save("data/prepare/member.npy", np.arange(80, dtype=np.int32))
    write_arrays("data/canaries/cnn2.npz", {"index": np.empty(0, np.int32)})
    main(["cnn2"])
    without = rows(), rows("halves"), rows("exposed")
    for table, other in zip(with_canaries, without, strict=True):
        for row in (*table, *other):
            row.pop("leaks", None)  # corrected for the number of rows
        assert table == other
    assert not Path("data/attack/cnn2/one_run.json").exists()


def test_one_run_is_audited_at_the_last_checkpoint_by_the_calibrated_score(folder):
    main(["cnn2"])
    audited = json.loads(Path("data/attack/cnn2/one_run.json").read_text())
    assert (audited["epoch"], audited["attack"]) == (6, "rmia")
    assert (audited["canaries"], audited["guesses"], audited["delta"]) == (200, 40, 1e-5)
    assert audited["epsilon_one_run"] == epsilon_low(200, 40, audited["correct"], 1e-5) > 0.5


def test_without_references_the_loss_is_the_score(folder):
    for subfolder in ("", "canaries"):
        path = Path("data/reference/cnn2", subfolder)
        (path / "phi_0004.npy").unlink()
        np.save(path / "trains.npy", np.zeros((0, 200 if subfolder else 140), bool))
    main(["cnn2"])
    assert json.loads(Path("data/attack/cnn2/one_run.json").read_text())["attack"] == "threshold"


def test_exposed_members_are_no_canaries(folder):
    main(["cnn2"])
    exposed = {int(row["index"]) for row in rows("exposed")}
    assert exposed == set(range(80))


def test_trained_attackers_are_not_made_on_canaries():
    assert attacks_on_canaries(audit_params(["threshold", "logistic"])) == ["threshold"]
    assert attacks_on_canaries(audit_params(["logistic"])) == ["threshold"]
