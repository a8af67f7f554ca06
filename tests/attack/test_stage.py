"""The stage as DVC runs it: params and score files in, tables out."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from privacy_report.audits.attacks import default_estimators
from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.contract import (
    EXPOSED_COLUMNS,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
)
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import output_arrays
from stages.attack import main

COLUMNS = {
    "privacy.csv": PRIVACY_COLUMNS,
    "halves.csv": HALVES_COLUMNS,
    "roc.csv": ROC_COLUMNS,
    "histograms.csv": HISTOGRAM_COLUMNS,
    "exposed.csv": EXPOSED_COLUMNS,
}


@pytest.fixture
def folder(tmp_path, monkeypatch, outputs):
    """A repository with two checkpoints of variant cnn2, and the current directory in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "data/prepare").mkdir(parents=True)
    np.save("data/prepare/member.npy", np.arange(400, dtype=np.int32)[::-1])
    write_arrays("data/canaries/cnn2.npz", {"index": np.empty(0, np.int32)})
    (tmp_path / "data/reference/cnn2").mkdir(parents=True)
    np.save("data/reference/cnn2/trains.npy", np.zeros((0, 600), bool))
    for epoch in (2, 10):
        write_scores(epoch, outputs(shift=epoch / 5, seed=epoch))
    write_params()
    return tmp_path


def write_scores(epoch, outputs):
    write_arrays(f"data/score/cnn2/epoch_{epoch:04d}.npz", output_arrays(outputs))


def write_params(**changes):
    section = {"attacks": ["threshold", "logistic"], "slices": ["entire", "class"]}
    section |= {"estimators": default_estimators()} | changes
    Path("params.yaml").write_text(yaml.safe_dump({"attack": section}))


def written(folder):
    files = [folder / "data/attack/cnn2" / name for name in [*COLUMNS, "references.json"]]
    return {file.name: file.read_bytes() for file in files}


def test_tables_have_the_columns_of_the_contract(folder):
    main(["cnn2"])
    for name, columns in COLUMNS.items():
        with open(folder / "data/attack/cnn2" / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == columns
        assert {row["variant"] for row in rows} == {"cnn2"}
        if "epoch" in columns:
            assert list(dict.fromkeys(row["epoch"] for row in rows)) == ["2", "10"]


def test_reruns_are_byte_identical_with_and_without_the_store(folder):
    main(["cnn2"])
    first = written(folder)
    main(["cnn2"])
    assert written(folder) == first
    for entry in (folder / ".store").rglob("*.npz"):
        entry.unlink()
    main(["cnn2"])
    assert written(folder) == first


def test_only_new_checkpoints_are_attacked(folder, outputs, computed):
    main(["cnn2"])
    assert computed == ["threshold", "logistic", ""] * 2
    write_scores(12, outputs(shift=3, seed=12))
    main(["cnn2"])
    assert computed == ["threshold", "logistic", ""] * 3


def test_an_attack_that_is_added_computes_itself_alone(folder, computed):
    main(["cnn2"])
    computed.clear()
    write_params(attacks=["threshold", "threshold_entropy", "logistic"])
    main(["cnn2"])
    assert computed == ["threshold_entropy"] * 2
    write_params(attacks=["logistic"], estimators=default_estimators() | {"mine": {"path": "a.B"}})
    main(["cnn2"])
    assert computed == ["threshold_entropy"] * 2


def test_checkpoints_with_the_same_outputs_are_attacked_once(folder, outputs, computed):
    write_scores(10, outputs(shift=2 / 5, seed=2))
    main(["cnn2"])
    assert computed == ["threshold", "logistic", ""]


def test_the_time_and_the_processors_of_all_computations_are_noted(folder):
    main(["cnn2"])
    note = Path(".store/notes/attack@cnn2.json")
    first = json.loads(note.read_text())
    stored = [store.get("attack", path.stem) for path in (folder / ".store/attack").glob("*.npz")]
    assert first["seconds"] == pytest.approx(sum(entry.seconds for entry in stored))
    assert first["processors"] == sorted({entry.processor for entry in stored})
    assert first["seconds"] > 0
    main(["cnn2"])
    again = json.loads(note.read_text())
    assert again["seconds"] == pytest.approx(first["seconds"])  # of the work, not of its recall


def test_groups_are_read_from_their_declared_folder_alone(folder):
    (folder / "conf/groups").mkdir(parents=True)
    groups = {"some": {"member": list(range(30)), "nonmember": list(range(30))}}
    (folder / "conf/groups/mine.json").write_text(json.dumps(groups))
    slices = ["entire", "group"]
    write_params(attacks=["threshold"], slices=slices, groups="conf/groups/mine.json")
    main(["cnn2"])
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        assert {row["slice"] for row in csv.DictReader(file)} == {"entire dataset", "group=some"}
    (folder / "mine.json").write_text(json.dumps(groups))
    write_params(slices=slices, groups="mine.json")
    with pytest.raises(UserError, match=r"attack\.groups: got 'mine\.json', allowed: null or"):
        main(["cnn2"])


def test_an_edited_group_file_attacks_anew(folder, computed):
    (folder / "conf/groups").mkdir(parents=True)
    path = folder / "conf/groups/mine.json"
    write_params(attacks=["threshold"], slices=["entire", "group"], groups="conf/groups/mine.json")
    for last in (30, 31):
        path.write_text(json.dumps({"some": {"member": list(range(last)), "nonmember": list(range(30))}}))
        main(["cnn2"])
    assert computed == ["threshold", "", "threshold", "", "threshold", "threshold"]


def test_damaged_scores_are_named(folder):
    path = folder / "data/score/cnn2/epoch_0010.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"epoch_0010\.npz"):
        main(["cnn2"])


def test_nan_scores_are_named(folder, outputs):
    values = outputs()
    values.member_logits[3, 0] = np.nan
    path = folder / "data/score/cnn2/epoch_0010.npz"
    write_arrays(path, output_arrays(values))
    with pytest.raises(UserError, match=r"epoch_0010\.npz: member_logits hold NaN"):
        main(["cnn2"])


def test_other_members_than_prepared_are_refused(folder):
    np.save("data/prepare/member.npy", np.arange(399))
    with pytest.raises(UserError, match="399"):
        main(["cnn2"])


def test_unknown_variant(folder):
    with pytest.raises(UserError, match="data/score/cnn9: no score files"):
        main(["cnn9"])
