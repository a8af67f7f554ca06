"""`privacy-report watch` on real runs: what counts as finished, held against `dvc status`."""

import json
import re
import signal
import subprocess
import sys

import pytest
from sandbox import Sandbox, environment

pytestmark = pytest.mark.pipeline
NAMES = ("cnn2", "cnn3", "cnn3_dp")
CODE = """
from privacy_report.pipeline.current import Current
current = Current()
print(*(name for name in ("cnn2", "cnn3", "cnn3_dp") if current.is_current(f"attack@{name}")))
"""
DROP = """
from privacy_report.pipeline import store
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.pipeline.params import load
from privacy_report.training.plan import EPOCH, source_of, target
from privacy_report.training.schema import Variant
planned = target("cnn3", load("variants.cnn3", Variant), source_of("cnn3"))
first = store.get(EPOCH, planned.key(1, None))
store.path_of(EPOCH, planned.key(2, arrays_digest(first.arrays))).unlink()
print(float(first.arrays["history/val_accuracy"]))
"""


def watch(sandbox: Sandbox) -> tuple[str, str]:
    """What `privacy-report watch --once` prints, and its page."""
    said = sandbox.python("-m", "privacy_report", "watch", "--once").stdout.strip()
    return said, (sandbox.root / ".dvc/tmp/watch.html").read_text()


@pytest.mark.slow
def test_a_run_that_was_stopped_and_one_that_is_done(finished: Sandbox):
    said, page = watch(finished)
    assert said == ".dvc/tmp/watch.html: 3 of 3 variants finished"
    decision = re.compile(r'<section id="decision">.*?</section>', re.DOTALL)
    assert decision.findall(page) == decision.findall((finished.root / "plots/report.html").read_text())
    assert finished.run("git", "status", "--porcelain").stdout == ""
    accuracy = float(
        finished.python("-c", DROP).stdout
    )  # as if stopped in the second epoch, and attacked never
    finished.run("rm", "-r", "data/attack/cnn3")
    said, page = watch(finished)
    assert said == ".dvc/tmp/watch.html: 2 of 3 variants finished, cnn3 at epoch 1 of 2"
    assert f"<td>{accuracy:.3f}</td>" in page
    assert "3 Layers" not in page.partition('<section id="decision">')[2].replace("3 Layers, DP", "")


def test_finished_is_what_dvc_would_not_run_again(finished: Sandbox):
    """Except for stage fit, which is one for all variants."""

    def compare() -> str:
        status = json.loads(finished.dvc("status", "--json").stdout)
        own = ("canaries", "train", "score", "reference", "attack")
        stale = {name for name in NAMES for stage in own if f"{stage}@{name}" in status}
        expected = "" if "prepare" in status else " ".join(name for name in NAMES if name not in stale)
        assert finished.python("-c", CODE).stdout.strip() == expected
        return expected

    assert compare() == "cnn2 cnn3 cnn3_dp"
    finished.edit("params.yaml", "noise_multiplier: 1.0", "noise_multiplier: 1.5")
    assert compare() == "cnn2 cnn3"
    finished.edit("params.yaml", "noise_multiplier: 1.5", "noise_multiplier: 1.0")
    table = finished.root / "data/attack/cnn2/privacy.csv"
    table.write_bytes(table.read_bytes()[:-20])  # being written
    assert compare() == "cnn3 cnn3_dp"
    finished.append("privacy_report/report/page.py", "# of no stage before report")
    assert compare() == "cnn3 cnn3_dp"
    finished.append("privacy_report/training/trainer.py", "# a comment")
    assert compare() == ""


def test_ctrl_c_ends_it_with_one_line(finished: Sandbox):
    process = subprocess.Popen(
        [sys.executable, "-m", "privacy_report", "watch"],
        cwd=finished.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else ignored in the background
    )
    assert process.stdout is not None
    assert process.stdout.readline() == ".dvc/tmp/watch.html: 3 of 3 variants finished\n"
    process.send_signal(signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert (process.returncode, said, error) == (130, "", "error: interrupted; finished work is kept\n")
