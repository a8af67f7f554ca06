"""Every attack of the registry, alone, by all three ways to an attack; and what the gate takes it for."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target
from sklearn.ensemble import RandomForestClassifier

from privacy_report.attack import parity, registry
from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.commands import audit
from privacy_report.pipeline import contract
from privacy_report.pipeline.contract import ENTIRE, METRICS, kind_of
from privacy_report.pipeline.outputs import output_arrays
from stages import attack as stage

CASES = [(mode, name) for mode in registry.MODES for name in registry.known(mode, default_estimators())]
KINDS = {
    registry.OUTPUTS: contract.OUTPUTS,
    registry.FEATURES: contract.OUTPUTS,
    registry.EARLY: contract.EARLY,
    registry.REFERENCES: contract.REFERENCES,
}
WITHOUT = {
    contract.EARLY: "not attacked: there is no earlier checkpoint of this run",
    contract.REFERENCES: "not attacked: there are no reference models",
    contract.PLACEBO: "not attacked: there are no reference models",
}
EARLY_OF_6 = 2  # the first half of the checkpoints before it
MEASURED = [name for name in METRICS if name != contract.EPSILON_JOINT]  # this one depends on other rows


def found(mode, name):
    return registry.find(name, mode, default_estimators())


@pytest.mark.parametrize(("mode", "name"), CASES)
def test_the_gate_takes_an_attack_for_what_it_needs(mode, name):
    expected = KINDS[found(mode, name).needs]
    assert kind_of(name) == (contract.PLACEBO if name == registry.PLACEBO else expected)


def test_the_gate_knows_no_attack_that_is_not_there():
    assert set(contract.ATTACK_KINDS) <= set(registry.ATTACKS[registry.DEFAULT])
    assert contract.PLACEBO == registry.PLACEBO


@pytest.fixture(autouse=True)
def small_searches(monkeypatch):
    """The reference's trained attackers with small grids: which of many models wins is no matter here."""
    monkeypatch.setattr(parity, "LOGISTIC_GRID", {"C": [0.1, 1.0]})
    monkeypatch.setattr(parity, "MLP_GRID", {"hidden_layer_sizes": [(2,)]})
    monkeypatch.setattr(parity, "FOREST_GRID", {"max_depth": [5]})
    forest = partial(RandomForestClassifier, 3)
    monkeypatch.setattr(parity, "RandomForestClassifier", lambda trees, **more: forest(**more))


def by_stage(world, mode, name):
    """The entire-dataset row that stage attack writes of checkpoint 6, as strings."""
    write_target(replace(world, checkpoints={epoch: world.checkpoints[epoch] for epoch in (2, 6)}))
    write_references(Path("data/reference/cnn2"), world.trains, {4: world.phi(world.references)})
    section = {"mode": mode, "attacks": [name], "slices": ["entire"], "estimators": default_estimators()}
    Path("params.yaml").write_text(yaml.safe_dump({"attack": section}))
    stage.main(["cnn2"])
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["attack"], row["slice"]) for row in rows] == [
        (epoch, name, ENTIRE) for epoch in "26"
    ]
    return rows[-1]


def by_audit(world, mode, name):
    """The row that `privacy-report audit` writes of a file with everything that an attacker holds."""
    np.savez(
        "model.npz",
        **output_arrays(world.outputs(6)),
        early_logits=world.checkpoints[EARLY_OF_6][None],
        reference_logits=world.references,
        reference_is_member=world.trains,
    )
    audit.main(["model.npz", "--attacks", name, "--mode", mode, "--slices", "entire", "--out", "out"])
    with open("out/privacy.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert set(json.loads(Path("out/summary.json").read_text())) == {name, "input", "warnings"}
    return row


@pytest.mark.parametrize(("mode", "name"), CASES)
def test_every_attack_runs_alone_by_arrays_by_stage_and_by_audit(mode, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    world, params = planted(), audit_params([name], ["entire"], mode)
    early = world.phi(world.checkpoints[EARLY_OF_6][None])
    (row,) = attack_outputs(world.outputs(6), params, early_phi=early, references=world.as_references).rows
    assert row["attack"] == name
    assert row["auc"] is not None
    expected = {column: "" if row[column] is None else repr(float(row[column])) for column in MEASURED}
    for written in (by_stage(world, mode, name), by_audit(world, mode, name)):
        assert {column: written[column] for column in MEASURED} == expected
        assert written["note"] == row["note"]


@pytest.mark.parametrize("name", registry.known(registry.DEFAULT, default_estimators()))
def test_without_its_evidence_an_attack_says_what_is_missing(name):
    world = planted(k=0)
    result = attack_outputs(world.outputs(6), audit_params([name], ["entire", "class"]))
    assert len(result.rows) == 1 + 3
    for row in [*result.rows, *result.halves]:
        if kind_of(name) in WITHOUT:
            assert row["note"] == WITHOUT[kind_of(name)]
            assert all(row[column] is None for column in METRICS)
        elif row["slice"] == ENTIRE:
            assert row["auc"] is not None
    assert (name in result.curves) == (kind_of(name) not in WITHOUT)
