"""The stage with early checkpoints and reference models: what it says, what it refuses, what it keeps."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target

from privacy_report.attack.example_exposure import exposure, found_at_fpr
from privacy_report.attack.exposure import lt_iqr
from privacy_report.attack.record_auc import AUCS, record_auc
from privacy_report.attack.reference_checks import recipe
from privacy_report.attack.reference_scores import rmia
from privacy_report.audits.models import attack_model, models_at
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE
from stages.attack import main

REFERENCE = Path("data/reference/cnn2")
ATTACKS = ["threshold", "trajectory", "rmia", "placebo"]
CANNOT = "references whose memberships balance only all together cannot attack each other"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty repository that attacks with ATTACKS, and the current directory in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    Path("params.yaml").write_text(yaml.safe_dump({"attack": {"attacks": ATTACKS, "slices": ["entire"]}}))
    return tmp_path


def write(world, phis=None):
    """Three checkpoints and the references of a world; their phi by epoch, all at epoch 4 unless said."""
    write_target(world)
    if phis is None:
        phis = {4: world.phi(world.references)} if len(world.trains) else {}
    write_references(REFERENCE, world.trains, phis)


def noisy(world, noise, seed):
    """The references' phi, blurred."""
    phi = world.phi(world.references)
    return (phi + noise * np.random.default_rng(seed).standard_normal(phi.shape)).astype(np.float32)


