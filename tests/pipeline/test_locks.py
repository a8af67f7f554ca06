"""One run of a stage at a time: real processes wait, find the work done, or refuse to go on."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import yaml
from dask_processes import LONG
from sandbox import ROOT, environment

from privacy_report.commands import verify
from privacy_report.errors import UserError
from privacy_report.pipeline import locks
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.locks import exclusive, require_no_run

CHANGED = "error: attack@cnn2: inputs changed while waiting, run again\n"


class Process:
    """A process whose lines are read as they come."""

    def __init__(self, folder, *command):
        self.popen = subprocess.Popen(
            [sys.executable, *command], cwd=folder, env=environment() | {"PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line)

    def line(self):
        """The next line of its output."""
        return self.lines.get(timeout=LONG)

    def end(self):
        """(exit code, what it said on stderr), when it has ended."""
        errors = self.popen.stderr.read()
        code = self.popen.wait(LONG)
        self.reader.join()
        self.popen.stdout.close()
        self.popen.stderr.close()
        return code, errors


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A copy of the code with the scores of one tiny checkpoint, as the working folder."""
    for name in ("privacy_report", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    rng = np.random.default_rng(0)
    sides = {"member": 30, "nonmember": 20}
    scores = {f"{side}_logits": rng.normal(size=(n, 2)) for side, n in sides.items()}
    scores |= {f"{side}_labels": rng.integers(0, 2, n) for side, n in sides.items()}
    write_arrays(tmp_path / "data/score/cnn2/epoch_0002.npz", scores)
    write_arrays(tmp_path / "data/canaries/cnn2.npz", {"index": np.empty(0, np.int32)})
    arrays = {"prepare/member": np.arange(30), "reference/cnn2/trains": np.zeros((0, 50), bool)}
    for name, array in arrays.items():
        path = tmp_path / f"data/{name}.npy"
        path.parent.mkdir(parents=True)
        np.save(path, array)
    params = {"attack": {"attacks": ["threshold"], "slices": ["entire"], "estimators": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


@pytest.fixture
def start():
    """Start Python in a folder; whatever still runs at the end is killed."""
    processes = []

    def run(folder, *command):
        processes.append(Process(folder, *command))
        return processes[-1]

    yield run
    for process in processes:
        if process.popen.poll() is None:
            process.popen.kill()
            process.end()


HOLD = (
    "import sys, time\nfrom privacy_report.pipeline.locks import exclusive, require_no_run\n"
    "with exclusive('attack@cnn2', lambda: None):\n    print('in', flush=True)\n"
    "    time.sleep(float(sys.argv[1]))"
)


def test_a_second_run_waits_for_the_first_and_a_dead_one_blocks_nobody(repository, start):
    first = start(repository, "-c", HOLD, "600")
    assert first.line() == "in\n"
    second = start(repository, "-c", HOLD, "0")
    assert second.line() == (
        f"attack@cnn2: waiting for another run in this folder (process {first.popen.pid})\n"
    )
    assert second.popen.poll() is None
    first.popen.kill()
    assert second.line() == "in\n"
    assert (first.end()[0], second.end()) == (-signal.SIGKILL, (0, ""))


def test_other_stages_and_variants_do_not_wait(repository, start):
    with exclusive("attack@cnn3", lambda: None), exclusive("train@cnn2", lambda: None):
        process = start(repository, "-c", HOLD, "0")
        assert process.line() == "in\n"
        assert process.end() == (0, "")


def test_inputs_are_asked_for_before_the_wait_and_after_it(repository):
    given = [[1], [1]]  # equal, not the same
    with exclusive("attack@cnn2", lambda: given.pop(0)) as inputs:
        assert inputs == [1]
    assert given == []


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def edit_params(folder):
    edit(folder / "params.yaml", "threshold", "threshold_entropy")


def edit_code(folder):
    edit(folder / "privacy_report/attack/findings.py", "SELECTS = 1 / 3", "SELECTS = 1 / 4")


def edit_scores(folder):
    path = folder / "data/score/cnn2/epoch_0002.npz"
    with np.load(path) as archive:
        arrays = dict(archive)
    write_arrays(path, arrays | {"member_logits": arrays["member_logits"] + [1.0, 0.0]})


def another_checkpoint(folder):
    scores = folder / "data/score/cnn2"
    shutil.copy(scores / "epoch_0002.npz", scores / "epoch_0004.npz")


def edit_comment(folder):
    edit(folder / "privacy_report/attack/findings.py", "SELECTS = 1 / 3", "SELECTS = 1 / 3  # a third")


def edit_stage(folder):
    edit(folder / "privacy_report/pipeline/command.py", '"interrupted"', '"stopped"')


@pytest.mark.parametrize("change", [edit_params, edit_code, edit_scores, another_checkpoint])
def test_a_run_whose_inputs_changed_while_it_waited_says_so_in_one_line(change, repository, start):
    with exclusive("attack@cnn2", lambda: None):
        process = start(repository, "-m", "stages.attack", "cnn2")
        assert "waiting for another run" in process.line()
        change(repository)
    assert process.end() == (2, CHANGED)
    assert not (repository / "data/attack").exists()
    assert not list((repository / ".store").rglob("*.npz"))


@pytest.mark.parametrize("change", [edit_comment, edit_stage, lambda folder: None])
def test_a_run_whose_inputs_are_the_same_goes_on(change, repository, start):
    with exclusive("attack@cnn2", lambda: None):
        process = start(repository, "-m", "stages.attack", "cnn2")
        assert "waiting for another run" in process.line()
        change(repository)
    code, errors = process.end()
    assert code == 0, errors
    assert (repository / "data/attack/cnn2/privacy.csv").exists()


def test_a_run_that_waited_finds_the_work_of_the_other_one(repository, start):
    """The second computes nothing: the entries of the store stay as the first has written them."""
    with exclusive("attack@cnn2", lambda: None):
        runs = [start(repository, "-m", "stages.attack", "cnn2") for _ in range(2)]
        for process in runs:
            assert "waiting for another run" in process.line()
    assert [process.end()[0] for process in runs] == [0, 0]
    written = {path: path.stat().st_ino for path in (repository / ".store/attack").glob("*.npz")}
    assert len(written) == 2  # the attack, and the examples' risks
    third = start(repository, "-m", "stages.attack", "cnn2")
    assert third.end()[0] == 0
    assert {path: path.stat().st_ino for path in (repository / ".store/attack").glob("*.npz")} == written


def test_a_run_whose_parent_died_while_it_waited_leaves_the_work_to_others(repository, start):
    parent = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'stages.attack', 'cnn2'])"
    with exclusive("attack@cnn2", lambda: None):
        process = start(repository, "-c", parent)
        assert "waiting for another run" in process.line()
        process.popen.kill()
        process.popen.wait()
    assert process.end() == (
        -signal.SIGKILL,
        "error: attack@cnn2: whoever started this run has ended\n",
    )
    assert not (repository / "data/attack").exists()


def test_sigterm_ends_a_command_in_one_line(repository, start):
    with exclusive("attack@cnn2", lambda: None):
        process = start(repository, "-m", "stages.attack", "cnn2")
        assert "waiting for another run" in process.line()
        process.popen.terminate()
        assert process.end() == (143, "error: terminated; finished work is kept\n")


def test_nothing_is_removed_while_a_stage_or_dvc_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_no_run()
    with exclusive("train@v", dict), pytest.raises(UserError, match=r"^train@v: it is running here; wait"):
        require_no_run()
    require_no_run()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, running in ((ended.pid, False), (os.getpid(), True)):
        user = {"pid": pid, "cmd": "dvc repro"}
        for uses in ({"write": {"/x": user}, "read": {}}, {"write": {}, "read": {"/y": [user]}}):
            locks.DVC_USES.write_text(json.dumps(uses))
            if running:
                with pytest.raises(UserError, match=rf"^process {pid} is running here \(dvc repro\); wait"):
                    require_no_run()
            else:
                require_no_run()


def test_what_dvc_has_half_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    locks.DVC_USES.parent.mkdir(parents=True)
    locks.DVC_USES.write_text('{"write": {')
    with pytest.raises(UserError, match=r"^\.dvc/tmp/rwlock: a `dvc` is writing it, or it is damaged; wait"):
        require_no_run()


def test_verify_leaves_the_outputs_of_a_running_stage_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with exclusive("train@v", dict), pytest.raises(UserError, match="running here"):
        verify.main([])


@pytest.mark.parametrize("ends", [False, True])
def test_verify_removes_nothing_of_a_run_that_began_while_it_read(tmp_path, monkeypatch, ends):
    """Between the two looks at what is wrong: a run that goes on, or one that has made it right and ended."""
    monkeypatch.chdir(tmp_path)
    output, looks = tmp_path / "data/a", []
    write_arrays(output, {})
    with contextlib.ExitStack() as run:

        def changed(*_):
            if looks and ends:
                return []
            if not (looks or ends):
                run.enter_context(exclusive("train@v", dict))
            looks.append(1)
            return [(str(output), "train@v")]

        monkeypatch.setattr(verify, "changed", changed)
        monkeypatch.setattr(verify, "_cache", lambda: tmp_path / "none")
        if ends:
            verify.main([])
        else:
            with pytest.raises(UserError, match="running here"):
                verify.main([])
    assert output.exists()
