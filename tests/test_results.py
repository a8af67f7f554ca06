"""The committed results: those of the committed code and parameters, and the codelab's."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from sandbox import ROOT, Sandbox

from benchmarks import calibration, null_audits
from privacy_report.attack import registry
from privacy_report.audits.attacks import default_estimators
from privacy_report.audits.models import attack_model, models_at
from privacy_report.pipeline.contract import STRONGEST, STRONGEST_ON_OUTPUTS

# Learning curves of the codelab as tensorflow_privacy's reference notebook gives them: 2 runs of 50 epochs.
REFERENCE = Path(__file__).parent / "codelab_curves.csv"
CACHED = [f"plots{line}" for line in (ROOT / "plots/.gitignore").read_text().split()]
CALIBRATION = json.loads((ROOT / "benchmarks/calibration.json").read_text())
AUDITS = "audits"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


ON_OUTPUTS = [
    name
    for name in registry.known(registry.DEFAULT, default_estimators())
    if registry.find(name, registry.DEFAULT, default_estimators()).needs
    in (registry.OUTPUTS, registry.FEATURES)
]


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def late_mean(table: list[dict[str, str]], variant: str, column: str) -> float:
    """Mean over epochs 41 to 50."""
    values = [float(r[column]) for r in table if r["variant"] == variant and 41 <= int(r["epoch"]) <= 50]
    assert len(values) == 10
    return float(np.mean(values))


@pytest.mark.parametrize("variant", ["cnn2", "cnn3"])
@pytest.mark.parametrize(("ours", "theirs"), [("running_accuracy", "accuracy"), ("val_accuracy",) * 2])
def test_learning_curves_are_the_codelabs(variant, ours, theirs):
    ours = late_mean(rows(ROOT / "plots/training.csv"), variant, ours)
    theirs = late_mean(rows(REFERENCE), PARAMS["variants"][variant]["label"], theirs)
    assert abs(ours - theirs) <= 0.025


def test_the_codelabs_finding():
    """The model with two layers overfits more and leaks more than that with three."""
    advantage = {
        row["variant"]: float(row["advantage"])
        for row in rows(ROOT / "plots/curves.csv")
        if (row["epoch"], row["attack"]) == ("50", "threshold")
    }
    assert advantage["cnn2"] > advantage["cnn3"] > 0.05


def test_every_checkpoint_has_every_attack_and_the_strongest():
    table = rows(ROOT / "plots/curves.csv")
    attacks = set(PARAMS["attack"]["attacks"])
    assert {"threshold", "logistic", "trajectory", "rmia", "placebo"} <= attacks
    for name, variant in PARAMS["variants"].items():
        step, references = variant["epochs_per_report"], PARAMS["reference"]
        models = references["per_variant"].get(name, references["models"])
        # two references cannot attack each other
        made = attacks - ({"lira", "rmia"} if not models else set()) - ({"placebo"} if models < 4 else set())
        epochs = set(range(step, variant["epochs"] + 1, step))
        attacked = {(int(r["epoch"]), r["attack"]) for r in table if r["variant"] == name and r["auc"]}
        first = {(step, "trajectory")}  # has no checkpoint before it
        expected = {
            (epoch, attack) for epoch in epochs for attack in {*made, STRONGEST, STRONGEST_ON_OUTPUTS}
        }
        assert attacked == expected - first


def test_reference_models_find_what_outputs_alone_do_not():
    """The last checkpoint of the model with two layers: far more in the tail. The placebo finds nothing."""
    by_attack = {
        r["attack"]: r
        for r in rows(ROOT / "plots/curves.csv")
        if (r["variant"], r["epoch"]) == ("cnn2", "50")
    }
    assert float(by_attack["rmia"]["auc"]) >= 0.70
    assert float(by_attack["rmia"]["tpr_at_1pct_fpr"]) >= 0.05
    assert float(by_attack["trajectory"]["auc"]) >= 0.685
    assert float(by_attack["trajectory"]["tpr_at_1pct_fpr"]) >= 0.042
    assert float(by_attack["threshold"]["tpr_at_1pct_fpr"]) <= 0.015
    assert float(by_attack["placebo"]["auc_low"]) <= 0.5 <= float(by_attack["placebo"]["auc_high"])


def test_dvc_shows_the_metrics_in_120_columns():
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "metrics", "show"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_no_audited_lower_bound_exceeds_a_claimed_epsilon():
    claimed = {
        (r["variant"], r["epoch"]): float(r["epsilon"])
        for r in rows(ROOT / "plots/training.csv")
        if r["epsilon"]
    }
    assert claimed
    audited = [r for r in rows(ROOT / "plots/curves.csv") if (r["variant"], r["epoch"]) in claimed]
    assert audited
    for row in audited:
        if row["epsilon_fixed_split"]:
            assert float(row["epsilon_fixed_split"]) <= claimed[row["variant"], row["epoch"]]


def test_lock_agrees_with_the_committed_code_parameters_and_results():
    """`dvc status` may miss what git does not keep, but finds nothing else changed."""
    status = json.loads(Sandbox(ROOT).dvc("status", "--json").stdout)
    kept = lambda path: not path.startswith(("data/", "models/")) and path not in CACHED  # noqa: E731
    wrong = [
        (stage, path, state)
        for stage, changes in status.items()
        for change in changes
        for kind, paths in (change.items() if isinstance(change, dict) else [(change, {})])
        for path, state in (paths or {kind: "changed"}).items()
        if kept(path)
    ]
    assert wrong == []


def test_lock_has_the_stages_of_the_graph_and_no_other():
    names = {line.split()[0] for line in Sandbox(ROOT).dvc("stage", "list").stdout.splitlines()}
    assert set(yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]) == names


@pytest.mark.parametrize("data", ["gaussian", "permuted"])
@pytest.mark.parametrize("attack", ON_OUTPUTS)
def test_no_attack_cries_wolf(data, attack):
    """What `benchmarks/calibration.py` measured where nothing leaks."""
    row = CALIBRATION[f"null {data}, default, {attack}"]
    assert row["draws"] == 500
    assert row["leaks"] <= 0.07
    assert 0.93 <= row["auc_covered"] <= 0.97
    assert row["epsilon_above_0"] <= 0.07


@pytest.mark.parametrize("attack", [*calibration.THRESHOLD_ATTACKS, "logistic"])
def test_calibration_is_of_the_committed_code(attack):
    """The first draw of each row that needs no score file comes out as it did."""
    draws = {"null gaussian": calibration.gaussian} | {
        f"power d={d}": calibration.shifted(d) for d in calibration.SHIFTS
    }
    for table, draw in draws.items():
        if kept := CALIBRATION.get(f"{table}, {registry.DEFAULT}, {attack}"):
            again = calibration.first_of(draw, attack, registry.DEFAULT)
            assert again == pytest.approx(kept["first"], rel=1e-9)


def test_whole_audits_do_not_cry_wolf():
    """At most 5% and the chance of 1,000 audits."""
    row = CALIBRATION[AUDITS]
    nine, on_less = 9, len(null_audits.ATTACKS) - 9
    assert (row["audits"], row["tested"]) == (1000, nine * 11 + on_less)
    assert row["leak_detected"] <= 0.065


def test_the_null_audits_are_those_of_the_command(tmp_path):
    """The first of them as the command makes it, from a file: the same rows and p-value."""
    outputs = null_audits.null_outputs(0)
    names = ("member_logits", "member_labels", "nonmember_logits", "nonmember_labels")
    np.savez(tmp_path / "model.npz", **{name: getattr(outputs, name) for name in names})
    (model,) = models_at([tmp_path / "model.npz"])
    audited = attack_model(model, None, {"slices": ["entire", "class"]})
    cells = ("attack", "slice", "advantage_p", "leaks")
    shortcut = null_audits.audit(0)
    tested = [row for row in audited.rows if row["advantage_p"] is not None]
    assert [[row[cell] for cell in cells] for row in tested] == [[row[c] for c in cells] for row in shortcut]
    assert {row["leaks"] for row in audited.rows} == {"no"}
    kept = CALIBRATION[AUDITS]["smallest_p"][0]
    assert min(row["advantage_p"] for row in tested) == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.0, 2.0])
def test_intervals_cover_a_planted_leak(shift):
    """A trained attacker's interval is about the attacker that it learned, not about the best one."""
    for attack, covered in (("threshold", "auc_covered"), ("logistic", "own_auc_covered")):
        row = CALIBRATION[f"power d={shift}, default, {attack}"]
        assert row["draws"] == 500
        assert 0.93 <= row[covered] <= 0.97


def test_the_calibration_table_of_the_docs_is_what_was_measured():
    data = {"Gaussian logits": "gaussian", "membership permuted over real scores": "permuted"}
    checked = 0
    for line in (ROOT / "docs/statistics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        mode, _, kind = cells[0].rpartition(", ")
        if kind not in data:
            continue
        mode = "pooled folds" if "pooled" in mode else mode
        row = CALIBRATION[f"null {data[kind]}, {mode}, {cells[1]}"]
        shares = [row.get(key) for key in ("leaks", "auc_covered", "epsilon_above_0")]
        assert cells[2:] == ["" if share is None else f"{share:.1%}" for share in shares]
        checked += 1
    assert checked == sum(key.startswith("null ") for key in CALIBRATION)
