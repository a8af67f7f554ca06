"""Results of the attacks that the store lacks, computed ahead by a process for each core.

The store is read and written by the process that asks for results. Where they are computed changes no bit.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection

from threadpoolctl import threadpool_limits

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.interrupts import without_ctrl_c
from privacy_report.pipeline.mapped import memory_at_hand
from privacy_report.pipeline.memo import Memo, processor

KIND = "attack"
THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
Job = tuple[str, Callable[[], Arrays]]
"""The memo's key of a result, and what computes it, which can be pickled."""
Jobs = Mapping[str, Callable[[], Arrays]]
"""Several of them."""
Made = tuple[dict[str, store.Entry], UserError | None]
"""Results by their keys, and what ended them early, if anything."""


class Ahead(Memo):
    """A memo whose results worker processes may be at already."""

    def __init__(self, stage: str):
        super().__init__(stage)
        self.coming: dict[str, Future[Made]] = {}
        self._counted: set[str] = set()

    def recall(self, kind: str, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """As `Memo.recall`; waits for a result that a worker is at, and counts each result's seconds once."""
        if kind == KIND and key in self.coming:
            self._keep(self.coming[key])
        before = self.seconds
        arrays = super().recall(kind, key, compute)
        if key in self._counted:
            self.seconds = before
        self._counted.add(key)
        return arrays

    def _keep(self, future: Future[Made]) -> None:
        """Store what a worker returned."""
        made, error = future.result()
        self.require_unchanged()  # workers have loaded the code after this process
        for key, entry in made.items():
            store.put(KIND, key, entry)
        if error:
            raise error
        self.coming = {key: other for key, other in self.coming.items() if other is not future}


@contextmanager
def ahead(kept: Ahead, batches: Sequence[Jobs], size: float, cores: int | None = None) -> Iterator[None]:
    """In the block, results of `batches` that the store lacks are computed ahead, in their order.

    A batch is made by one worker, since its results are of the same files. size: bytes of memory that a
    worker takes at most; there are as many as fit, and no more than `cores` (None: those that this process
    may use). Where that is one, none starts: `kept` computes by itself. All have ended after the block,
    however it ends. UserError where the store lacks results and cannot be written, or a worker vanishes.
    """
    lacking = _lacking(batches)
    most = min(len(lacking), cores or _cores(), int(memory_at_hand() // size))
    if most < 2:
        yield
        return
    store.require_writable()
    pool = ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), _start)
    try:
        with without_ctrl_c():
            for jobs in lacking:
                kept.coming |= dict.fromkeys(jobs, pool.submit(_make, jobs))
        yield
    except BrokenProcessPool:
        raise UserError(
            f"{kept.stage}: a worker process vanished, killed or out of memory; finished work is kept"
        ) from None
    finally:
        kept.coming.clear()
        for worker in multiprocessing.active_children():
            worker.kill()
        pool.shutdown(cancel_futures=True)


def _lacking(batches: Sequence[Jobs]) -> list[Jobs]:
    """The batches without what the store has, and each result once."""
    seen: set[str] = set()
    lacking: list[Jobs] = []
    for batch in batches:
        jobs = {
            key: job
            for key, job in batch.items()
            if key not in seen and not store.path_of(KIND, key).exists()
        }
        seen |= jobs.keys()
        lacking += [jobs] if jobs else []
    return lacking


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(jobs: Jobs) -> Made:
    """What a worker does with a batch."""
    made: dict[str, store.Entry] = {}
    for key, job in jobs.items():
        started = time.monotonic()
        try:
            arrays = job()
        except UserError as error:
            return made, error
        made[key] = store.Entry(arrays, time.monotonic() - started, processor())
    return made, None


def _start() -> None:
    """What a worker does first: one thread for linear algebra, and no life without its parent."""
    os.environ |= dict.fromkeys(THREADS, "1")  # for libraries that are still to be loaded
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
