"""Reference models on clusters of real processes: the same bytes wherever they are trained."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from dask.system import cpu_count
from dask_processes import alive, kill, wait_until
from reference_runs import ALL, AT, DIE, NOWHERE, edit, first_two, phi, reference, same

pytestmark = pytest.mark.pipeline


@pytest.mark.slow
def test_results_do_not_depend_on_the_workers(base, expected, workers, tmp_path):
    """One and three processes over TCP; the address, and a scheduler file. Others of this file take two."""
    for count in (1, 3):
        sandbox = base.copy(tmp_path / f"repository{count}")
        edit(sandbox, models=4)
        cluster = workers(count)
        where = {"DASK_SCHEDULER_FILE": str(cluster.file)} if count == 3 else {}
        done = reference(sandbox, "" if where else cluster.address, **where)
        assert done.returncode == 0, done.stderr
        assert same(phi(sandbox), expected), count
    assert "reference@cnn2: 24 of 24 epochs in " in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("all_cores")
def test_a_cluster_of_this_machine_is_the_default(fresh, expected, journal):
    """Two processes, TensorFlow on one thread in each; nothing listens beyond 127.0.0.1; nothing stays."""
    journal.clear()
    journal.fault(
        "import psutil\n"
        "for pid in (os.getpid(), os.getppid()):\n"
        "    for one in psutil.Process(pid).net_connections('inet'):\n"
        "        if one.status == psutil.CONN_LISTEN:\n"
        "            open(FOLDER / 'listening', 'a').write(one.laddr.ip + chr(10))\n"
        "open(FOLDER / 'threads', 'a').write(os.environ.get('TF_NUM_INTEROP_THREADS', '?') + chr(10))\n"
    )
    done = fresh.python(
        "-m", "stages.reference", "cnn2", DASK_DISTRIBUTED__WORKER__PRELOAD=f"['{journal.preload}']"
    )
    assert same(phi(fresh), first_two(expected))
    assert set((journal.folder / "listening").read_text().split()) == {"127.0.0.1"}
    assert set((journal.folder / "threads").read_text().split()) == {"1"}
    lines = done.stderr.splitlines()
    assert lines[0] == "reference@cnn2: models to train: 2, epochs: 12"
    assert lines[-1].startswith("reference@cnn2: 12 of 12 epochs in ")
    assert all(line.startswith("reference@cnn2: ") for line in lines)
    assert len({note.pid for note in journal.notes("begin")}) == min(2, cpu_count())
    assert not [note for note in journal.notes("begin") if alive(note.pid)]


DRAW = """
import random, threading, time

def draw():
    while (FOLDER / "fault").exists():
        random.random()
        time.sleep(0.0002)

if what == "begin":
    threading.Thread(target=draw, daemon=True).start()
"""


def test_what_else_a_worker_draws_at_random_changes_no_model(fresh, expected, workers, journal):
    """Dask's heartbeats do, with Python's own generator, which Keras seeds for the initial weights."""
    cluster = workers(2)
    journal.fault(DRAW)
    done = reference(fresh, cluster.address)
    assert done.returncode == 0, done.stderr
    assert same(phi(fresh), first_two(expected))


@pytest.mark.slow
def test_only_what_is_missing_is_trained(fresh, expected, workers, journal):
    """More references, more epochs; a comment or a label takes no cluster at all."""
    cluster = workers(2)
    assert reference(fresh, cluster.address).returncode == 0
    assert journal.trained() == ALL
    journal.clear()
    edit(fresh, models=4)
    assert reference(fresh, cluster.address).returncode == 0
    assert journal.trained() == [(model + 2, epoch) for model, epoch in ALL]
    assert same(phi(fresh), expected)
    journal.clear()
    edit(fresh, {"epochs": 8})
    assert reference(fresh, cluster.address).returncode == 0
    assert journal.trained() == [(model, 8) for model in range(4)]
    longer = phi(fresh)
    assert list(longer) == [2, 4, 6, 8]
    assert same({epoch: longer[epoch] for epoch in expected}, expected)
    fresh.append("privacy_report/training/trainer.py", "# a comment")
    edit(fresh, {"label": "Another"})
    assert reference(fresh, NOWHERE).returncode == 0
    assert same(phi(fresh), longer)


NO_DISK = """
from privacy_report.datasets import prepared
from privacy_report.errors import UserError
from privacy_report.training import worker

def missing(*folder):
    raise UserError("no such file")

def noted(digest, data):
    with open(FILE, "a") as file:
        file.write("received" + chr(10))
    receive(digest, data)

receive = vars(worker).setdefault("plain_receive", worker.receive)  # Dask loads a preload twice
prepared.files_digest = prepared.read = missing
worker.receive = noted
"""


def test_workers_without_a_shared_disk_are_sent_the_examples_once(
    base, fresh, expected, journal, outside, tmp_path
):
    preload = tmp_path / "no_disk.py"
    preload.write_text(NO_DISK.replace("FILE", repr(str(tmp_path / "received"))))
    journal.clear()
    journal.fault(AT + DIE)
    there = [outside.worker(base.root, journal.preload, preload) for _ in range(2)]
    try:
        wait_until(lambda: outside.count() == 2)
        done = reference(fresh, outside.address)
        assert done.returncode == 0, done.stderr
    finally:
        for process in there:
            kill(process)
    assert Counter(journal.trained()) == Counter([*ALL, (1, 4)])
    assert (tmp_path / "received").read_text().split() == ["received"] * 2
    assert same(phi(fresh), first_two(expected))


@pytest.mark.slow
def test_private_references_repeat_even_where_the_variants_noise_is_secret(
    base, workers, journal, here, tmp_path
):
    """And all of the package that training needs was there before it began."""
    cluster, phis = workers(2), []
    journal.fault(
        "import sys\n"
        "ours = sorted(name for name in sys.modules if name.startswith('privacy_report'))\n"
        "if what != 'work': open(FOLDER / f'modules-{what}-{os.getpid()}', 'w').write(' '.join(ours))"
    )
    for name in ("one", "other"):
        sandbox = base.copy(tmp_path / name)
        sandbox.edit("params.yaml", "seed: committed", "seed: secret")
        phis.append(here(sandbox, cluster.address, variant="cnn3_dp"))
    assert list(phis[0]) == [1, 2]
    assert same(phis[0], phis[1])
    before = {path.read_text() for path in journal.folder.glob("modules-begin-*")}
    assert before == {path.read_text() for path in journal.folder.glob("modules-epoch-*")}
    assert len(before) == 1


def test_without_references_there_is_no_cluster(fresh):
    edit(fresh, models=0)
    done = reference(fresh, NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (fresh.root / "data/reference/cnn2").iterdir()] == ["trains.npy"]
    assert np.load(fresh.root / "data/reference/cnn2/trains.npy").shape == (0, 1797)
