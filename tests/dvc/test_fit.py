"""One stage trains for all variants: what runs and what is computed after a change, and with kills."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml
from dask_processes import LONG, alive, wait_until
from sandbox import Sandbox, environment, ran

pytestmark = pytest.mark.pipeline

VARIANTS = ("cnn2", "cnn3", "cnn3_dp")
GATES = {f"gate@{name}" for name in VARIANTS}  # another's canaries may be its own
OF_CNN3 = {f"{stage}@cnn3" for stage in ("canaries", "train", "score", "reference", "attack", "ship")}


def files(sandbox: Sandbox, *folders: str) -> dict[str, bytes]:
    """All files below folders of data/."""
    paths = [path for folder in folders for path in (sandbox.root / "data" / folder).rglob("*.*")]
    return {str(path.relative_to(sandbox.root)): path.read_bytes() for path in sorted(paths)}


def stored(sandbox: Sandbox) -> dict[str, set[str]]:
    """Kind -> the entries of the store, less those of attacks."""
    kinds = ("epoch", "score", "reference")
    return {kind: {path.name for path in (sandbox.root / ".store" / kind).glob("*.npz")} for kind in kinds}


def new(sandbox: Sandbox, before: dict[str, set[str]]) -> dict[str, int]:
    """Kind -> how many entries the store has that it had not."""
    return {kind: len(names - before[kind]) for kind, names in stored(sandbox).items()}


def locked(sandbox: Sandbox) -> dict:
    """What dvc.lock says; the order of its stages is that in which they ended."""
    lock: dict = yaml.safe_load((sandbox.root / "dvc.lock").read_text())
    return lock


@pytest.mark.slow
def test_all_on_one_engine_is_what_each_stage_makes_alone(finished: Sandbox):
    """Byte for byte: states, history, claims, scores and the references' confidences, and dvc.lock."""
    folders = ("train", "score", "reference")
    by_fit, lock = files(finished, *folders), locked(finished)
    assert len([name for name in by_fit if name.endswith(".npz")]) == 2 * 2 * len(VARIANTS)
    for name in (".store", ".dvc/cache", *(f"data/{folder}" for folder in folders)):
        shutil.rmtree(finished.root / name)
    for variant in VARIANTS:
        for stage in folders:
            finished.dvc("repro", "--single-item", f"{stage}@{variant}")
    assert files(finished, *folders) == by_fit
    assert locked(finished) == lock


@pytest.mark.slow
def test_one_changed_rate_trains_its_variant_alone_in_a_clone_without_a_store(
    finished: Sandbox, tmp_path: Path
):
    """In stage fit; and the stages of that variant run."""
    finished.dvc("remote", "add", "--default", "shared", str(tmp_path / "shared"))
    finished.dvc("push")
    finished.run("git", "commit", "--quiet", "--all", "--message=a remote")
    clone = Sandbox(tmp_path / "clone")
    finished.run("git", "clone", "--quiet", str(finished.root), str(clone.root))
    clone.dvc("pull")
    assert not (clone.root / ".store/epoch").exists()
    manifests = files(clone, "fit")
    clone.append("conf/config.yaml", "variants: {cnn3: {learning_rate: 0.002}}")
    done = clone.repro()
    assert done.index("fit") < done.index("train@cnn3")
    assert {*done} == {"compose", "fit", *OF_CNN3, *GATES, "report"}
    after = files(clone, "fit")
    assert {name for name in after if after[name] != manifests[name]} == {"data/fit/train/cnn3.json"}
    counts = {kind: len(names) for kind, names in stored(clone).items()}
    assert counts == {"epoch": 2, "score": 2, "reference": 0}


@pytest.mark.slow
def test_a_stage_alone_computes_what_is_missing_and_fit_finds_it(finished: Sandbox):
    before = stored(finished)
    finished.append("conf/config.yaml", "variants: {cnn3: {learning_rate: 0.002}}")
    finished.repro("compose")
    done = finished.dvc("repro", "--single-item", "train@cnn3")
    assert ran(done.stdout) == ["train@cnn3"]
    assert new(finished, before) == {"epoch": 2, "score": 0, "reference": 0}
    trained, states = stored(finished), files(finished, "train")
    assert "fit" in finished.repro()
    assert new(finished, trained) == {"epoch": 0, "score": 2, "reference": 0}
    assert files(finished, "train") == states


