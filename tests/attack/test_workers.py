"""Attacks in worker processes: the same bytes whatever their number, and nothing left of them."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted, write_references, write_target
from sandbox import environment

from privacy_report.attack import workers
from privacy_report.attack.workers import Ahead, ahead
from privacy_report.audits.attacks import default_estimators
from privacy_report.errors import UserError
from privacy_report.pipeline import store
from stages.attack import main

ATTACKS = ["threshold", "logistic", "trajectory", "rmia", "lira"]
SMALL = 1e6
"""Bytes of a worker that always fit."""

SCRIPT = """
import os, sys, time
from functools import partial
import numpy as np
from privacy_report.attack.workers import Ahead, ahead
from privacy_report.pipeline.command import run

def slow(seconds):
    os.write(1, f"{os.getpid()}\\n".encode())  # in one piece, whatever the other worker writes
    time.sleep(seconds)
    return {"a": np.zeros(1)}

def main(argv):
    kept, jobs = Ahead("attack@x"), {key: partial(slow, 60) for key in ("one", "two")}
    with ahead(kept, [{key: job} for key, job in jobs.items()], 1e6, cores=2):
        for key, job in jobs.items():
            kept.recall("attack", key, job)

if __name__ == "__main__":
    run(main)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A target with three checkpoints and four references in the working folder, and the parameters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    world = planted()
    write_target(world)
    phis = {2: world.phi(world.references / 2), 4: world.phi(world.references)}
    write_references(Path("data/reference/cnn2"), world.trains, phis)
    section = {"attacks": ATTACKS, "slices": ["entire", "class"], "estimators": default_estimators()}
    Path("params.yaml").write_text(yaml.safe_dump({"attack": section}))
    return tmp_path


def tables(folder):
    return {file.name: file.read_bytes() for file in (folder / "data/attack/cnn2").iterdir()}


def entries(folder):
    return {file.stem: store.get("attack", file.stem).arrays for file in (folder / ".store").rglob("*.npz")}


def test_the_bytes_are_the_same_whatever_the_number_of_workers(study, cores, computed):
    main(["cnn2"])
    alone, kept = tables(study), entries(study)
    assert len(computed) == len([*ATTACKS, ""]) * 3
    assert len(alone) == 7
    for entry in (study / ".store").rglob("*.npz"):
        entry.unlink()
    for file in (study / "data/attack/cnn2").iterdir():
        file.unlink()
    computed.clear()
    cores(3)
    main(["cnn2"])
    assert computed == []  # nothing in this process
    assert tables(study) == alone
    again = entries(study)
    assert again.keys() == kept.keys()
    for key, arrays in kept.items():
        assert {name: (value.dtype, value.tobytes()) for name, value in arrays.items()} == {
            name: (value.dtype, value.tobytes()) for name, value in again[key].items()
        }


def test_no_worker_starts_where_all_is_recalled(study, cores, monkeypatch):
    main(["cnn2"])
    cores(3)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    main(["cnn2"])
    next((study / ".store/attack").glob("*.npz")).unlink()
    main(["cnn2"])  # a single batch needs no other process either


def test_the_noted_time_is_the_work_once(study, cores):
    cores(2)
    main(["cnn2"])
    noted = json.loads(Path(".store/notes/attack@cnn2.json").read_text())["seconds"]
    stored = [store.get("attack", path.stem).seconds for path in (study / ".store/attack").glob("*.npz")]
    assert noted == pytest.approx(sum(stored))


def threads() -> dict[str, np.ndarray]:
    from threadpoolctl import threadpool_info

    return {
        "threads": np.array([thread_pool["num_threads"] for thread_pool in threadpool_info()]),
        "pid": np.array(os.getpid()),
    }


def fails(value: str) -> dict[str, np.ndarray]:
    raise UserError(f"value: got {value}, allowed: another")


def dies() -> dict[str, np.ndarray]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return Ahead("attack@x")


def test_each_worker_has_one_thread(kept):
    with ahead(kept, [{"one": threads}, {"two": threads}], SMALL, cores=2):
        for key in ("one", "two"):
            arrays = kept.recall("attack", key, threads)
            assert arrays["pid"] != os.getpid()
            assert len(arrays["threads"])
            assert set(arrays["threads"].tolist()) == {1}


def test_as_many_workers_as_fit_into_memory(kept, monkeypatch):
    asked = []
    monkeypatch.setattr(workers, "memory_at_hand", lambda: 2.5e9)
    pool = workers.ProcessPoolExecutor
    monkeypatch.setattr(
        workers, "ProcessPoolExecutor", lambda most, *more: asked.append(most) or pool(most, *more)
    )
    for size, most in ((1e9, [2]), (1.5e9, []), (3e9, [])):
        asked.clear()
        with ahead(kept, [{f"{size} {i}": threads} for i in range(4)], size, cores=4):
            pass
        assert asked == most


def test_an_error_is_the_users_one_and_what_came_before_it_is_kept(kept):
    jobs = [{"one": threads, "two": partial(fails, "seven"), "three": threads}, {"four": threads}]
    with (
        pytest.raises(UserError, match=r"^value: got seven, allowed: another$"),
        ahead(kept, jobs, SMALL, cores=2),
    ):
        kept.recall("attack", "one", threads)
    assert store.get("attack", "one") is not None
    assert store.get("attack", "three") is None


def test_a_worker_that_vanishes_is_one_line(kept):
    with (
        pytest.raises(UserError, match=r"^attack@x: a worker process vanished"),
        ahead(kept, [{"one": dies}, {"two": threads}], SMALL, cores=2),
    ):
        kept.recall("attack", "one", dies)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize(
    ("send", "number", "code", "line"),
    [
        (os.killpg, signal.SIGINT, 130, "error: interrupted; finished work is kept\n"),
        (os.kill, signal.SIGINT, 130, "error: interrupted; finished work is kept\n"),
        (os.kill, signal.SIGTERM, 143, "error: terminated; finished work is kept\n"),
        (os.kill, signal.SIGKILL, -signal.SIGKILL, None),
    ],
    ids=["Ctrl-C", "SIGINT", "SIGTERM", "SIGKILL"],
)
def test_a_signal_leaves_one_line_and_no_process(send, number, code, line, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment() | {"PYTHONPATH": root}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as stage:  # fmt: skip
        pids = [int(stage.stdout.readline()) for _ in range(2)]
        assert all(running(pid) for pid in pids)
        send(stage.pid, number)
        stage.wait(timeout=30)
        said = stage.stderr.read()
        assert stage.returncode == code
        if line:
            assert said == line
        until = time.monotonic() + 10
        while any(running(pid) for pid in pids):
            assert time.monotonic() < until
            time.sleep(0.05)
