"""Bit-exactness: killed, resumed, extended, repeated and parallel runs leave the same bytes."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import psutil
import pytest
from dask_processes import LONG
from forked import Forked, python_m
from sandbox import EXPERIMENT, Sandbox, environment, make_sandbox

pytestmark = pytest.mark.pipeline

EPOCHS = 6
TWIN = """\
  cnn3_dp_gradient:
    {epochs: 2, epochs_per_report: 1, model: *small, batch_size: 100, canaries: {count: 200},
     privacy: {target_epsilon: null, noise_multiplier: 1.0}}
"""
LEFT = {  # next to the checkpoints
    "cnn2": ["history.csv", "claim.json"],
    "cnn3_dp": ["history.csv", "claim.json", "privacy_check.json"],
    "cnn3_dp_gradient": ["history.csv", "claim.json", "privacy_check.json", "gradient_canaries.npz"],
}


def checkpoints(sandbox: Sandbox, folder: str = "data/train/cnn2") -> dict[str, str]:
    """Digest of each file that training left."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((sandbox.root / folder).iterdir())
    }


@pytest.fixture(scope="module")
def _ready(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    target, experiment = tmp_path_factory.mktemp("ready") / "repository", EXPERIMENT
    experiment = experiment.replace("reference:", f"{TWIN}reference:").replace(
        "cnn3_dp: 0", "cnn3_dp_gradient: 0"
    )
    sandbox = make_sandbox(target, experiment, ["cnn2", "cnn3", "cnn3_dp", "cnn3_dp_gradient"])
    sandbox.edit("conf/experiment/smallest.yaml", "{epochs: 2", f"{{epochs: {EPOCHS}")
    sandbox.repro(*(f"canaries@{variant}" for variant in LEFT))
    return sandbox


@pytest.fixture
def ready(_ready: Sandbox, tmp_path: Path) -> Sandbox:
    """A sandbox with data and parameters, in which nothing has been trained."""
    return _ready.copy(tmp_path / "repository")


@pytest.fixture(scope="module")
def expected(_ready: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """Variant -> digests of what one run without a break leaves."""

    @cache
    def of(variant: str) -> dict[str, str]:
        sandbox = _ready.copy(tmp_path_factory.mktemp(variant) / "repository")
        train(sandbox, variant)
        return checkpoints(sandbox, f"data/train/{variant}")

    return of


def started(sandbox: Sandbox, variant: str) -> Forked:
    return python_m("stages.train", variant, cwd=sandbox.root, log=log_of(sandbox))


def log_of(sandbox: Sandbox) -> Path:
    return sandbox.root.parent / "log"


def train(sandbox: Sandbox, variant: str = "cnn2") -> None:
    assert started(sandbox, variant).wait(LONG) == 0, log_of(sandbox).read_text()


@pytest.mark.parametrize(
    ("variant", "kills"),
    [
        ("cnn2", 3),
        pytest.param("cnn3_dp", 2, marks=pytest.mark.slow),
        pytest.param("cnn3_dp_gradient", 2, marks=pytest.mark.slow),
    ],
)
def test_killed_runs_resume_to_the_same_bytes(variant: str, kills: int, ready: Sandbox, expected):
    """SIGKILLs at random moments of the training, then a run to the end, against one run."""
    assert set(LEFT[variant]) < set(expected(variant))
    assert len(expected(variant)) == EPOCHS + len(LEFT[variant])
    moments, killed = random.Random(0), 0
    entries = ready.root / ".store/epoch"
    while killed < kills:
        process = started(ready, variant)
        before = len(list(entries.glob("*.npz")))
        while process.poll() is None and len(list(entries.glob("*.npz"))) == before:
            time.sleep(0.005)  # until the first epoch of this run, so that the kills fall into training
        time.sleep(moments.uniform(0, 0.25))
        process.kill()
        killed += process.wait(LONG) == -signal.SIGKILL  # one that had ended by itself was not killed
        done = sorted(entries.glob("*.npz"), key=os.path.getmtime)
        if len(done) >= EPOCHS:  # leave something to train for the next victim
            for path in done[moments.randrange(1, EPOCHS) :]:
                path.unlink()
    train(ready, variant)
    assert checkpoints(ready, f"data/train/{variant}") == expected(variant)


@pytest.mark.slow
def test_a_secret_epoch_that_was_lost_takes_its_successors_with_it(ready: Sandbox):
    """Its noise comes back different, and epsilon counts the epochs of one run."""
    ready.edit("params.yaml", "seed: committed", "seed: secret")
    train(ready, "cnn3_dp")
    before = checkpoints(ready, "data/train/cnn3_dp")
    entries = sorted((ready.root / ".store/epoch").iterdir(), key=os.path.getmtime)
    entries[2].unlink()
    train(ready, "cnn3_dp")
    after = checkpoints(ready, "data/train/cnn3_dp")
    names = [f"epoch_{epoch:04}.npz" for epoch in range(1, EPOCHS + 1)]
    assert [before[name] == after[name] for name in names] == [True, True, False, False, False, False]


def test_extended_run_equals_a_long_one_and_trains_only_the_rest(ready: Sandbox, expected):
    ready.edit("params.yaml", f"epochs: {EPOCHS}\n", "epochs: 4\n")
    train(ready)
    assert len(checkpoints(ready)) == 4 + 2
    first_four = {path: path.stat().st_ino for path in (ready.root / ".store/epoch").iterdir()}
    assert len(first_four) == 4
    ready.edit("params.yaml", "epochs: 4\n", f"epochs: {EPOCHS}\n")
    train(ready)
    assert checkpoints(ready) == expected("cnn2")
    assert len(list((ready.root / ".store/epoch").iterdir())) == EPOCHS
    assert {path: path.stat().st_ino for path in first_four} == first_four  # not written again


def test_fresh_process_repeats_the_bytes_whatever_the_threads(ready: Sandbox, expected):
    """Of an interpreter of its own; the other runs of this file are forked."""
    ready.python("-m", "stages.train", "cnn2", TF_NUM_INTEROP_THREADS="1")
    assert checkpoints(ready) == expected("cnn2")


def children_seconds() -> float:
    """What the processes that this one has waited for took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_ctrl_c_ends_training_at_once_and_keeps_finished_epochs(ready: Sandbox):
    """In seconds of the processor, of which another job on this machine takes none."""
    before = children_seconds()
    ready.edit("params.yaml", f"epochs: {EPOCHS}\n", "epochs: 1000\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train", "cnn2"], cwd=ready.root, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )  # fmt: skip
    entries = ready.root / ".store/epoch"
    while len(list(entries.glob("*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    worked = psutil.Process(process.pid).cpu_times()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LONG)
    assert children_seconds() - before - (worked.user + worked.system) < 2
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list(entries.glob(".*"))


@pytest.mark.slow
def test_experiments_in_temporary_copies_share_the_store(finished: Sandbox):
    before = {path: path.stat().st_mtime_ns for path in (finished.root / ".store/epoch").glob("*.npz")}
    done = finished.dvc("exp", "run", "--temp", "-S", "variants.cnn3.epochs=3")
    assert "train@cnn3" in done.stdout
    after = set((finished.root / ".store/epoch").glob("*.npz"))
    assert len(after) == len(before) + 1
    assert set(before) < after
