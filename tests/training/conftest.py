"""A sandbox with two small reference models to train, and clusters of real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import numpy as np
import pytest
from dask_processes import Cluster, Journal, kill, started, wait_until
from reference_runs import edit, plan
from sandbox import Sandbox, make_sandbox

from privacy_report.pipeline.memo import Memo
from privacy_report.training import engine
from privacy_report.training.reference import interval
from privacy_report.training.references import ReferenceChain, phi_of


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The digits, and two references of three intervals of two epochs; nothing is trained here."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("base") / "repository")
    sandbox.python("-m", "stages.compose")
    sandbox.python("-m", "stages.prepare")
    for variant in ("cnn2", "cnn3", "cnn3_dp"):
        sandbox.python("-m", "stages.canaries", variant)
    edit(sandbox, {"epochs": 6, "epochs_per_report": 2}, models=2, per_variant={})
    return sandbox


@pytest.fixture
def fresh(base: Sandbox, tmp_path: Path) -> Sandbox:
    return base.copy(tmp_path / "repository")


@pytest.fixture(scope="session")
def expected(base: Sandbox) -> dict[int, np.ndarray]:
    """Epoch -> phi of four references, each trained without a break and without Dask."""
    edit(base, models=4)
    references = plan(base)
    edit(base, models=2)
    by_epoch: dict[int, list[np.ndarray]] = {2: [], 4: [], 6: []}
    for model in references:
        state = None
        for epoch, phis in by_epoch.items():
            values, state = interval(model.job, model.trains, state, range(epoch - 1, epoch + 1))
            phis.append(values)
    return {epoch: np.stack(phis) for epoch, phis in by_epoch.items()}


@pytest.fixture(scope="session")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("journal"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def workers(shared: Cluster, base: Sandbox, journal: Journal) -> Callable[[int], Cluster]:
    """A function that gives the shared cluster a number of workers; those that have TensorFlow stay."""
    wait_until(shared.idle)  # or what a failed run has left there would be noted in the next journal
    journal.clear()

    def exactly(count: int) -> Cluster:
        for process in shared.workers[count:]:
            kill(process)
        while len(shared.workers) < count:
            shared.worker(base.root, journal.preload)
        wait_until(lambda: shared.count() == count)
        return shared

    return exactly


@pytest.fixture(scope="session")
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
        references = plan(sandbox, variant)[:only]
        with dask.config.set(scheduler_address=address):
            engine.train([*map(ReferenceChain, references)], "test", **options)
        return phi_of(Memo("test"), references)

    return phis
