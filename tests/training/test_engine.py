"""Reference models on clusters of real processes, some of which are killed: always the same bytes.

What is killed is killed by SIGKILL from within an interval: see `dask_processes.PRELOAD`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import yaml
from dask_processes import LONG, Cluster, Journal, alive, kill, started, wait_until
from sandbox import Sandbox, environment, make_sandbox

from privacy_report.datasets import prepared
from privacy_report.errors import UserError
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.params import load
from privacy_report.training import cluster as cluster_module
from privacy_report.training import engine, interval
from privacy_report.training.references import Reference, advance, memberships, planned
from privacy_report.training.schema import ReferenceParams, Variant

pytestmark = pytest.mark.pipeline

NOWHERE = "tcp://127.0.0.1:9"
ALL = [(0, 2), (0, 4), (0, 6), (1, 2), (1, 4), (1, 6)]
"""(model, last epoch) of the intervals of two models."""
AT = "if what == 'epoch' and (model, epoch) == (1, 3) and once(): "
"""In the middle of model 1's second interval, once."""
DIE = "import signal; os.kill(os.getpid(), signal.SIGKILL)"


def edit(sandbox: Sandbox, variant: dict[str, Any] | None = None, **reference: Any) -> None:
    """Change parameters of cnn2 and of the references."""
    path = sandbox.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["variants"]["cnn2"] |= variant or {}
    params["reference"] |= reference
    path.write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The digits, and two references of three intervals of two epochs; nothing is trained here."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("base") / "repository")
    sandbox.python("-m", "stages.compose")
    sandbox.python("-m", "stages.prepare")
    edit(sandbox, {"epochs": 6, "epochs_per_report": 2}, models=2, per_variant={})
    return sandbox


@pytest.fixture
def fresh(base: Sandbox, tmp_path: Path) -> Sandbox:
    return base.copy(tmp_path / "repository")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("journal"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def workers(shared: Cluster, base: Sandbox, journal: Journal) -> Callable[[int], Cluster]:
    """A function that gives the shared cluster a number of workers; those that have TensorFlow stay."""
    journal.clear()

    def exactly(count: int) -> Cluster:
        for process in shared.workers[count:]:
            kill(process)
        while len(shared.workers) < count:
            shared.worker(base.root, journal.preload)
        return shared

    return exactly


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler whose workers come and go with a test."""
    with started(tmp_path_factory.mktemp("outside")) as cluster:
        yield cluster


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[int, np.ndarray]]:
    """The engine in this process, for a sandbox and the scheduler at an address."""

    def phis(
        sandbox: Sandbox, address: str | None, variant: str = "cnn2", only: int | None = None, **options
    ):
        monkeypatch.setenv("DVC_ROOT", str(sandbox.root))
        references, trains, source = plan(sandbox, variant)
        with dask.config.set(scheduler_address=address):
            return engine.reference_phi(
                Memo("test"), references[:only], trains[:only], source, "test", **options
            )

    return phis


def reference(sandbox: Sandbox, address: str, variant: str = "cnn2", **env: str):
    """Run the stage on a cluster; its result is not checked."""
    return sandbox.python(
        "-m", "stages.reference", variant, check=False, **{"DASK_SCHEDULER_ADDRESS": address} | env
    )


def phi(sandbox: Sandbox, variant: str = "cnn2") -> dict[int, np.ndarray]:
    """Epoch -> what the stage wrote."""
    folder = sandbox.root / "data/reference" / variant
    return {int(path.stem[-4:]): np.load(path) for path in sorted(folder.glob("phi_*.npy"))}


def same(found: dict[int, np.ndarray], expected: dict[int, np.ndarray]) -> bool:
    return {epoch: one.tobytes() for epoch, one in found.items()} == {
        epoch: one.tobytes() for epoch, one in expected.items()
    }


def first_two(expected: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    return {epoch: one[:2] for epoch, one in expected.items()}


def plan(sandbox: Sandbox, variant: str = "cnn2") -> tuple[list[Reference], np.ndarray, interval.Source]:
    """What the stage gives to the engine."""
    params = sandbox.root / "params.yaml"
    config, reference = (
        load(f"variants.{variant}", Variant, params),
        load("reference", ReferenceParams, params),
    )
    folder = sandbox.root / prepared.FOLDER
    data, digest = prepared.read(folder), prepared.files_digest(folder)
    n = len(data.member) + len(data.nonmember)
    trains = memberships(variant, reference, n)
    return planned(variant, config, reference, n, digest), trains, interval.Source(str(folder), digest)


@pytest.fixture(scope="module")
def expected(base: Sandbox) -> dict[int, np.ndarray]:
    """Epoch -> phi of four references, each trained without a break and without Dask."""
    edit(base, models=4)
    references, trains, source = plan(base)
    edit(base, models=2)
    data = interval.read(source)
    found: dict[int, list[np.ndarray]] = {2: [], 4: [], 6: []}
    for one, members in zip(references, trains, strict=True):
        state = None
        for epoch, phis in found.items():
            values, state = advance(one, members, data, state, range(epoch - 1, epoch + 1))
            phis.append(values)
    return {epoch: np.stack(phis) for epoch, phis in found.items()}


def test_results_do_not_depend_on_the_workers(base, expected, workers, tmp_path):
    """One, two and three processes over TCP; the address, and a scheduler file."""
    for count in (1, 2, 3):
        sandbox = base.copy(tmp_path / f"repository{count}")
        edit(sandbox, models=4)
        cluster = workers(count)
        if count == 3:
            wait_until(lambda: cluster.count() == 3)
        where = {"DASK_SCHEDULER_FILE": str(cluster.file)} if count == 3 else {}
        done = reference(sandbox, "" if where else cluster.address, **where)
        assert done.returncode == 0, done.stderr
        assert same(phi(sandbox), expected), count
    assert "reference@cnn2: checkpoints: 12/12" in done.stderr


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
    assert lines[-1] == "reference@cnn2: checkpoints: 6/6, 0 s left"
    assert all(line.startswith("reference@cnn2: checkpoints: ") for line in lines)
    assert len({note.pid for note in journal.notes("begin")}) == min(2, cluster_module.CPU_COUNT)
    assert not [note for note in journal.notes("begin") if alive(note.pid)]


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
        wait_until(lambda: not cluster.workers)
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
        journal.fault(AT + f"import signal; os.kill({cluster.scheduler.pid}, signal.SIGKILL)")
        done = reference(fresh, cluster.address)
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last == "error: the scheduler is lost; finished intervals are kept, run again"
        assert "Traceback" not in done.stderr
    assert journal.trained() == [(0, 2), (0, 4), (0, 6), (1, 2), (1, 4)]
    journal.clear()
    assert reference(fresh, workers(1).address).returncode == 0
    assert journal.trained() == [(1, 4), (1, 6)]
    assert same(phi(fresh), first_two(expected))


def local_stage(sandbox: Sandbox, journal: Journal) -> subprocess.Popen[str]:
    """The stage on a cluster of its own, in a process group of its own as in a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "stages.reference", "cnn2"], cwd=sandbox.root,
        env=environment() | {"DASK_DISTRIBUTED__WORKER__PRELOAD": f"['{journal.preload}']"},
        stderr=subprocess.PIPE, text=True, process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
    )  # fmt: skip


