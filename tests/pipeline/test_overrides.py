"""An error that a value of conf/overrides.yaml causes says so, with the remedy, and others do not."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sandbox import ROOT, environment

from privacy_report.pipeline.overrides import blamed

VALUES = """# @package _global_
variants: {cnn2: {batch_size: 5000, model: {settings: {num_conv: 4}}, privacy: null}}
dataset: {path: own_data/patients.csv, seed: 3}
"""
SAID = "; an experiment set {} in conf/overrides.yaml: delete it there to take it back"


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("batch_size: got 5000, allowed: at most 898", "variants.cnn2.batch_size 5000"),
        ("variants.cnn2.batch_size: got 0, allowed: ...", "variants.cnn2.batch_size 5000"),
        ("num_conv: got 4, allowed: 1..3", "variants.cnn2.model.settings.num_conv 4"),
        ("own_data/patients.csv: no such file", "dataset.path own_data/patients.csv"),
        ("dataset.seed: got 3, allowed: ...", "dataset.seed 3"),
        ("seed: got 3, allowed: ...", ""),
        ("variants.cnn2.my_batch_size: got 5000, allowed: ...", ""),
        ("variants.other.batch_size: got 5000, allowed: ...", ""),
        ("variants.cnn2.canaries.batch_size: got 5000, allowed: ...", ""),
        ("data/score/cnn2: no such folder", ""),
    ],
)
def test_only_what_the_error_names_is_blamed(message, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert blamed(message) == ""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/overrides.yaml").write_text(VALUES)
    assert blamed(message) == (SAID.format(named) if named else "")
    (tmp_path / "conf/overrides.yaml").write_text("a: [")
    assert blamed(message) == ""


def test_a_stage_that_fails_says_it(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/overrides.yaml").write_text("dataset: {seed: -1}\n")
    (tmp_path / "params.yaml").write_text(
        "dataset: {name: digits, member_split: all, nonmember_split: all, member_fraction: 0.5, seed: -1}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "stages.prepare"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=environment() | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    said = "error: dataset.seed: got -1, allowed: an integer of at least 0" + SAID.format("dataset.seed -1")
    assert done.stderr.splitlines() == [said]


@pytest.mark.parametrize("stage", ["train", "attack"])
def test_ctrl_c_while_a_stage_imports_is_one_line(stage, tmp_path):
    """As early as its package is imported; numpy is slowed down so that it comes in time."""
    (tmp_path / "numpy.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)\n")
    running = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", "cnn2"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=environment() | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )  # fmt: skip
    until = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < until:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=30)[1] == "error: interrupted; finished work is kept\n"
    assert running.returncode == 130
