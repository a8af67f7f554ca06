"""A client of the Dask cluster that Dask's own settings name, or else of one on this machine's cores.

DASK_SCHEDULER_ADDRESS or DASK_SCHEDULER_FILE name a cluster. Without them one process per core starts here,
and a single one for a GPU.
They listen on 127.0.0.1 only, talk to nobody without the certificate that this process makes for the run and
keeps in memory, and end with this process, however it ends.
"""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from privacy_report.errors import UserError, one_line
from privacy_report.pipeline.interrupts import without_ctrl_c
from privacy_report.training import device
from privacy_report.training.schema import GPU

RETRIES = 2  # a task that failed three times is given up
ANSWER = 30  # seconds to wait for a scheduler's answer
SETTINGS = {
    "distributed.scheduler.allowed-failures": RETRIES,  # deaths of a worker under one task
    "distributed.scheduler.worker-ttl": "15 minutes",  # TensorFlow may hold the interpreter's lock for long
    "distributed.scheduler.http.routes": [],  # pages that ask nobody who they are
    "distributed.worker.http.routes": [],
    "distributed.admin.large-graph-warning-threshold": "1 TB",  # a task brings its model's state
}
"""Of this process, and so of a cluster that starts here; another scheduler has its own."""


@contextmanager
def connected(most: int) -> Iterator[Client]:
    """A client for the time of the block.

    most: processes that can be of use, where a cluster starts here. UserError when no scheduler answers.
    """
    with dask.config.set(SETTINGS), _silence():
        address, file = dask.config.get("scheduler-address", None), dask.config.get("scheduler-file", None)
        if address or file:
            with _joined(address or _address_in(file)) as client:
                yield client
        else:
            with ExitStack() as stack:  # so that what ends the first block closes the cluster, too
                with without_ctrl_c(), _without_sigterm():
                    cluster = stack.enter_context(_local(min(_room(), most)))
                yield stack.enter_context(Client(cluster))


@contextmanager
def _silence() -> Iterator[None]:
    """No log lines of Dask's on stderr: what stops a run is one line of ours."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _without_sigterm() -> Iterator[None]:
    """A SIGTERM waits for the end of the block; workers, whom Dask itself ends by it, do not inherit that."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)


def _address_in(file: str) -> str:
    """The address in a scheduler file."""
    try:
        with open(file, encoding="utf-8") as text:
            return str(json.load(text)["address"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{file}: no scheduler file ({error})") from None


def _joined(address: str) -> Client:
    try:
        return Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise UserError(f"no scheduler answers at {address} ({one_line(error)})") from None


def _room() -> int:
    """How many processes this machine has room for: TensorFlow takes all memory of a GPU for one."""
    return 1 if device.chosen() == GPU else CPU_COUNT


def _local(processes: int) -> LocalCluster:
    return LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
        security=True,
        silence_logs=logging.CRITICAL,
        env={"TF_NUM_INTEROP_THREADS": "1"},
    )
