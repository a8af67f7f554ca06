"""One run of a stage at a time, with the inputs that it had when it started: real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from sandbox import ROOT

from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.locks import exclusive

HOLD = (
    "import sys, time\nfrom privacy_report.pipeline.locks import exclusive\n"
    "with exclusive(sys.argv[1], lambda: 1):\n    print('in', flush=True)\n    time.sleep(float(sys.argv[2]))"
)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that starts a command in the test's folder; all that still run are killed in the end."""
    monkeypatch.chdir(tmp_path)
    running = []

    def begin(*command, library=ROOT):
        environment = os.environ | {"PYTHONPATH": str(library), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [sys.executable, *command], cwd=tmp_path, env=environment | {"DVC_ROOT": str(tmp_path)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def test_second_run_waits_for_the_first_and_a_dead_one_blocks_nobody(start):
    first = start("-c", HOLD, "train@v", "60")
    assert first.stdout.readline() == "in\n"
    second = start("-c", HOLD, "train@v", "0")
    assert f"process {first.pid}" in second.stdout.readline()
    assert second.poll() is None
    first.kill()
    assert second.stdout.readline() == "in\n"
    assert (first.wait(), second.wait()) == (-signal.SIGKILL, 0)


def test_a_run_whose_parent_died_while_it_waited_leaves_the_work_to_others(start):
    waiter = "import sys\nsys.argv = ['', 'train@v', '0']\nfrom privacy_report.pipeline.command import run\n"
    waiter += "def main(argv):\n    exec(open('hold.py').read())\nrun(main)"
    with open("hold.py", "w") as file:
        file.write(HOLD)
    holder = start("-c", HOLD, "train@v", "60")
    assert holder.stdout.readline() == "in\n"
    parent = start("-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {waiter!r}])")
    assert "waiting for another run" in parent.stdout.readline()
    parent.kill()
    parent.wait()
    holder.kill()
    assert parent.stdout.read() == "error: train@v: whoever started this run has ended\n"


def test_inputs_that_changed_are_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = iter((1, 2))
    with pytest.raises(UserError, match=r"^train@v: inputs changed while waiting, run again$"):  # noqa: SIM117
        with exclusive("train@v", lambda: next(values)):
            raise AssertionError("entered")


@pytest.fixture
def attacked(start, tmp_path):
    """A folder in which `python -m stages.attack v` runs, with a copy of the code and a small score file."""
    shutil.copytree(ROOT / "privacy_report", tmp_path / "privacy_report", symlinks=False)
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, 80).astype(np.int32), rng.normal(size=(80, 3)).astype(np.float32)
    sides = {"member": slice(0, 40), "nonmember": slice(40, 80)}
    arrays = {f"{side}_logits": logits[rows] for side, rows in sides.items()}
    arrays |= {f"{side}_labels": labels[rows] for side, rows in sides.items()}
    write_arrays(tmp_path / "data/score/v/epoch_0001.npz", arrays)
    (tmp_path / "data/reference/v").mkdir(parents=True)
    np.save(tmp_path / "data/reference/v/trains.npy", np.zeros((0, 80), bool))
    (tmp_path / "data/prepare").mkdir()
    np.save(tmp_path / "data/prepare/member.npy", np.arange(40, dtype=np.int32))
    params = {"attacks": ["threshold"], "slices": ["entire"], "seed": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"attack": params}))
    return tmp_path


@pytest.mark.parametrize("what", ["parameters", "code", "scores", "nothing"])
def test_a_run_that_waited_while_its_inputs_changed_computes_nothing(what, attacked, start):
    holder = start("-c", HOLD, "attack@v", "120")
    assert holder.stdout.readline() == "in\n"
    waiting = start("-m", "stages.attack", "v", library=attacked)
    assert "waiting for another run" in waiting.stdout.readline()
    if what == "parameters":
        (attacked / "params.yaml").write_text(
            (attacked / "params.yaml").read_text().replace("seed: 0", "seed: 7")
        )
    elif what == "code":
        path = attacked / "privacy_report/attack/signals.py"
        path.write_text(path.read_text().replace("return -examples.loss", "return -2 * examples.loss"))
    elif what == "scores":
        path = attacked / "data/score/v/epoch_0001.npz"
        arrays = dict(np.load(path))
        write_arrays(path, arrays | {"member_logits": arrays["member_logits"] + 1})
    time.sleep(0.1)
    holder.kill()
    output = waiting.stdout.read()
    if what == "nothing":
        assert waiting.wait() == 0, output
        assert (attacked / "data/attack/v/privacy.csv").exists()
    else:
        assert (waiting.wait(), output) == (2, "error: attack@v: inputs changed while waiting, run again\n")
        assert not (attacked / "data/attack").exists()
        assert not list((attacked / ".store").glob("attack/*"))
