"""One run of a stage at a time in a working folder, with the inputs that it had when it started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_json

T = TypeVar("T")
FOLDER = Path(".dvc/tmp/stages")
"""Next to DVC's own locks: the store may be one that can only be read."""
DVC_USES = Path(".dvc/tmp/rwlock")
"""Which process reads or writes which path, by DVC."""
PARENT = os.getppid()
"""Whoever started this process; another one when that has died."""


def require_no_run() -> None:
    """UserError while a stage runs in this working folder, or a `dvc` that reads or writes outputs."""
    for path in sorted(FOLDER.glob("*.lock")):
        try:
            FileLock(path).acquire(blocking=False).lock.release()
        except Timeout:
            raise UserError(f"{path.stem}: it is running here; wait until it has ended") from None
    try:
        uses = read_json(DVC_USES) if DVC_USES.exists() else {}
    except ValueError:
        raise UserError(f"{DVC_USES}: a `dvc` is writing it, or it is damaged; wait, or remove it") from None
    users = [
        *uses.get("write", {}).values(),
        *(user for some in uses.get("read", {}).values() for user in some),
    ]
    for user in users:
        if _lives(user["pid"]):
            raise UserError(f"process {user['pid']} is running here ({user['cmd']}); wait until it has ended")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # no signal: whether one could be sent
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
