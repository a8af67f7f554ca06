"""The stage as DVC runs it: params and score files in, tables out."""

import csv
import json
import time

import numpy as np
import pytest
import yaml

from privacy_report.attack.tables import (
    EXPOSED_COLUMNS,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
)
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_outputs
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
    for epoch in (2, 10):
        write_outputs(f"data/score/cnn2/epoch_{epoch:04d}.npz", outputs(shift=epoch / 5, seed=epoch))
    params = {"attack": {"attacks": ["threshold", "logistic"], "slices": ["entire", "class"]}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    deps = ["data/score/${item.variant}", "data/prepare/member.npy"]
    stage = {"cmd": "x", "deps": deps, "params": ["attack"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"attack": stage}}))
    return tmp_path


def written(folder):
    files = [folder / "data/attack/cnn2" / name for name in COLUMNS]
    return {file.name: file.read_bytes() for file in [*files, folder / "metrics/attack/cnn2.json"]}


def test_tables_have_the_columns_of_the_contract(folder):
    main(["cnn2"])
    for name, columns in COLUMNS.items():
        with open(folder / "data/attack/cnn2" / name, newline="") as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == columns
        assert {row["variant"] for row in rows} == {"cnn2"}
        if "epoch" in columns:
            assert list(dict.fromkeys(row["epoch"] for row in rows)) == ["2", "10"]
    metrics = json.loads((folder / "metrics/attack/cnn2.json").read_text())
    assert set(metrics) == {"threshold", "logistic"}
    assert {"auc", "auc_low", "auc_high", "advantage", "advantage_low", "advantage_high"} <= set(
        metrics["logistic"]
    )


def test_reruns_are_byte_identical_with_and_without_the_store(folder):
    main(["cnn2"])
    first = written(folder)
    main(["cnn2"])
    assert written(folder) == first
    for entry in (folder / ".store").rglob("*.npz"):
        entry.unlink()
    main(["cnn2"])
    assert written(folder) == first


def test_only_new_checkpoints_are_attacked(folder, outputs, monkeypatch):
    from stages.attack import __main__ as stage

    attacked = []
    attack = stage.attack_checkpoint
    monkeypatch.setattr(
        stage, "attack_checkpoint", lambda *args: attacked.append(args[0].source) or attack(*args)
    )
    main(["cnn2"])
    write_outputs("data/score/cnn2/epoch_0012.npz", outputs(shift=3, seed=12))
    main(["cnn2"])
    assert [source[-14:] for source in attacked] == ["epoch_0002.npz", "epoch_0010.npz", "epoch_0012.npz"]


def test_the_time_of_all_checkpoints_is_noted(folder, monkeypatch):
    from stages.attack import __main__ as stage

    attack, spent = stage.attack_checkpoint, []

    def timed(*args):
        started = time.monotonic()
        result = attack(*args)
        spent.append(time.monotonic() - started)
        return result

    monkeypatch.setattr(stage, "attack_checkpoint", timed)
    main(["cnn2"])
    noted = json.loads((folder / ".store/timings/attack@cnn2.json").read_text())["seconds"]
    assert len(spent) == 2
    assert noted >= sum(spent)


def test_damaged_scores_are_named(folder):
    path = folder / "data/score/cnn2/epoch_0010.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"epoch_0010\.npz"):
        main(["cnn2"])


def test_nan_scores_are_named(folder, outputs):
    values = outputs()
    values.member_logits[3, 0] = np.nan
    path = folder / "data/score/cnn2/epoch_0010.npz"
    np.savez(path, **{k: v for k, v in vars(values).items() if k != "source"})
    with pytest.raises(UserError, match=r"epoch_0010\.npz: member_logits hold NaN"):
        main(["cnn2"])


def test_other_members_than_prepared_are_refused(folder):
    np.save("data/prepare/member.npy", np.arange(399))
    with pytest.raises(UserError, match="399"):
        main(["cnn2"])


def test_unknown_variant(folder):
    with pytest.raises(UserError, match="data/score/cnn9: no score files"):
        main(["cnn9"])
