"""Reference models where something is killed, fails or does not fit: what is finished is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

import psutil
import pytest
from dask_processes import LONG, Journal, alive, started, wait_until
from reference_runs import ALL, AT, DIE, edit, first_two, phi, reference, same
from sandbox import Sandbox, environment

from privacy_report.errors import UserError

pytestmark = pytest.mark.pipeline


def test_a_killed_worker_costs_one_interval(fresh, expected, workers, journal):
    cluster = workers(2)
    journal.fault(AT + DIE)
    done = reference(fresh, cluster.address)
    assert done.returncode == 0, done.stderr
    assert len(cluster.workers) == 1
    assert Counter(journal.trained()) == Counter([*ALL, (1, 4)])
    assert same(phi(fresh), first_two(expected))


def test_the_only_worker_may_be_replaced_later(fresh, expected, workers, journal, base):
    cluster = workers(1)
    journal.fault(AT + DIE)
    with subprocess.Popen(
        [sys.executable, "-m", "stages.reference", "cnn2"], cwd=fresh.root,
        env=environment() | {"DASK_SCHEDULER_ADDRESS": cluster.address}, stderr=subprocess.PIPE, text=True,
    ) as stage:  # fmt: skip
        wait_until(lambda: not cluster.workers or stage.poll() is not None)
        assert stage.poll() is None
        workers(1)
        _, errors = stage.communicate(timeout=LONG)
    assert stage.returncode == 0, errors
    assert Counter(journal.trained()) == Counter([*ALL, (1, 4)])
    assert same(phi(fresh), first_two(expected))


def test_a_killed_scheduler_ends_the_run_and_costs_one_interval(
    fresh, expected, workers, journal, base, tmp_path
):
    with started(tmp_path / "cluster") as cluster:
        cluster.worker(base.root, journal.preload)
        journal.clear()
        journal.fault(AT + f"os.kill({cluster.scheduler.pid}, signal.SIGKILL)")
        done = reference(fresh, cluster.address)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last == "error: the scheduler is lost; finished intervals are kept, run again"
        assert "Traceback" not in done.stderr
    assert journal.trained() == [(1, 2), (1, 4)]  # an example more than model 0, and so the longest way
    journal.clear()
    assert reference(fresh, workers(1).address).returncode == 0
    assert journal.trained() == [(0, 2), (0, 4), (0, 6), (1, 4), (1, 6)]
    assert same(phi(fresh), first_two(expected))


def local_stage(sandbox: Sandbox, journal: Journal) -> subprocess.Popen[str]:
    """The stage on a cluster of its own, in a process group of its own as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "stages.reference", "cnn2"], cwd=sandbox.root,
        env=environment() | {"DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{journal.preload}']"},
        stderr=subprocess.PIPE, text=True, process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )  # fmt: skip


WAIT = f"(FOLDER / 'reached').touch() or __import__('time').sleep({LONG})"
"""Tells the test that a worker is there, and keeps it there."""


def test_a_killed_stage_takes_its_workers_with_it_and_goes_on_later(fresh, expected, workers, journal):
    """Those, too, that have not begun: they would begin after the stage's end, on a busy machine."""
    journal.clear()
    journal.fault(AT + WAIT)
    stage, reached = local_stage(fresh, journal), journal.folder / "reached"
    wait_until(lambda: reached.exists() or stage.poll() is not None)
    family = psutil.Process(stage.pid).children(recursive=True)
    assert {note.pid for note in journal.notes("work")} <= {process.pid for process in family}
    stage.kill()
    stage.communicate(timeout=LONG)
    wait_until(lambda: not any(alive(process.pid) for process in family))
    kept = len(list((fresh.root / ".store/reference").glob("*.npz")))  # and not what was half-written
    assert 1 <= kept < 6
    journal.clear()
    assert reference(fresh, workers(2).address).returncode == 0
    assert len(journal.trained()) == 6 - kept
    assert same(phi(fresh), first_two(expected))


