"""An audit of a folder of score files, the checkpoints of one run: curves by epoch, the gate, the page."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from audited import N, run_of

from privacy_report.audits.audit_file import read_audit_file
from privacy_report.audits.models import attack_model, models_at
from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.tables import read_rows, where

COINS = np.random.default_rng(1).random(N) < 0.5
POLICY = "max_advantage: 0.3\nmin_val_accuracy: null\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with the policy."""
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)
    return tmp_path


def test_a_folder_gives_curves_the_gates_verdict_and_the_page(here, capsys):
    run_of(here / "mine")
    attacks = ["--slices", "entire", "--attacks", "threshold,trajectory"]
    main(["mine", *attacks, "--out", "out", "--gate", "policy.yaml", "--html", "page.html"])
    rows = read_rows("out/privacy.csv")
    curve = list(where(rows, attack="threshold"))
    assert [row["epoch"] for row in curve] == [2, 4, 6]
    aucs = [row["auc"] for row in curve]
    assert aucs[0] == pytest.approx(0.5, abs=0.05)
    assert aucs[0] + 0.1 < aucs[1] < aucs[2]
    first, _, last = where(rows, attack="trajectory")
    assert np.isnan(first["auc"])  # nothing is before it
    assert last["auc"] > aucs[2]  # its own early checkpoints help
    said = capsys.readouterr().out
    assert "mine: passes at epoch 2; " in said
    assert "1 of 3 checkpoints passes; tried: outputs; not tried: " in said
    assert "nan" not in said
    text = Path("page.html").read_text()
    assert "Passes at epoch 2; no leak detected." in text
    assert "<svg" in text
    assert {path.name for path in here.iterdir()} == {"mine", "out", "policy.yaml", "page.html"}


def references(n=N, models=8):
    """Reference models that know nothing of any example."""
    rng = np.random.default_rng(2)
    trains = rng.permuted(np.tile(np.arange(models)[:, None] % 2 == 0, 2 * n), axis=0)
    return {"reference_phi": rng.normal(size=(models, 2 * n)), "reference_is_member": trains}


def test_each_file_has_its_own_number_of_reference_models(here):
    for epoch, models in ((2, 8), (4, 4)):
        run_of(here / "run", (epoch,), **references(models=models))
    (model,) = models_at([Path("run")])
    assert attack_model(model, ["rmia"], {"slices": ["entire"]}).references == {2: 8, 4: 4}


@pytest.mark.parametrize(
    ("with_references", "said"),
    [((2, 4, 6), "passes at epoch 2"), ((4, 6), "fails"), ((), "fails")],
)
def test_reference_models_count_for_the_file_that_has_them(here, capsys, with_references, said):
    """Of these files the first alone keeps the limit of the advantage."""
    for epoch in (2, 4, 6):
        run_of(here / "mine", (2, 4, 6), **(references() if epoch in with_references else {}))
        os.makedirs("run", exist_ok=True)
        os.replace(f"mine/epoch_{epoch:04}.npz", f"run/epoch_{epoch:04}.npz")
    Path("policy.yaml").write_text(POLICY + "min_reference_models: 8\n")
    options = ["--slices", "entire", "--attacks", "threshold,rmia", "--gate", "policy.yaml"]
    if said == "fails":
        with pytest.raises(SystemExit) as stopped:
            main(["run", *options])
        assert stopped.value.code == 1
    else:
        main(["run", *options])
    assert f"run: {said}" in capsys.readouterr().out


def test_a_one_run_bound_above_0_is_a_detected_leak(here, capsys):
    canaries = {"member_is_canary": np.arange(N) < 100, "nonmember_is_canary": np.arange(N) < 100}
    run_of(here / "mine", (2,), **canaries)
    main(["mine", "--slices", "entire", "--attacks", "threshold", "--gate", "policy.yaml"])
    said = capsys.readouterr().out
    assert json.loads(Path("audit/one_run.json").read_text())["epsilon_one_run"] == 0
    assert "no leak detected at epoch 2 (" in said
    path = here / "mine/epoch_0002.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["member_logits"][np.arange(100), arrays["member_labels"][:100]] += 9  # remembers these alone
    write_arrays(path, arrays)
    main(["mine", "--slices", "entire", "--attacks", "threshold", "--gate", "policy.yaml"])
    assert json.loads(Path("audit/one_run.json").read_text())["epsilon_one_run"] > 1
    assert re.search(r"leak detected at epoch 2 by (.* and )?the one-run audit; ", capsys.readouterr().out)


def test_a_folder_is_called_by_its_name_from_within(here, monkeypatch):
    monkeypatch.chdir(run_of(here / "mine"))
    (model,) = models_at([Path()])
    assert model.name == "mine"


def test_a_single_file_of_a_folder_keeps_the_epoch_in_its_name(here):
    (model,) = models_at([run_of(here / "mine", (4,))])
    assert list(model.files) == [4]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: [path.unlink() for path in folder.iterdir()], "a folder without score files"),
        (lambda folder: run_of(folder, epochs=(8,), n=N - 1), r"epoch_0008\.npz: other labels than in"),
        (lambda folder: (folder / "epoch_0004.npz").write_text("x"), r"epoch_0004\.npz: damaged"),
        (
            lambda folder: np.savez(folder / "a_9.npz", canary_scores=np.ones(N), canary_is_member=COINS),
            r"a_9\.npz: has canaries' scores alone, allowed: as the only file of a model",
        ),
    ],
)
def test_a_folder_that_is_no_run_is_one_line(spoil, words, tmp_path):
    spoil(run_of(tmp_path / "mine"))
    with pytest.raises(UserError, match=words) as error:
        main([str(tmp_path / "mine"), "--out", str(tmp_path / "out"), "--attacks", "threshold"])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_canaries_of_a_run_are_those_of_its_last_checkpoint(here):
    masks = {"member_is_canary": COINS, "nonmember_is_canary": ~COINS}
    one_runs = []
    for epochs in ((2,), (2, 4, 6)):
        run_of(here / "mine", epochs, **masks)
        main(["mine", "--attacks", "threshold", "--out", "out"])
        one_runs.append(json.loads(Path("out/one_run.json").read_text()))
    early, late = one_runs
    assert early["canaries"] == late["canaries"] == N
    assert late["correct"] > early["correct"] + 10


def test_a_policy_needs_more_than_canaries_scores(here):
    np.savez("coins.npz", canary_scores=COINS + np.zeros(N), canary_is_member=COINS)
    with pytest.raises(UserError, match="coins: has canaries' scores alone, a policy is about"):
        main(["coins.npz", "--gate", "policy.yaml"])


def test_what_needs_no_conversion_stays_mapped(here):
    run_of(here / "mine", (2,))
    outputs = read_audit_file("mine/epoch_0002.npz").outputs
    assert is_mapped(outputs.member_logits)
    os.mkdir("arrays")
    for side in ("member", "nonmember"):
        np.save(f"arrays/{side}_probs.npy", np.full((N, 4), 0.25, np.float32))
        np.save(f"arrays/{side}_labels.npy", np.zeros(N, int))
    assert is_mapped(read_audit_file("arrays").outputs.nonmember_logits.probs)


def is_mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None
