"""All training on a Dask cluster: side by side on this machine's cores, or wherever a scheduler is.

A task is one interval of one model. It gets the state to go on from with the task and returns the next, so
that results do not depend on where and by how many workers they are computed. Only this process reads and
writes the store: workers need no shared disk, and what is lost with a process is its unfinished interval.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from distributed import CancelledError, Client, Future, KilledWorker

from privacy_report.datasets.canaries import World
from privacy_report.datasets.prepared import ARRAYS
from privacy_report.errors import UserError, type_and_text
from privacy_report.pipeline import store
from privacy_report.pipeline.digests import Arrays
from privacy_report.training import worker
from privacy_report.training.chains import STATE, Chain
from privacy_report.training.cluster import RETRIES, connected
from privacy_report.training.progress import Pace, Progress
from privacy_report.training.worker import Done, FailedError

PATIENCE = 300.0  # seconds without any worker
REMIND = 10.0  # seconds after which to say again that there is none
LOOK = 1.0  # seconds after which to look for workers that are new or gone
POLL = 0.05


def train(chains: Sequence[Chain], label: str, patience: float = PATIENCE) -> None:
    """Train all that is left of models, and keep it in the store.

    label: of the progress; patience: seconds to wait while there is no worker.
    Raises UserError that names the model and the cause when a model fails three times or diverges, the worker
    that has other code or libraries, or the scheduler that is lost. What is finished stays in the store.
    """
    chains = [chain for chain in chains if chain.left]
    if not chains:
        return
    store.require_writable()
    with Progress(label, chains) as progress, connected(len(chains)) as client:
        _Training(client, chains, patience, progress).run()


class _Training:
    """Models on a cluster, no more of them at a time than there are workers.

    So a model mostly stays with the worker that has it in memory, the only idle one, and a worker that dies
    takes one task with it: Dask counts its death against all that wait for it. No task is tied to a worker,
    not even loosely: when that one dies and was the last, Dask gives the task to no worker that comes later.
    A worker that has finished a model gets the one with the longest way to go, so that in the end no model is
    alone for long.
    """

    def __init__(self, client: Client, chains: Sequence[Chain], patience: float, progress: Progress):
        self.client, self.patience, self.progress = client, patience, progress
        self.pace: Pace = progress.pace
        self.waiting = list(chains)
        self.running: dict[Future, Chain] = {}
        self.lost: Counter[str] = Counter()
        self.workers: set[str] = set()
        self.looked = -LOOK
        self.seen = self.said = time.monotonic()  # when there was a worker last, and when it was said

    def run(self) -> None:
        """Train what is left, and store it as it comes."""
        while self.waiting or self.running:
            self._look()
            while self.waiting and len(self.running) < len(self.workers):
                chain = max(self.waiting, key=self.pace.rank)
                self.waiting.remove(chain)
                self._submit(chain, chain.stored())
            for future in self._ended():
                self._take(future)
            if self.running:
                self.progress.show([*self.running.values()], len(self.workers))

    def _look(self) -> None:
        """Greet the workers that are new. UserError where one must not compute, or there is none for long."""
        if time.monotonic() - self.looked < LOOK:
            return
        with _answering(self.client):
            workers = set(self.client.nthreads())
        self.looked = time.monotonic()
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
        """Let workers in."""
        model = (self.waiting or list(self.running.values()))[0].model
        with _answering(self.client):
            answers = self.client.run(worker.greet, model, workers=workers, on_error="return")
        for address, answer in answers.items():
            if isinstance(answer, OSError):  # gone again
                continue
            if isinstance(answer, Exception):
                raise UserError(f"worker {address} cannot train ({type_and_text(answer)})")
            if answer:
                raise UserError(f"worker {address} {answer}")
            self.workers.add(address)

    def _submit(self, chain: Chain, state: Arrays | None) -> None:
        """Train the next interval of a model."""
        task = pickle.dumps(partial(worker.work, chain.model, state, chain.next()))
        with _answering(self.client):
            future = self.client.submit(
                lambda task: pickle.loads(task)(), task,  # the scheduler unpickles all but bytes
                key=f"interval-{chain.key()}-{self.lost[chain.name]}", retries=RETRIES,
            )  # fmt: skip
        self.running[future] = chain

    def _ended(self) -> list[Future]:
        """The tasks that have ended, as soon as there is one; none after a while."""
        until = time.monotonic() + LOOK
        while True:
            ended = [future for future in self.running if future.done()]
            if ended or time.monotonic() > until:
                return ended
            time.sleep(POLL)

    def _take(self, future: Future) -> None:
        """Store what a task returned and go on with its model."""
        chain = self.running.pop(future)
        done = _result(future, chain.name)
        future.release()  # or it would be computed again if its worker dies
        if done.results is None:
            if done.worker:
                self._send(chain, done.worker)
            else:
                self.lost[chain.name] += 1
            if self.lost[chain.name] > RETRIES:
                raise UserError(f"{chain.name}: lost {self.lost[chain.name]} times")
            self.waiting.insert(0, chain)
            return
        del self.lost[chain.name]
        before, state = chain.at, done.results[STATE]
        chain.keep(done.results)
        self.pace.note(chain, chain.at - before, done.seconds)
        if not chain.left:
            return
        if len(self.running) < len(self.workers):
            self._submit(chain, state.arrays)
        else:  # there are fewer workers than before
            self.waiting.insert(0, chain)

    def _send(self, chain: Chain, to: str) -> None:
        """Send a model's examples to a worker that lacks them. UserError where it cannot hold them."""
        source = chain.model.job.source
        with _answering(self.client):
            answers = self.client.run(
                worker.receive, source.digest, _in_memory(source.read()), workers=[to], on_error="return"
            )
        for answer in answers.values():
            if isinstance(answer, Exception) and not isinstance(answer, OSError):  # that worker is gone
                raise UserError(f"worker {to} cannot hold the examples ({type_and_text(answer)})")


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
        reason = str(error) if isinstance(error, FailedError) else type_and_text(error)
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