ENDS = {
    "ctrl-c": (os.killpg, signal.SIGINT, 130, "interrupted"),
    "kill": (os.kill, signal.SIGTERM, 143, "terminated"),
    "timeout": (os.killpg, signal.SIGTERM, 143, "terminated"),
}
"""From a terminal Ctrl-C goes to the workers, too, as does SIGTERM from `timeout` or systemd."""


@pytest.mark.parametrize("how", ["ctrl-c", "kill", pytest.param("timeout", marks=pytest.mark.slow)])
def test_ctrl_c_and_sigterm_end_a_run_and_its_workers_in_one_line(how, fresh, journal):
    send, number, code, word = ENDS[how]
    journal.clear()
    edit(fresh, {"epochs": 2000})
    edit(fresh, epochs=2000)
    stage = local_stage(fresh, journal)
    finished = fresh.root / ".store/reference"
    wait_until(lambda: any(finished.glob("*.npz")) or stage.poll() is not None)
    begun = {path: path.read_bytes() for path in finished.glob("*.npz")}
    family = psutil.Process(stage.pid).children(recursive=True)
    assert {note.pid for note in journal.notes("work")} <= {process.pid for process in family}
    send(stage.pid, number)
    _, errors = stage.communicate(timeout=LONG)
    assert stage.returncode == code
    lines = [line for line in errors.splitlines() if not line.startswith("reference@cnn2: ")]
    assert lines == [f"error: {word}; finished work is kept"]
    wait_until(lambda: not any(alive(process.pid) for process in family))
    assert all(path.read_bytes() == held for path, held in begun.items())


def test_sigterm_while_the_cluster_starts_is_one_line_too(fresh, journal):
    """Sent as soon as the stage has a child: the resource tracker, or a worker that is on its way."""
    edit(fresh, {"epochs": 2000})
    edit(fresh, epochs=2000)
    stage = local_stage(fresh, journal)
    process = psutil.Process(stage.pid)
    wait_until(lambda: process.children() or stage.poll() is not None)
    stage.send_signal(signal.SIGTERM)
    _, errors = stage.communicate(timeout=LONG)
    said = ["reference@cnn2: models to train: 2, epochs: 4000", "error: terminated; finished work is kept"]
    assert (stage.returncode, errors.splitlines()) == (143, said)


ODD_ERROR = """
class OddError(Exception):
    def __init__(self, one, two):  # so that it does not survive pickling
        super().__init__(f"no space\\n{one} {two}")

if what == "begin" and (model, epoch) == (1, 4):
    raise OddError(1, 2)
"""


def test_a_model_that_fails_three_times_ends_the_run(fresh, workers, journal):
    cluster = workers(2)
    journal.fault(ODD_ERROR)
    done = reference(fresh, cluster.address)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == "error: cnn2 reference 1 of seed 0: failed 3 times (OddError: no space 1 2)"
    assert Counter(journal.trained())[1, 4] == 3
    journal.clear()
    assert reference(fresh, cluster.address).returncode == 0
    assert (1, 2) not in journal.trained()  # what was finished is kept


def test_a_model_that_kills_its_workers_ends_the_run(base, journal, here, tmp_path):
    journal.clear()
    journal.fault("os._exit(1)")
    with started(tmp_path / "cluster", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="2") as cluster:
        for _ in range(3):
            cluster.worker(base.root, journal.preload)
        wait_until(lambda: cluster.count() == 3)
        edit(base, models=2)
        said = r"^cnn2 reference \d of seed 0: 3 workers died while they trained it, the last was tcp://127"
        with pytest.raises(UserError, match=said):
            here(base, cluster.address, only=1)
    assert len(journal.notes("work")) == 3


def test_a_model_that_diverges_ends_the_run(fresh, workers, here):
    edit(fresh, {"learning_rate": 1e30})
    said = r"^cnn2 reference \d of seed 0: diverged in epoch [12], its .+ is NaN or infinite; a smaller"
    with pytest.raises(UserError, match=said):
        here(fresh, workers(2).address)
