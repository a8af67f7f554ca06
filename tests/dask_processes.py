"""A Dask cluster of real processes on this machine, and a journal of what its workers train."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
from distributed import Client
from forked import Forked, python_m
from sandbox import environment

TARGET = -1
"""The number of a target in a journal; references have their own."""
LONG = 300  # seconds after which a test gives up: a busy machine must not fail it, nor a fault hang it
PRELOAD = '''"""Loaded into a worker: notes what it trains, and commits the fault that a test has put there.

The fault is Python that runs whenever something is about to happen, with its names: `what` is "work" (a task
has come), "begin" (training begins) or "epoch"; `model`, {target} for a target; `epoch`, for "work" and
"begin" the interval's last.
"""
import os
import pathlib
import signal

from privacy_report.training import worker

FOLDER, TARGET = pathlib.Path("{folder}"), {target}
work, changed = vars(worker).setdefault("plain", (worker.work, worker._changed_while_loading))  # loaded twice


def once():
    """True for one caller of all."""
    try:
        (FOLDER / "fault").unlink()
    except FileNotFoundError:
        return False
    return True


def happens(what, model, epoch):
    with open(FOLDER / "journal", "a") as file:
        file.write(f"{{os.getpid()}} {{what}} {{model}} {{epoch}}\\n")
    if (FOLDER / "fault").exists():
        exec((FOLDER / "fault").read_text(), globals() | {{"what": what, "model": model, "epoch": epoch}})


def model_of(named):
    return int(named.name.split()[2]) if " " in named.name else TARGET


def noted_work(model, state, epochs):
    happens("work", model_of(model.job), epochs[-1])
    return work(model, state, epochs)


def noted_changed(recipe):
    """Loads the code that computes; it is watched from then on."""
    found = changed(recipe)
    from privacy_report.training import reference, target
    from privacy_report.training.trainer import Trainer

    def watch(module, name, last):
        plain = vars(module).setdefault("plain_" + name, getattr(module, name))

        def noted(job, *given):
            def noted_run(self, epoch):
                happens("epoch", model_of(job), epoch)
                return run(self, epoch)

            happens("begin", model_of(job), last(*given))
            run, Trainer.run = Trainer.run, noted_run
            try:
                return plain(job, *given)
            finally:
                Trainer.run = run

        setattr(module, name, noted)

    watch(reference, "interval", lambda trains, state, epochs, *more: epochs[-1])
    watch(target, "epoch", lambda state, epoch: epoch)
    return found


worker.work, worker._changed_while_loading = noted_work, noted_changed
'''


class Note(NamedTuple):
    """A line of the journal; see PRELOAD."""

    pid: int
    what: str
    model: int
    epoch: int


@dataclass
class Journal:
    """What the workers note that load `preload`."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.preload.write_text(PRELOAD.format(folder=self.folder, target=TARGET))

    @property
    def preload(self) -> Path:
        return self.folder / "preload.py"

    def clear(self) -> None:
        for name in ("journal", "fault"):
            (self.folder / name).unlink(missing_ok=True)

    def fault(self, code: str) -> None:
        """What happens in the workers from now on; see PRELOAD."""
        (self.folder / "fault.tmp").write_text(code)
        (self.folder / "fault.tmp").rename(self.folder / "fault")

    def notes(self, what: str) -> list[Note]:
        path = self.folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        notes = [Note(int(pid), kind, int(m), int(e)) for pid, kind, m, e in map(str.split, lines)]
        return [note for note in notes if note.what == what]

    def trained(self) -> list[tuple[int, int]]:
        """(model, last epoch) of the intervals that were begun, sorted."""
        return sorted((note.model, note.epoch) for note in self.notes("begin"))


def wait_until(there: Callable[[], object]) -> None:
    """Wait for a condition; AssertionError after a very long time."""
    until = time.monotonic() + LONG
    while not there():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@dataclass
class Cluster:
    """`dask scheduler` and `dask worker` as processes, on 127.0.0.1 only; folder: for files and logs."""

    folder: Path
    scheduler: subprocess.Popen[bytes] = field(init=False)
    started: list[Forked] = field(default_factory=list)
    """All workers."""

    @property
    def file(self) -> Path:
        """The scheduler file."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    @property
    def workers(self) -> list[Forked]:
        """Those that are alive."""
        return [process for process in self.started if process.poll() is None]

    def count(self) -> int:
        """How many workers have joined."""
        with Client(self.address, set_as_default=False) as client:
            return len(client.nthreads())

    def idle(self) -> bool:
        """Whether no worker is in a task, not even in one that its client has given up."""
        with Client(self.address, set_as_default=False) as client:
            return not any(client.run(lambda dask_worker: len(dask_worker.state.executing)).values())

    def start(self, **env: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "scheduler.log", "ab") as log:
            self.scheduler = subprocess.Popen(
                [Path(sys.executable).parent / "dask", "scheduler", "--host", "127.0.0.1", "--port", "0",
                 "--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(self.file)],
                cwd=self.folder, env=environment() | env, stdout=log, stderr=log,
            )  # fmt: skip
        wait_until(lambda: self.file.exists() and self.file.read_text().endswith("}"))

    def worker(self, code: Path, *preloads: Path, threads: int = 1, **env: str) -> Forked:
        """Start a worker that runs the package in the folder `code`."""
        process = python_m(
            "dask", "worker", "--scheduler-file", str(self.file), "--host", "127.0.0.1",
            "--nthreads", str(threads), "--no-dashboard", "--no-nanny", "--local-directory", str(self.folder),
            *(f"--preload={preload}" for preload in preloads),
            cwd=code, log=self.folder / "worker.log", PYTHONPATH=str(code), **env,
        )  # fmt: skip
        self.started.append(process)
        return process


@contextmanager
def started(folder: Path, **env: str) -> Iterator[Cluster]:
    """A scheduler that has no workers yet; at the end all processes are killed."""
    cluster = Cluster(folder)
    try:
        cluster.start(**env)
        yield cluster
    finally:
        for process in (cluster.scheduler, *cluster.started):
            kill(process)


def kill(process: subprocess.Popen[bytes] | Forked) -> None:
    """SIGKILL."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def alive(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
