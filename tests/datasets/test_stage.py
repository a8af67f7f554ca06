"""The stage as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from sandbox import ROOT, environment

from privacy_report.datasets import preparation, prepared
from privacy_report.errors import UserError
from stages import prepare

DIGITS = yaml.safe_load((ROOT / "conf/dataset/digits.yaml").read_text())
Run = Callable[..., Path]


def test_digits_as_the_contract_says(run_stage: Run) -> None:
    out = run_stage(**DIGITS)
    images, labels = np.load(out / "images.npy"), np.load(out / "labels.npy")
    member, nonmember = np.load(out / "member.npy"), np.load(out / "nonmember.npy")
    assert (images.dtype, labels.dtype, member.dtype, nonmember.dtype) == (
        np.uint8,
        np.int32,
        np.int32,
        np.int32,
    )
    description = json.loads((out / "dataset.json").read_text())
    assert description.pop("digest") == preparation.digest(
        {"images": images, "labels": labels, "member": member, "nonmember": nonmember}
    )
    assert description == {
        "name": "digits",
        "n_classes": 10,
        "class_names": list("0123456789"),
        "dtype": "uint8",
        "duplicates": 0,
        "shape": [32, 32, 1],
        "n_member": len(member),
        "n_nonmember": len(nonmember),
    }
    assert len(member) + len(nonmember) == 1797
    assert abs(len(member) - len(nonmember)) <= 10


def test_the_title_is_the_name_that_is_written(run_stage: Run) -> None:
    description = json.loads((run_stage(**DIGITS, title="Ward 7") / "dataset.json").read_text())
    assert description["name"] == "Ward 7"


def test_a_rerun_writes_the_same_bytes_and_another_seed_others(run_stage: Run) -> None:
    first = {path.name: path.read_bytes() for path in run_stage(**DIGITS).iterdir()}
    again = {path.name: path.read_bytes() for path in run_stage(**DIGITS).iterdir()}
    assert first == again
    other = {path.name: path.read_bytes() for path in run_stage("other", **DIGITS | {"seed": 1}).iterdir()}
    changed = {name for name in first if first[name] != other[name]}
    assert changed == {"member.npy", "nonmember.npy", "dataset.json"}


def test_what_is_written_is_read_back(run_stage: Run) -> None:
    out = run_stage(**DIGITS)
    data = prepared.read(out)
    for name in prepared.ARRAYS:
        np.testing.assert_array_equal(getattr(data, name), np.load(out / f"{name}.npy"))
    assert data.about["n_classes"] == 10


def test_the_digest_holds_the_arrays_and_the_width_of_the_models(run_stage: Run) -> None:
    out = run_stage(**DIGITS)
    before, about = prepared.files_digest(out), json.loads((out / "dataset.json").read_text())
    (out / "dataset.json").write_text(
        json.dumps(about | {"class_names": ["other", *about["class_names"][1:]]})
    )
    assert prepared.files_digest(out) == before
    (out / "dataset.json").write_text(json.dumps(about | {"n_classes": 11}))
    wider = prepared.files_digest(out)
    labels = np.load(out / "labels.npy")
    labels[7] += 1
    np.save(out / "labels.npy", labels)
    assert len({before, wider, prepared.files_digest(out)}) == 3


@pytest.mark.parametrize("name", ["images.npy", "dataset.json"])
def test_a_missing_file_is_named(run_stage: Run, name: str) -> None:
    out = run_stage(**DIGITS)
    (out / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: no such file; `dvc repro prepare` makes it"):
        prepared.read(out)


def test_an_interrupted_write_leaves_no_description(run_stage: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run_stage(**DIGITS)

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_stage(**DIGITS | {"seed": 1})
    assert sorted(path.name for path in out.iterdir()) == [
        "images.npy",
        "labels.npy",
        "member.npy",
        "nonmember.npy",
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "Not a name"}, "error: dataset.name: got 'Not a name', allowed: cifar10, digits"),
        (
            {"member_split": "train", "member_fraction": None},
            "error: dataset.member_split: got 'train', allowed: all",
        ),
        ({"fraction": 0.5}, "error: dataset.fraction: unknown key"),
    ],
)
def test_errors_are_one_line_and_exit_2(tmp_path: Path, changes: dict[str, object], line: str) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"dataset": DIGITS | changes}))
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        prepare.main(["--help"])
    text = capsys.readouterr().out
    for word in ("cifar10", "digits", "TFDS_DATA_DIR", "npm", "data/prepare", ".store/downloads"):
        assert word in text