def table(name):
    with open(f"data/attack/cnn2/{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def notes(attack):
    """Of the checkpoints in order: why the attack was not made, or "" where it was."""
    rows = [row for row in table("privacy") if row["attack"] == attack and row["slice"] == ENTIRE]
    assert [row["epoch"] for row in rows] == ["2", "4", "6"]
    return [row["note"] if row["auc"] == "" else "" for row in rows]


def facts():
    return json.loads(Path("data/attack/cnn2/references.json").read_text())


def by_lt_iqr(world):
    """LT-IQR of the members, highest first."""
    of_label = [logits.astype(float) for logits in world.checkpoints.values()]
    rows = np.arange(world.n_member)
    losses = [np.log(np.exp(x[rows]).sum(axis=1)) - x[rows, world.labels[rows]] for x in of_label]
    return sorted(lt_iqr(np.array(losses)), reverse=True)


def test_without_references_the_target_s_own_past_is_all(folder):
    world = planted(k=0)
    write(world)
    main(["cnn2"])
    assert facts() == {"models": 0}
    assert notes("threshold") == [""] * 3
    assert notes("trajectory") == ["not attacked: there is no earlier checkpoint of this run", "", ""]
    for attack in ("rmia", "placebo"):
        assert notes(attack) == ["not attacked: there are no reference models"] * 3
    rows = table("exposed")
    assert {(row["ranking"], row["found_at_fpr"]) for row in rows} == {("lt_iqr", "")}
    assert table("record_auc") == []
    np.testing.assert_allclose([float(row["score"]) for row in rows], by_lt_iqr(world), rtol=1e-6)


def test_two_references_attack_but_cannot_be_checked(folder):
    world = planted(k=2)
    write(world, {4: noisy(world, 0.1, 4), 10: noisy(world, 0.1, 10)})
    main(["cnn2"])
    reference_facts = facts()
    assert reference_facts["models"] == 2
    assert reference_facts["chosen_epochs"] == {"2": 4, "4": 4, "6": 4}  # the nearest: nobody can choose
    assert reference_facts["recipe"] == {}
    assert set(reference_facts["lt_iqr"]) == {"top", "found_of_top", "found_of_all"}
    assert notes("rmia") == [""] * 3
    assert len(set(notes("placebo"))) == 1
    assert notes("placebo")[0].startswith(f"not attacked: 2 {CANNOT}, allowed: two or more pairs")
    rows = table("exposed")
    assert {row["ranking"] for row in rows} == {"lt_iqr"}  # one IN and one OUT have no spread
    assert table("record_auc") == []
    assert all(0 <= float(row["found_at_fpr"]) <= 1 for row in rows)


def test_four_references_say_how_exposed_members_and_the_recipe_are(folder):
    world = planted(k=4)
    write(world)
    main(["cnn2"])
    assert notes("trajectory") == ["not attacked: there is no earlier checkpoint of this run", "", ""]
    for attack in ("threshold", "rmia", "placebo"):
        assert notes(attack) == [""] * 3
    reference_facts, references = facts(), world.as_references
    assert (reference_facts["models"], reference_facts["chosen_epochs"]) == (4, {"2": 4, "4": 4, "6": 4})
    aucs = recipe(rmia, references).auc
    assert set(reference_facts["recipe"]) == {"4"}
    assert reference_facts["recipe"]["4"]["auc"]["mean"] == pytest.approx(aucs.mean())
    assert reference_facts["recipe"]["4"]["auc"]["spread"] == pytest.approx(aucs.std(ddof=1))
    rows, m = table("exposed"), world.n_member
    scores = exposure(references)[:m]
    order = np.argsort(-scores)
    assert [int(row["index"]) for row in rows] == order.tolist()
    assert {row["ranking"] for row in rows} == {"exposure"}
    np.testing.assert_allclose([float(row["score"]) for row in rows], scores[order])
    fpr = found_at_fpr(rmia(world.phi(world.checkpoints[6][None])[0], references), np.arange(120) < m)[:m]
    np.testing.assert_allclose([float(row["found_at_fpr"]) for row in rows], fpr[order])
    shares = [np.mean(record_auc(references)[:m] >= auc) for auc in AUCS]
    assert [float(row["share"]) for row in table("record_auc")] == pytest.approx(shares, abs=1e-12)
    assert {(row["slice"], row["epoch"]) for row in table("record_auc")} == {(ENTIRE, "4")}
    assert reference_facts["lt_iqr"]["top"] == m  # of a hundred
    assert (
        reference_facts["lt_iqr"]["found_of_all"]
        == reference_facts["lt_iqr"]["found_of_top"]
        == np.mean(fpr <= 0.01)
    )
    assert -1 <= reference_facts["lt_iqr"]["rank_correlation_with_exposure"] <= 1


def test_one_set_of_folds_attacks_but_cannot_be_checked(folder):
    """Six references that leave out a sixth each are one group, however many they are."""
    write(planted(k=6, fraction=5 / 6))
    main(["cnn2"])
    assert facts()["models"] == 6
    assert facts()["recipe"] == {}
    assert notes("rmia") == [""] * 3
    assert all(note.startswith(f"not attacked: 6 {CANNOT}") for note in notes("placebo"))


def refused(text):
    with pytest.raises(UserError, match=text) as error:
        main(["cnn2"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_reference_is_one_line(folder, k, value):
    world = planted(k=k)
    phi = world.phi(world.references)
    phi[1, 7] = value
    write(world, {4: phi})
    refused(rf"reference 1: got {value} for example 7, allowed: finite numbers \(it diverged\?\)$")


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("epoch", [2, 4, 6])
def test_a_target_that_is_a_reference_is_one_line(folder, k, epoch):
    world = planted(k=k)
    phi = world.phi(world.references)
    phi[1] = world.phi(world.checkpoints[epoch][None])[0]
    write(world, {4: phi})
    refused("^target and reference 1 have the same outputs, allowed: different models$")


def test_references_of_other_examples_are_one_line(folder):
    world = planted()
    phi = world.phi(world.references)
    write(replace(world, trains=world.trains[:, 1:]), {4: phi})
    refused(r"references: got phi \(4, 120\) and is_member \(4, 119\), allowed: both \(k, n\)")
    write(replace(world, trains=world.trains[:, 1:]), {4: phi[:, 1:]})
    refused(r"^target_phi: got shape \(120,\), allowed: \(119,\), as each reference has$")


def test_without_the_stage_before_it_names_the_command(folder):
    write_target(planted(k=0))
    refused("data/reference/cnn2/trains.npy: no such file; `dvc repro reference@cnn2` makes it")


ALL = [*ATTACKS, ""]


def test_references_that_find_more_are_attacked_with_alone(folder, computed):
    """Another epoch computes again what compares with references, and that only if it is chosen."""
    world = planted()
    write(world, {4: noisy(world, 1.0, 4)})
    main(["cnn2"])
    assert computed == ALL * 3
    computed.clear()
    np.save(REFERENCE / "phi_0002.npy", noisy(world, 8.0, 2))
    main(["cnn2"])
    assert facts()["chosen_epochs"] == {"2": 4, "4": 4, "6": 4}
    assert computed == []
    np.save(REFERENCE / "phi_0006.npy", noisy(world, 0.0, 6))
    main(["cnn2"])
    assert facts()["chosen_epochs"] == {"2": 6, "4": 6, "6": 6}
    assert computed == ["rmia", "placebo"] * 3


def test_more_references_compute_again_what_compares_with_them(folder, computed):
    world = planted(k=6)
    phi = world.phi(world.references)
    write(replace(world, trains=world.trains[:4]), {4: phi[:4]})
    main(["cnn2"])
    assert computed == ALL * 3
    computed.clear()
    write(world, {4: phi})
    main(["cnn2"])
    assert computed == ["rmia", "placebo"] * 3
    assert facts()["models"] == 6


def test_other_memberships_compute_again_what_compares_with_references(folder, computed):
    world = planted()
    write(world)
    main(["cnn2"])
    before = facts()
    computed.clear()
    np.save(REFERENCE / "trains.npy", world.trains[[1, 0, 3, 2]])
    main(["cnn2"])
    assert computed == ["rmia", "placebo"] * 3
    assert facts()["recipe"]["4"]["auc"]["mean"] == pytest.approx(1 - before["recipe"]["4"]["auc"]["mean"])


def test_an_early_checkpoint_computes_again_the_later_ones_that_look_back_at_it(folder, computed):
    """Epoch 2 is the early checkpoint of 4 and of 6; epoch 4 is none of 6."""
    world = planted()
    write(world)
    main(["cnn2"])
    for epoch, expected in ((2, [*ALL, "trajectory", "trajectory"]), (4, ALL)):
        computed.clear()
        moved = world.checkpoints[epoch] + np.float32(0.25) * (np.arange(3) == world.labels[:, None])
        world = replace(world, checkpoints=world.checkpoints | {epoch: moved.astype(np.float32)})
        write_target(world)
        main(["cnn2"])
        assert computed == expected


def test_a_checkpoint_that_is_added_leaves_all_numbers_alone(folder, computed):
    world = planted()
    write(world)
    main(["cnn2"])
    before = {(row["epoch"], row["attack"]): row["auc"] for row in table("privacy")}
    computed.clear()
    later = world.checkpoints[6] + np.float32(0.5) * (np.arange(3) == world.labels[:, None])
    write_target(replace(world, checkpoints={8: later.astype(np.float32)}))
    main(["cnn2"])
    assert computed == ALL
    after = {(row["epoch"], row["attack"]): row["auc"] for row in table("privacy")}
    assert {key: after[key] for key in before} == before


def many_checkpoints():
    """A world of eight checkpoints, each a blur of the last."""
    world, rng = planted(k=4), np.random.default_rng(1)
    last = world.checkpoints[6]
    blurred = {
        epoch: (last + rng.standard_normal(last.shape)).astype(np.float32) for epoch in range(2, 17, 2)
    }
    return replace(world, checkpoints=blurred)


def trajectories():
    """Epoch -> the row of the attack with early checkpoints."""
    return {int(row["epoch"]): row for row in table("privacy") if row["attack"] == "trajectory"}


@pytest.mark.parametrize("later", [6, 10, 16])
def test_no_checkpoint_is_attacked_with_what_came_after_it(folder, later):
    world = many_checkpoints()
    write(world)
    main(["cnn2"])
    before = trajectories()
    other = {**world.checkpoints, later: world.checkpoints[later][:, ::-1].copy()}
    write(replace(world, checkpoints=other))
    main(["cnn2"])
    after = trajectories()
    for epoch in range(2, later, 2):
        assert after[epoch]["auc"] == before[epoch]["auc"]
    assert after[later]["auc"] != before[later]["auc"]


def test_no_file_of_a_folder_is_audited_with_what_came_after_it(folder):
    def found(world):
        write_target(world)
        (model,) = models_at([Path("data/score/cnn2")])
        rows = attack_model(model, ["trajectory"], {"slices": ["entire"]}).rows
        return {row["epoch"]: row["auc"] for row in rows}

    world = many_checkpoints()
    before = found(world)
    after = found(replace(world, checkpoints={**world.checkpoints, 6: world.checkpoints[6][:, ::-1].copy()}))
    assert (after[2], after[4]) == (before[2], before[4])
    assert after[6] != before[6]


def test_other_references_rank_the_exposed_anew(folder):
    """What is recalled is what a run without a store computes."""
    world = planted(k=8)
    write(world)
    main(["cnn2"])
    first = table("exposed")
    write(world, {4: noisy(world, 3.0, 1)})
    main(["cnn2"])
    second = table("exposed")
    shutil.rmtree(".store")
    main(["cnn2"])
    assert second == table("exposed") != first
