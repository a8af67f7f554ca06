"""Reference models on a Dask cluster: side by side on this machine's cores, or wherever a scheduler sends them.

Without settings a cluster of one process a core starts here, on 127.0.0.1 only. DASK_SCHEDULER_ADDRESS (or
`scheduler-file`, both Dask's own settings) names another one. Results do not depend on where and by how
many workers they are computed: a task is one interval of one model, gets its state with the task, and returns
the next. Only this process reads and writes the store, so that workers need no shared disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed, get_worker

from privacy_report.datasets import prepared
from privacy_report.errors import UserError
from privacy_report.pipeline import memo, store
from privacy_report.pipeline.command import track
from privacy_report.pipeline.memo import Arrays, Memo
from privacy_report.training import run
from privacy_report.training.data import Data
from privacy_report.training.references import ADVANCE, PHI, Reference, advance

KIND, STATE = "reference", "reference-state"
RETRIES = 2  # a task that failed three times is given up
PATIENCE = 60  # seconds to wait for a first worker
SETTINGS = {
    "distributed.scheduler.allowed-failures": RETRIES,  # deaths of a worker under one task
    "distributed.scheduler.worker-ttl": "15 minutes",  # TensorFlow may hold the interpreter's lock for long
    "distributed.worker.daemon": True,
}


@dataclass(frozen=True)
class Source:
    """Where a worker that shares this disk reads the examples: a folder, and the digest of what is there."""

    folder: str
    digest: str


@dataclass(frozen=True)
class Done:
    """What a task returns: an interval's results, or why there are none and never will be."""

    phi: np.ndarray | None = None
    state: Arrays | None = None
    seconds: float = 0.0
    processor: str = ""
    refused: str = ""


def reference_phi(
    kept: Memo, references: list[Reference], trains: np.ndarray, source: Source, label: str
) -> dict[int, np.ndarray]:
    """Epoch -> phi float32 (models, n) of all references, from the store or else trained on the cluster.

    Raises UserError that names the model and the cause when a model fails three times or diverges, the worker
    that has other code or libraries, or the scheduler that is lost. What is finished stays in the store.
    """
    at = [_reached(reference) for reference in references]
    total = sum(len(reference.epochs) for reference in references)
    left = total - sum(
        reference.epochs.index(epoch) + 1 for reference, epoch in zip(references, at, strict=True) if epoch
    )
    if left:
        with _client() as client:
            steps = _train(client, references, trains, at, source)
            for _ in track(steps, left, label):
                pass
    epochs = references[0].epochs
    return {
        epoch: np.stack([_stored(kept, reference, epoch) for reference in references]) for epoch in epochs
    }


def _reached(reference: Reference) -> int:
    """The last epoch up to which phi is there, and the state to go on from if it is not the end; 0 at first."""
    reached = 0
    for epoch in reference.epochs:
        if not store.path_of(KIND, reference.key(epoch)).exists():
            break
        if epoch == reference.epochs[-1] or store.path_of(STATE, reference.key(epoch)).exists():
            reached = epoch
    return reached


def _stored(kept: Memo, reference: Reference, epoch: int) -> np.ndarray:
    def lost() -> Arrays:
        raise UserError(f"{reference.name}: its outputs at epoch {epoch} were lost, run again")

    return kept.recall(KIND, reference.key(epoch), lost)[PHI]


