"""The stage as a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from privacy_report.datasets import prepared as outputs
from stages import prepare as prepare

REPOSITORY = Path(__file__).parents[2]
DIGITS = yaml.safe_load((REPOSITORY / "conf" / "dataset" / "digits.yaml").read_text())


def write_params(folder: Path, **changes: object) -> Path:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump({"dataset": {**DIGITS, **changes}}))
    return path


def run(folder: Path, out: str, **changes: object) -> Path:
    prepare.main(["--params", str(write_params(folder, **changes)), "--out", str(folder / out)])
    return folder / out


def test_digits_as_the_contract_says(tmp_path: Path) -> None:
    out = run(tmp_path, "out")
    images, labels = np.load(out / "images.npy"), np.load(out / "labels.npy")
    member, nonmember = np.load(out / "member.npy"), np.load(out / "nonmember.npy")
    assert (images.dtype, labels.dtype, member.dtype, nonmember.dtype) == (
        np.uint8,
        np.int32,
        np.int32,
        np.int32,
    )
    description = json.loads((out / "dataset.json").read_text())
    assert description.pop("digest") == outputs.digest(
        {"images": images, "labels": labels, "member": member, "nonmember": nonmember}
    )
    assert description == {
        "name": "digits",
        "n_classes": 10,
        "class_names": list("0123456789"),
        "shape": [32, 32, 1],
        "n_member": len(member),
        "n_nonmember": len(nonmember),
    }
    assert len(member) + len(nonmember) == 1797
    assert abs(len(member) - len(nonmember)) <= 10


def test_a_rerun_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in run(tmp_path, "out").iterdir()}
    again = {path.name: path.read_bytes() for path in run(tmp_path, "out").iterdir()}
    assert first == again
    other = {path.name: path.read_bytes() for path in run(tmp_path, "other", seed=1).iterdir()}
    changed = {name for name in first if first[name] != other[name]}
    assert changed == {"member.npy", "nonmember.npy", "dataset.json"}


def test_an_interrupted_write_leaves_no_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(tmp_path, "out")

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs.np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "out", seed=1)
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
    command = [sys.executable, "-m", "stages.prepare", "--params", str(write_params(tmp_path, **changes))]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_explains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        prepare.main(["--help"])
    text = capsys.readouterr().out
    for word in ("cifar10", "digits", "TFDS_DATA_DIR", "npm", "data/prepare", ".store/downloads"):
        assert word in text
