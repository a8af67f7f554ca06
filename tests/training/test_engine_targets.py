"""Targets on clusters of real processes: an epoch a task, the same bytes, and kills."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from dask_processes import TARGET, Journal, kill, started, wait_until
from reference_runs import DIE, edit
from sandbox import Sandbox

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

IN_EPOCH_3 = f"if what == 'epoch' and (model, epoch) == ({TARGET}, 3) and once(): "
"""In the middle of an epoch of cnn2, the only target with so many."""


@pytest.fixture
def targets(fresh: Sandbox) -> Sandbox:
    edit(fresh, models=0)
    return fresh


@pytest.fixture(scope="module")
def serial(base: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What stages train and score leave of cnn2 alone."""
    sandbox = base.copy(tmp_path_factory.mktemp("serial") / "repository")
    return outputs(sandbox)


def outputs(sandbox: Sandbox) -> dict[str, bytes]:
    for stage in ("train", "score"):
        sandbox.python("-m", f"stages.{stage}", "cnn2")
    paths = [path for stage in ("train", "score") for path in (sandbox.root / "data" / stage).rglob("*.*")]
    return {str(path.relative_to(sandbox.root)): path.read_bytes() for path in paths}


def fit(sandbox: Sandbox, address: str) -> subprocess.CompletedProcess[str]:
    """Run the stage on a cluster; its result is not checked."""
    return sandbox.python("-m", "stages.fit", check=False, DASK_SCHEDULER_ADDRESS=address)


def epochs(journal: Journal, *more: int) -> Counter[tuple[int, int]]:
    """The epochs of all three targets, each begun once, and `more` of cnn2."""
    short = [(TARGET, epoch) for _ in range(2) for epoch in (1, 2)]
    return Counter([*((TARGET, epoch) for epoch in (*range(1, 7), *more)), *short])


def test_a_worker_killed_in_an_epoch_costs_that_epoch(targets, serial, workers, journal):
    cluster = workers(2)
    journal.fault(IN_EPOCH_3 + DIE)
    done = fit(targets, cluster.address)
    assert done.returncode == 0, done.stderr
    assert len(cluster.workers) == 1
    assert Counter(journal.trained()) == epochs(journal, 3)
    assert len([*(targets.root / ".store/epoch").iterdir()]) == 6 + 2 + 2
    assert outputs(targets) == serial


def test_a_killed_scheduler_ends_the_run_and_costs_an_epoch(
    targets, serial, workers, journal, base, tmp_path
):
    with started(tmp_path / "cluster") as cluster:
        cluster.worker(base.root, journal.preload)
        journal.clear()
        journal.fault(IN_EPOCH_3 + f"os.kill({cluster.scheduler.pid}, signal.SIGKILL)")
        done = fit(targets, cluster.address)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last == "error: the scheduler is lost; finished intervals are kept, run again"
        assert not (targets.root / "data/fit").exists()
    first = Counter(journal.trained())
    journal.clear()
    assert fit(targets, workers(2).address).returncode == 0
    assert first + Counter(journal.trained()) == epochs(journal, 3)
    assert outputs(targets) == serial


NO_DISK = """
from privacy_report.datasets import prepared
from privacy_report.errors import UserError

def missing(*folder):
    raise UserError("no such file")

prepared.files_digest = prepared.read = missing
"""


def test_workers_without_a_shared_disk_get_the_examples_of_each_variant(
    targets, serial, base, journal, outside, tmp_path
):
    """A twin has other examples, and a worker holds those of one variant at a time."""
    edit(targets, {"canaries": {"count": 40}}, models=0)
    targets.python("-m", "stages.canaries", "cnn2")
    preload = Path(tmp_path / "no_disk.py")
    preload.write_text(NO_DISK)
    journal.clear()
    there = [outside.worker(base.root, journal.preload, preload) for _ in range(2)]
    try:
        wait_until(lambda: outside.count() == 2)
        done = fit(targets, outside.address)
    finally:
        for process in there:
            kill(process)
    assert done.returncode == 0, done.stderr
    assert Counter(journal.trained()) == epochs(journal)
    written = outputs(targets)
    assert "data/score/cnn2/canaries/epoch_0006.npz" in written
    other = base.copy(tmp_path / "serial")
    edit(other, {"canaries": {"count": 40}}, models=0)
    other.python("-m", "stages.canaries", "cnn2")
    assert outputs(other) == written