@contextmanager
def _client() -> Iterator[Client]:
    """A client of the cluster that Dask's settings name, or of one that lives as long as this block."""
    with dask.config.set(SETTINGS):
        address, file = dask.config.get("scheduler-address", None), dask.config.get("scheduler-file", None)
        if address or file:
            try:
                client = Client(address, scheduler_file=None if address else file, timeout=PATIENCE)
            except (OSError, ValueError) as error:
                raise UserError(f"no scheduler answers at {address or file} ({error})") from None
            with client:
                yield client
            return
        cores = os.cpu_count() or 1
        with (
            LocalCluster(
                n_workers=cores,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=0,
                silence_logs=50,
                env={"TF_NUM_INTEROP_THREADS": "1"},
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client


def _train(
    client: Client, references: list[Reference], trains: np.ndarray, at: list[int], source: Source
) -> Iterator[None]:
    """Train what is missing; yields once an interval that is finished and stored."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise UserError(f"no worker joined the scheduler within {PATIENCE} s") from None
    expected = run.code_of(references[0].config, ADVANCE)
    for worker, why in client.run(_refusal, references[0].config, expected).items():
        if why:
            raise UserError(f"worker {worker} {why}")
    data = _where(client, source)
    lost = dict.fromkeys(range(len(references)), 0)

    def submit(i: int, state: Arrays | None, worker: str | None = None) -> Future:
        epochs = range(at[i] + 1, _next(references[i], at[i]) + 1)
        return client.submit(
            _work, references[i], trains[i], data, state, epochs, expected,
            key=f"{references[i].key(epochs[-1])}-{lost[i]}", retries=RETRIES, pure=False,
            workers=[worker] if worker else None, allow_other_workers=bool(worker),
        )  # fmt: skip

    running = {
        submit(i, _state(reference, at[i])): i
        for i, reference in enumerate(references)
        if at[i] < reference.epochs[-1]
    }
    queue = as_completed(list(running), raise_errors=False)
    for future in queue:
        i = running.pop(future)
        done = _result(client, future, references[i].name)
        if done is None:  # the examples that it needed went with their worker
            lost[i] += 1
            if lost[i] > RETRIES:
                raise UserError(f"{references[i].name}: lost with its worker {lost[i]} times")
            data = _where(client, source)
            again, worker = _state(references[i], at[i]), None
        else:
            before, at[i] = at[i], _next(references[i], at[i])
            _keep(references[i], before, at[i], done)
            again, worker = done.state, _worker_of(client, future)
            yield
        if at[i] < references[i].epochs[-1]:
            following = submit(i, again, worker)
            running[following] = i
            queue.add(following)


def _next(reference: Reference, epoch: int) -> int:
    return next(later for later in reference.epochs if later > epoch)


def _state(reference: Reference, epoch: int) -> Arrays | None:
    """The state after `epoch` epochs, None at the beginning."""
    if not epoch:
        return None
    entry = store.get(STATE, reference.key(epoch))
    if entry is None:
        raise UserError(f"{reference.name}: its state at epoch {epoch} was lost, run again")
    return entry.arrays


def _keep(reference: Reference, before: int, epoch: int, done: Done) -> None:
    """Store an interval: the state first, so that whoever finds phi can go on; the one before is done with."""
    assert done.phi is not None
    assert done.state is not None
    store.put(STATE, reference.key(epoch), store.Entry(done.state, done.seconds, done.processor))
    store.put(KIND, reference.key(epoch), store.Entry({PHI: done.phi}, done.seconds, done.processor))
    if before:
        store.path_of(STATE, reference.key(before)).unlink(missing_ok=True)


def _result(client: Client, future: Future, name: str) -> Done | None:
    """What a task returned; None where it was cancelled because data in a worker's memory was lost."""
    if future.status == "cancelled":
        if client.status != "running":
            raise UserError("the scheduler is lost; finished intervals are kept, run again")
        return None
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            raise UserError(f"{name}: its worker died {RETRIES + 1} times")
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{name}: failed {RETRIES + 1} times ({reason})")
    try:
        done: Done = future.result()
    except Exception as error:  # its worker died before the result was here
        if client.status != "running":
            raise UserError("the scheduler is lost; finished intervals are kept, run again") from error
        return None
    if done.refused:
        raise UserError(done.refused)
    return done


def _worker_of(client: Client, future: Future) -> str | None:
    """Who has the model in memory: the next interval starts faster there."""
    return next(iter(client.who_has([future]).get(future.key, ())), None)


def _where(client: Client, source: Source) -> Source | Future:
    """The folder, where all workers have the same examples in it; else the examples, sent to each once."""
    if all(client.run(_has, source).values()):
        return source
    return client.scatter(read(source.folder), broadcast=True, hash=False)


def _has(source: Source) -> bool:
    """Whether this worker finds the examples in its own folder."""
    try:
        return prepared.files_digest(source.folder) == source.digest
    except (UserError, OSError):
        return False


def read(folder: str | Path) -> Data:
    """All examples of a prepared folder as training data: rows are the members, then the non-members."""
    found = prepared.read(folder)
    rows = np.concatenate([found.member, found.nonmember])
    return Data(found.images, found.labels, rows, rows[:0], found.about["n_classes"])


_read_once = lru_cache(maxsize=1)(read)
_loaded: dict[str, Mapping[str, Any]] = {}
"""What this process's code was when it computed first: it cannot unlearn what it has imported."""


def _refusal(config: Any, expected: Mapping[str, Any]) -> str:
    """Why this worker must not compute, empty when it may."""
    here = run.code_of(config, ADVANCE)
    loaded = _loaded.setdefault(memo.digest([config.model, bool(config.privacy)]), here)
    if here["versions"] != expected["versions"]:
        return f"has other libraries: {here['versions']}, expected {expected['versions']}"
    if here != expected:
        return "has other code (or environment) than this checkout; bring it to the same commit"
    if loaded != here:
        return "has loaded code that has changed since; restart it"
    return ""


def _work(
    reference: Reference,
    trains: np.ndarray,
    data: Source | Data,
    state: Arrays | None,
    epochs: range,
    expected: Mapping[str, Any],
) -> Done:
    """One interval of one model, on a worker."""
    if why := _refusal(reference.config, expected):
        return Done(refused=f"worker {get_worker().address} {why}")
    started = time.monotonic()
    examples = _read_once(data.folder) if isinstance(data, Source) else data
    try:
        phi, after = advance(reference, trains, examples, state, epochs)
    except UserError as error:
        return Done(refused=str(error))
    return Done(phi, after, time.monotonic() - started, memo.processor())