def test_a_killed_stage_takes_its_workers_with_it_and_goes_on_later(fresh, expected, workers, journal):
    journal.clear()
    journal.fault(AT + "import signal; os.kill(os.getppid(), signal.SIGKILL)")
    stage = local_stage(fresh, journal)
    stage.communicate(timeout=LONG)
    assert stage.returncode == -signal.SIGKILL
    pids = {note.pid for note in journal.notes("begin")}
    wait_until(lambda: not any(map(alive, pids)))
    kept = len(list((fresh.root / ".store/reference").iterdir()))
    assert 1 <= kept < 6
    journal.clear()
    assert reference(fresh, workers(2).address).returncode == 0
    assert len(journal.trained()) == 6 - kept
    assert same(phi(fresh), first_two(expected))


def test_ctrl_c_ends_a_run_and_its_workers(fresh, journal):
    """From a terminal it goes to the workers, too, which say nothing of their own."""
    journal.clear()
    edit(fresh, {"epochs": 2000})
    edit(fresh, epochs=2000)
    stage = local_stage(fresh, journal)
    wait_until(lambda: journal.notes("epoch") or stage.poll() is not None)
    os.killpg(stage.pid, signal.SIGINT)
    _, errors = stage.communicate(timeout=LONG)
    assert stage.returncode == 130
    lines = [line for line in errors.splitlines() if "checkpoints" not in line]
    assert lines == ["error: interrupted; finished work is kept"]
    pids = {note.pid for note in journal.notes("work")}
    wait_until(lambda: not any(map(alive, pids)))


SAY_OTHER_LIBRARY = """
import importlib.metadata
real = importlib.metadata.version
importlib.metadata.version = lambda name: "1.0" if name == "numpy" else real(name)
"""
HAVE_NO_PACKAGE = "import sys; sys.modules['privacy_report.training.interval'] = None"
OTHERS: dict[str, tuple[str, int, dict[str, str], str]] = {
    "code": ("", 1, {}, "has other code than this checkout; bring both to the same commit"),
    "loaded": (
        "from privacy_report.training import interval",
        1,
        {},
        "has loaded code that has changed since",
    ),
    "libraries": (SAY_OTHER_LIBRARY, 1, {}, "has other versions: .*'numpy': '1.0'.*, expected .*'numpy'"),
    "environment": ("", 1, {"DNNL_MAX_CPU_ISA": "AVX"}, "has other environment: .*'AVX'}, expected {}"),
    "threads": ("", 3, {}, "has 3 threads; start it with --nthreads 1"),
    "package": (HAVE_NO_PACKAGE, 1, {}, "cannot train .ModuleNotFoundError: .*training.interval"),
}
"""What is odd about a worker: what it preloads, threads, environment, and what is said of it."""


