"""Reference models on a Dask cluster: side by side on this machine's cores, or wherever a scheduler is.

A task is one interval of one model. It gets the state to go on from with the task and returns the next, so
that results do not depend on where and by how many workers they are computed. Only this process reads and
writes the store: workers need no shared disk, and what is lost with a process is its unfinished interval.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from distributed import CancelledError, Client, Future, KilledWorker

from privacy_report.datasets.canaries import World
from privacy_report.datasets.prepared import ARRAYS
from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.command import track
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.memo import Memo
from privacy_report.training import worker
from privacy_report.training.cluster import RETRIES, connected
from privacy_report.training.references import PHI, Reference
from privacy_report.training.worker import Done, FailedError, one_line

KIND, STATE = "reference", "reference-state"
PATIENCE = 300.0  # seconds without any worker
REMIND = 10.0  # seconds after which to say again that there is none
LOOK = 1.0  # seconds after which to look for new workers
POLL = 0.05


def reference_phi(
    kept: Memo,
    references: list[Reference],
    label: str,
    patience: float = PATIENCE,
) -> dict[int, np.ndarray]:
    """Epoch -> phi float32 (models, n) of all references, from the store or else trained on the cluster.

    label: of the progress; patience: seconds to wait while there is no worker.
    Raises UserError that names the model and the cause when a model fails three times or diverges, the worker
    that has other code or libraries, or the scheduler that is lost. What is finished stays in the store.
    """
    at = [_reached(reference) for reference in references]
    left = sum(
        epoch > reached
        for reference, reached in zip(references, at, strict=True)
        for epoch in reference.epochs
    )
    if left:
        store.require_writable()
        models = sum(
            reached < reference.epochs[-1] for reference, reached in zip(references, at, strict=True)
        )
        with connected(models) as client:
            training = _Training(client, references, at, patience)
            for _ in track(training.steps(), left, label):
                pass
    epochs = references[0].epochs
    return {
        epoch: np.stack([_stored(kept, reference, epoch) for reference in references]) for epoch in epochs
    }


class _Training:
    """Models on a cluster, no more of them at a time than there are workers.

    So a model mostly stays with the worker that has it in memory, the only idle one, and a worker that dies
    takes one task with it: Dask counts its death against all that wait for it. No task is tied to a worker,
    not even loosely: when that one dies and was the last, Dask gives the task to no worker that comes later.
    `running` and `waiting` hold the models' numbers.
    """

    def __init__(
        self,
        client: Client,
        references: list[Reference],
        at: list[int],
        patience: float,
    ):
        self.client, self.references, self.at, self.patience = client, references, at, patience
        self.waiting = deque(i for i, each in enumerate(references) if at[i] < each.epochs[-1])
        self.running: dict[Future, int] = {}
        self.lost: Counter[int] = Counter()
        self.workers: set[str] = set()
        self.seen = self.said = time.monotonic()  # when there was a worker last, and when it was said

    def steps(self) -> Iterator[None]:
        """Train what is missing; yields once an interval that is finished and stored."""
        while self.waiting or self.running:
            self._look()
            while self.waiting and len(self.running) < len(self.workers):
                i = self.waiting.popleft()
                self._submit(i, _state(self.references[i], self.at[i]))
            for future in self._ended():
                if self._take(future):
                    yield

    def _look(self) -> None:
        """Greet the workers that are new. UserError where one must not compute, or there is none for long."""
        with _answering(self.client):
            workers = set(self.client.nthreads())
        self.workers &= workers
        if workers - self.workers:
            self._greet(sorted(workers - self.workers))
        if self.workers:
            self.seen = self.said = time.monotonic()
        else:
            self._wait()

    def _wait(self) -> None:
        """Say now and then that there is no worker, and until when one may join; then UserError."""
        now = time.monotonic()
        left = self.seen + self.patience - now
        if left < 0:
            raise UserError(f"no worker joined the scheduler within {self.patience:.0f} s")
        if now - self.said >= REMIND:
            self.said = now
            until = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
            assert self.client.scheduler is not None
            at = self.client.scheduler.address
            print(f"waiting for a worker to join {at}, until {until}", file=sys.stderr, flush=True)

    def _greet(self, workers: list[str]) -> None:
        """Let workers in, and send the examples to those that do not find them."""
        with _answering(self.client):
            answers = self.client.run(worker.greet, self.references[0], workers=workers, on_error="return")
        lacking = []
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # gone again
                continue
            if isinstance(answer, Exception):
                raise UserError(f"worker {address} cannot train ({one_line(answer)})")
            if answer.refused:
                raise UserError(f"worker {address} {answer.refused}")
            self.workers.add(address)
            if not answer.has_examples:
                lacking.append(address)
        if lacking:
            source = self.references[0].job.source
            with _answering(self.client):
                self.client.run(
                    worker.receive,
                    source.digest,
                    _in_memory(source.read()),
                    workers=lacking,
                    on_error="return",
                )

    def _submit(self, i: int, state: Arrays | None) -> None:
        """Train the next interval of model `i`."""
        reference = self.references[i]
        epochs = range(self.at[i] + 1, _next(reference, self.at[i]) + 1)
        task = pickle.dumps(partial(worker.work, reference, state, epochs))
        with _answering(self.client):
            future = self.client.submit(
                lambda task: pickle.loads(task)(), task,  # the scheduler unpickles all but bytes
                key=f"interval-{reference.key(epochs[-1])}-{self.lost[i]}", retries=RETRIES,
            )  # fmt: skip
        self.running[future] = i

    def _ended(self) -> list[Future]:
        """The tasks that have ended, as soon as there is one; none after a while."""
        until = time.monotonic() + LOOK
        while True:
            ended = [future for future in self.running if future.done()]
            if ended or time.monotonic() > until:
                return ended
            time.sleep(POLL)

    def _take(self, future: Future) -> bool:
        """Store what a task returned and go on with its model; False where nothing came."""
        i = self.running.pop(future)
        reference = self.references[i]
        done = _result(future, reference.name)
        future.release()  # or it would be computed again if its worker dies
        if done.phi is None:
            self.workers.discard(done.worker)
            self.lost[i] += 1
            if self.lost[i] > RETRIES:
                raise UserError(f"{reference.name}: lost {self.lost[i]} times")
            self.waiting.appendleft(i)
            return False
        del self.lost[i]
        before, self.at[i] = self.at[i], _next(reference, self.at[i])
        _keep(reference, before, self.at[i], done)
        if self.at[i] == reference.epochs[-1]:
            return True
        if len(self.running) < len(self.workers):
            self._submit(i, done.state)
        else:  # there are fewer workers than before
            self.waiting.appendleft(i)
        return True


@contextmanager
def _answering(client: Client) -> Iterator[None]:
    """One line instead of what Dask raises when the scheduler is gone."""
    lost = "the scheduler is lost; finished intervals are kept, run again"
    if client.status != "running":
        raise UserError(lost)
    try:
        yield
    except (OSError, CancelledError):
        raise UserError(lost) from None


def _result(future: Future, name: str) -> Done:
    """What a task returned; nothing where it, or its result, went with a process."""
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            died, last = error.allowed_failures + 1, error.last_worker.address
            raise UserError(f"{name}: {died} workers died while they trained it, the last was {last}")
        reason = str(error) if isinstance(error, FailedError) else one_line(error)
        raise UserError(f"{name}: failed {RETRIES + 1} times ({reason})")
    try:
        done: Done = future.result()
    except (OSError, CancelledError):
        return Done()
    if done.refused:
        raise UserError(done.refused)
    return done


def _in_memory(world: World) -> World:
    """The same examples in arrays that can be sent."""
    arrays: dict[str, Any] = {name: np.asarray(getattr(world.everyone, name)) for name in ARRAYS}
    return replace(world, everyone=replace(world.everyone, **arrays))


def _reached(reference: Reference) -> int:
    """The last epoch up to which phi is there, and unless it is the end the state to go on from; else 0."""
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
    """Store an interval, the state first: whoever finds phi can go on. The state before is done with."""
    assert done.phi is not None
    assert done.state is not None
    store.put(STATE, reference.key(epoch), store.Entry(done.state, done.seconds, done.processor))
    store.put(KIND, reference.key(epoch), store.Entry({PHI: done.phi}, done.seconds, done.processor))
    if before:
        store.path_of(STATE, reference.key(before)).unlink(missing_ok=True)
