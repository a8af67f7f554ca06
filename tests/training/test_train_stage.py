"""Stage train: what it writes of a private variant, and how a run that diverges ends."""

import csv

import numpy as np
import pytest
from sandbox import make_sandbox

from privacy_report.pipeline import claim
from privacy_report.pipeline.files import read_arrays

RUNNING = ("running_loss", "running_accuracy")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    made = make_sandbox(tmp_path_factory.mktemp("train") / "repository")
    made.edit("conf/experiment/smallest.yaml", "cnn2: {", "cnn2: {learning_rate: 1.0e+38, ")
    made.python("-m", "stages.compose")
    made.python("-m", "stages.prepare")
    for variant in ("cnn2", "cnn3_dp"):
        made.python("-m", "stages.canaries", variant)
    return made


def test_a_private_variant_leaves_its_claim_and_no_running_measurement(sandbox):
    done = sandbox.python("-m", "stages.train", "cnn3_dp")
    folder = sandbox.root / "data/train"
    claimed = claim.read(claim.path_of("cnn3_dp", folder))
    with open(folder / "cnn3_dp/history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (claimed.epoch, claimed.compared, claimed.noise_multiplier) == (2, (1, 2), 1.0)
    assert claimed.epsilon == float(rows[1]["epsilon"]) > float(rows[0]["epsilon"]) > 0
    assert all(row[name] == "" for row in rows for name in RUNNING)
    saved = read_arrays(folder / "cnn3_dp/epoch_0002.npz")
    assert all(np.isnan(saved[f"history/{name}"]) for name in RUNNING)
    assert "validation accuracy 0." in done.stderr
    assert " loss" not in done.stderr
    assert "nan" not in done.stderr


def test_a_run_that_diverges_ends_in_one_line_at_that_epoch(sandbox):
    done = sandbox.python("-m", "stages.train", "cnn2", check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: cnn2: diverged in epoch 1, its ")
    assert "Traceback" not in done.stderr
    assert not list((sandbox.root / "data/train/cnn2").glob("epoch_*"))