@pytest.mark.slow
def test_secret_noise_stays_in_the_process_of_its_own_stage(finished: Sandbox):
    before = stored(finished)
    privacy = "privacy: {target_epsilon: null, noise_multiplier: 1.0, seed: secret}"
    finished.append("conf/config.yaml", f"variants: {{cnn3_dp: {{{privacy}}}}}")
    finished.repro("fit")
    assert new(finished, before) == {"epoch": 0, "score": 0, "reference": 0}
    finished.repro("train@cnn3_dp")
    assert new(finished, before) == {"epoch": 2, "score": 0, "reference": 0}
    states = files(finished, "train")
    finished.dvc("repro", "--force", "--single-item", "fit")
    assert finished.repro("train@cnn3_dp") == []
    assert files(finished, "train") == states


NO_TENSORFLOW = """
import atexit, os, sys
atexit.register(lambda: "tensorflow" in sys.modules and os._exit(9))
"""


def test_stages_whose_results_are_there_leave_tensorflow_alone(finished: Sandbox, tmp_path: Path):
    """And so does fit."""
    (tmp_path / "sitecustomize.py").write_text(NO_TENSORFLOW)
    path = {"PYTHONPATH": str(tmp_path)}
    assert finished.python("-c", "import tensorflow", check=False, **path).returncode == 9
    shutil.rmtree(finished.root / "data/fit")
    finished.python("-m", "stages.fit", **path)
    for stage in ("train", "score", "reference"):
        for variant in VARIANTS:
            finished.python("-m", f"stages.{stage}", variant, **path)
    assert finished.dvc("status").stdout.strip() == "Data and pipelines are up to date."


def test_a_damaged_manifest_is_written_anew(finished: Sandbox):
    path = finished.root / "data/fit/train/cnn2.json"
    text = path.read_text()
    for damaged in ("", "{", "[]"):
        path.write_text(damaged)
        finished.python("-m", "stages.fit")
        assert path.read_text() == text
    assert json.loads(text)["epochs"] == 2


def started(sandbox: Sandbox) -> subprocess.Popen[str]:
    """A `dvc repro` in the background."""
    return subprocess.Popen(
        ["dvc", "repro"], cwd=sandbox.root, env=environment(), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def parts(process: subprocess.Popen[str]) -> dict[str, list[psutil.Process]]:
    """The processes of a `dvc repro` that is in stage fit."""
    family = psutil.Process(process.pid).children(recursive=True)
    (stage,) = [child for child in family if child.cmdline()[-2:] == ["-m", "stages.fit"]]
    workers = [child for child in stage.children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    return {"dvc": [psutil.Process(process.pid)], "stage": [stage], "workers": workers}


@pytest.mark.slow
def test_killed_runs_go_on_and_end_in_the_same_lock(finished: Sandbox):
    """All workers of stage fit at once, then the stage alone, then `dvc` alone."""
    lock = locked(finished)
    finished.run("git", "checkout", "--quiet", "--orphan", "before")  # cards name no commit, as at first
    for name in (".store/epoch", ".store/score", "data", ".dvc/cache", "metrics", "plots", "models"):
        shutil.rmtree(finished.root / name)
    (finished.root / "dvc.lock").unlink()
    killed, process = list[psutil.Process](), started(finished)
    for epochs, victim in enumerate(("workers", "stage", "dvc"), 1):
        wait_until(lambda n=epochs, of=process: len(stored(finished)["epoch"]) >= n or of.poll() is not None)
        assert process.poll() is None
        victims = parts(process)[victim]
        assert victims
        for child in victims:
            child.send_signal(signal.SIGKILL)
        killed += victims
        if victim != "workers":  # Dask starts others
            process.wait(LONG)
        if victim == "stage":
            process = started(finished)
    finished.repro()
    assert finished.repro() == []
    wait_until(lambda: not any(alive(child.pid) for child in killed))
    assert locked(finished) == lock
    assert {kind: len(names) for kind, names in stored(finished).items()} == {
        "epoch": 6,
        "score": 6,
        "reference": 8,
    }


def test_ctrl_c_is_one_line_and_leaves_nothing_running(finished: Sandbox):
    finished.edit("conf/experiment/smallest.yaml", "cnn3: {epochs: 2,", "cnn3: {epochs: 500,")
    finished.python("-m", "stages.compose")
    process = subprocess.Popen(
        ["python", "-m", "stages.fit"], cwd=finished.root, env=environment(), text=True, process_group=0,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )  # fmt: skip
    before = stored(finished)
    wait_until(lambda: new(finished, before)["epoch"] or process.poll() is not None)
    family = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if not line.startswith("fit: ")]
    assert lines == ["error: interrupted; finished work is kept"]
    wait_until(lambda: not any(alive(child.pid) for child in family))
