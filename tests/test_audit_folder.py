"""An audit of a folder of score files: curves by epoch, the gate, the page, and nothing else left behind."""

import numpy as np
import pytest

from privacy_report.commands.audit import main
from privacy_report.errors import UserError
from privacy_report.gate.check import read_verdict
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.tables import read_rows, where

N = 700


def run_of(folder, epochs=(2, 4, 6), n=N):
    """A run that leaks more and more."""
    rng = np.random.default_rng(0)
    labels, base = rng.integers(0, 3, 2 * n), rng.normal(size=(2 * n, 3)).astype(np.float32)
    member = np.arange(2 * n) < n
    for i, epoch in enumerate(epochs):
        logits = base + 0.3 * rng.normal(size=base.shape).astype(np.float32)
        logits[np.arange(2 * n), labels] += 1 + i * member
        arrays = {"member_logits": logits[:n], "member_labels": labels[:n]}
        arrays |= {"nonmember_logits": logits[n:], "nonmember_labels": labels[n:]}
        write_arrays(folder / f"epoch_{epoch:04}.npz", arrays)
    return folder


def test_a_folder_gives_curves_the_gates_verdict_and_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_of(tmp_path / "mine")
    (tmp_path / "limits.yaml").write_text("max_advantage: 0.3\n")
    main(["mine", "--out", "out", "--slices", "entire", "--gate", "limits.yaml"])
    curve = list(where(read_rows("out/plots/curves.csv"), variant="mine", attack="threshold"))
    assert [row["epoch"] for row in curve] == [2, 4, 6]
    aucs = [row["auc"] for row in curve]
    assert aucs[0] == pytest.approx(0.5, abs=0.05)
    assert aucs[0] + 0.1 < aucs[1] < aucs[2]
    late = list(where(read_rows("out/plots/curves.csv"), attack="trajectory", epoch=6.0))
    assert late[0]["auc"] > aucs[2]  # its own early checkpoints help
    assert read_verdict("mine", tmp_path / "out")["recommended_epoch"] == 2
    said = capsys.readouterr().out
    assert "mine: pass, epoch 2 (1 of 3 pass)" in said
    assert "nan" not in said
    page = (tmp_path / "out/plots/report.html").read_text()
    assert "mine" in page
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "out", "limits.yaml"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda folder: [path.unlink() for path in folder.iterdir()],
            "no score files, allowed: epoch_0002",
        ),
        (lambda folder: run_of(folder, epochs=(8,), n=N - 1), r"epoch_0008\.npz: other member_labels"),
        (lambda folder: (folder / "epoch_0004.npz").write_text("x"), r"epoch_0004\.npz: damaged"),
    ],
)
def test_a_folder_that_is_no_run_is_one_line(spoil, words, tmp_path):
    spoil(run_of(tmp_path / "mine"))
    with pytest.raises(UserError, match=words) as error:
        main([str(tmp_path / "mine"), "--out", str(tmp_path / "out"), "--attacks", "threshold"])
    assert "\n" not in str(error.value)


def test_limits_are_for_folders_and_checked(tmp_path):
    run_of(tmp_path / "mine", epochs=(2,))
    (tmp_path / "limits.yaml").write_text("max_advantage: 7\n")
    file, limits = str(tmp_path / "mine/epoch_0002.npz"), str(tmp_path / "limits.yaml")
    with pytest.raises(UserError, match="--gate: allowed where a folder"):
        main([file, "--gate", limits])
    with pytest.raises(UserError, match="max_advantage: got 7"):
        main([str(tmp_path / "mine"), "--gate", limits, "--out", str(tmp_path / "out")])