@pytest.mark.parametrize("odd", OTHERS)
def test_a_worker_that_may_compute_something_else_is_refused_by_its_address(odd, base, fresh, outside, here):
    preload, threads, env, said = OTHERS[odd]
    if odd in ("code", "loaded"):
        fresh.edit("privacy_report/training/trainer.py", '"weights {seed}', '"weigths {seed}')
    (fresh.root / "odd.py").write_text(preload)
    worker = outside.worker(fresh.root, fresh.root / "odd.py", threads=threads, **env)
    try:
        wait_until(lambda: outside.count() == 1)
        if odd == "loaded":
            fresh.edit("privacy_report/training/trainer.py", '"weigths {seed}', '"weights {seed}')
        with pytest.raises(UserError, match=rf"^worker tcp://127.0.0.1:[0-9]+ {said}"):
            here(base, outside.address)
    finally:
        kill(worker)


def test_code_that_changes_while_a_worker_loads_it_is_noticed(monkeypatch):
    assert not interval._changed_while_loading.__wrapped__()
    monkeypatch.setattr(interval, "LOADED", {})
    assert interval._changed_while_loading.__wrapped__()


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
from privacy_report.training import interval
from privacy_report.training.interval import receive

def missing(*folder):
    raise UserError("no such file")

def noted(digest, data):
    with open(FILE, "a") as file:
        file.write("received" + chr(10))
    receive(digest, data)

prepared.files_digest = prepared.read = missing
if receive.__name__ != "noted":
    interval.receive = noted
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
    said = r"^cnn2 reference \d of seed 0: diverged, \d+ of 1797 outputs are not finite after epoch 2$"
    with pytest.raises(UserError, match=said):
        here(fresh, workers(2).address)


def test_without_references_there_is_no_cluster(fresh):
    edit(fresh, models=0)
    done = reference(fresh, NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in (fresh.root / "data/reference/cnn2").iterdir()] == ["trains.npy"]
    assert np.load(fresh.root / "data/reference/cnn2/trains.npy").shape == (0, 1797)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"models": 3}, "reference.models: got 3, allowed: 0 or a multiple of 2 at fraction 0.5"),
        ({"epochs": 1}, "reference.epochs: got 1, allowed: at least 2, the first checkpoint of cnn2"),
    ],
)
def test_wrong_numbers_are_refused_before_anything_starts(params, said, fresh):
    edit(fresh, **params)
    done = reference(fresh, NOWHERE)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


def test_no_worker_within_the_patience(base, outside, here):
    with pytest.raises(UserError, match="^no worker joined the scheduler within 1 s$"):
        here(base, outside.address, patience=0.6)


def test_no_scheduler_at_the_address(base, here, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster_module, "ANSWER", 1)
    with pytest.raises(UserError, match=f"^no scheduler answers at {NOWHERE} "):
        here(base, NOWHERE)
    with pytest.raises(UserError, match="^no scheduler answers at nowhere://1 "):
        here(base, "nowhere://1")
    for text in (None, "", "[]", '{"address": '):
        path = tmp_path / "scheduler.json"
        if text is not None:
            path.write_text(text)
        with (
            dask.config.set(scheduler_file=str(path)),
            pytest.raises(UserError, match=r"scheduler\.json: no scheduler file \("),
        ):
            here(base, None)


def test_private_references_repeat_even_where_the_variants_noise_is_secret(
    base, workers, journal, here, tmp_path
):
    """And all of the package that training needs was there before it began."""
    cluster, found = workers(2), []
    journal.fault(
        "import sys\n"
        "ours = sorted(name for name in sys.modules if name.startswith('privacy_report'))\n"
        "if what != 'work': open(FOLDER / f'modules-{what}-{os.getpid()}', 'w').write(' '.join(ours))"
    )
    for name in ("one", "other"):
        sandbox = base.copy(tmp_path / name)
        sandbox.edit("params.yaml", "seed: committed", "seed: secret")
        found.append(here(sandbox, cluster.address, variant="cnn3_dp"))
    assert list(found[0]) == [1, 2]
    assert same(found[0], found[1])
    before = {path.read_text() for path in journal.folder.glob("modules-begin-*")}
    assert before == {path.read_text() for path in journal.folder.glob("modules-epoch-*")}
    assert len(before) == 1
