"""One run of a stage at a time in a working folder, with the inputs that it had when it started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from privacy_report.errors import UserError

T = TypeVar("T")
FOLDER = Path(".dvc/tmp/stages")
"""Next to DVC's own locks: the store may be one that can only be read."""
PARENT = os.getppid()
"""Whoever started this process; another one when that has died."""


@contextmanager
def exclusive(stage: str, inputs: Callable[[], T]) -> Iterator[T]:
    """Hold the lock of this working folder's stage ("train@cnn2"), and yield `inputs()`.

    A killed `dvc` leaves its trainer running, and the next `dvc repro` starts another: that one waits here,
    then finds the first one's work in the store. The kernel drops the lock of a dead process. `inputs` gives
    all that the run reads and all that its keys hold; it is called before the wait and again with the lock
    held. Raises UserError where the two differ, since this process runs the code that it has loaded, and for
    a run whose own parent has died while it waited: nobody expects its results.
    """
    before = inputs()
    FOLDER.mkdir(parents=True, exist_ok=True)
    owner, lock = FOLDER / f"{stage}.pid", FileLock(FOLDER / f"{stage}.lock")
    waited = False
    try:
        lock.acquire(blocking=False)
    except Timeout:
        waited = True
        who = owner.read_text(encoding="utf-8").strip() if owner.exists() else "unknown"
        print(f"{stage}: waiting for another run in this folder (process {who})", flush=True)
        lock.acquire()
    try:
        if waited and os.getppid() != PARENT:
            raise UserError(f"{stage}: whoever started this run has ended")
        if inputs() != before:
            raise UserError(f"{stage}: inputs changed while waiting, run again")
        owner.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield before
    finally:
        lock.release()
