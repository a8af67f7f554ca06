"""Content-addressed store of finished work: epochs, scored and attacked checkpoints, reference models.

An entry is named by its key, a digest of everything that its result depends on (see `memo`). What comes out
is what was put, under that key: the arrays' digest is kept with them and compared at every `get`. The store
lives in `.store/` of the repository that DVC_ROOT names, so that experiments in temporary copies share it. No
file of it is an output's, too. Any entry may vanish at any time: it is computed again.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.digests import Arrays, arrays_digest
from privacy_report.pipeline.files import DamagedError, read_arrays, write_arrays

ABOUT = "_about"
"""The array of an entry that says what it is: JSON of its digest, seconds and processor."""
ENTRY, UNFINISHED, DAMAGED = ".npz", ".tmp", ".damaged"
UNFINISHED_SECONDS = 600  # an unfinished file may belong to a running stage


def root() -> Path:
    """The store's folder."""
    return Path(os.environ.get("DVC_ROOT", "."), ".store")


@dataclass(frozen=True)
class Entry:
    """A finished result: its arrays, how long it took, and on which kind of processor."""

    arrays: Arrays
    seconds: float
    processor: str


def path_of(kind: str, key: str) -> Path:
    """Where the entry `key` of `kind` is, or would be."""
    return root() / kind / f"{key}{ENTRY}"


def get(kind: str, key: str) -> Entry | None:
    """The entry, or None. One that is not what was put is set aside as *.damaged and counts as absent.

    Raises UserError when a file that may be sound cannot be read just now; it is left as it is.
    """
    path = path_of(kind, key)
    if not path.exists():
        return None
    try:
        entry = _verified(kind, key, read_arrays(path))
    except DamagedError as error:
        aside = path.with_suffix(DAMAGED)
        print(f"store: a damaged entry is set aside as {aside} ({error})", file=sys.stderr)
        with suppress(OSError):  # a store that may only be read, or another process was first
            os.replace(path, aside)
        return None
    except UserError:
        if path.exists():
            raise
        return None  # pruned in this moment
    with suppress(OSError):  # of a store that may only be read
        os.utime(path)  # prune drops what was not used for longest
    return entry


def put(kind: str, key: str, entry: Entry) -> None:
    """Keep an entry under `key`, atomically. UserError when the store cannot be written."""
    about = {
        "digest": _digest(kind, key, entry.arrays),
        "seconds": entry.seconds,
        "processor": entry.processor,
    }
    write_arrays(path_of(kind, key), {**entry.arrays, ABOUT: np.array(json.dumps(about, sort_keys=True))})


def require_writable() -> None:
    """UserError where nothing can be put into the store: better before hours of work than after them."""
    try:
        root().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root()):
            pass
    except OSError as error:
        raise UserError(
            f"{root()}: cannot be written ({error.strerror}), and not all that is needed is in it"
        ) from None


def _verified(kind: str, key: str, arrays: Arrays) -> Entry:
    """The entry of a file's arrays; DamagedError where what it says of itself is not true, or not all."""
    try:
        about: dict[str, Any] = json.loads(str(arrays.pop(ABOUT)))
        if about["digest"] == _digest(kind, key, arrays):
            return Entry(arrays, float(about["seconds"]), str(about["processor"]))
    except (KeyError, TypeError, ValueError):
        pass
    raise DamagedError("it is not what was put under this key")


def _digest(kind: str, key: str, arrays: Arrays) -> str:
    return arrays_digest({**arrays, f"{kind} {key}": np.empty(0)})


@dataclass(frozen=True)
class Stored:
    """A file of the store, with what decides over pruning it."""

    path: Path
    size: int
    used: float


def entries() -> list[Stored]:
    """All results in the store and what killed runs left unfinished, longest unused first."""
    stored = []
    for path in (*root().glob("*/*"), *root().glob(f".*{UNFINISHED}")):
        if path.suffix in {ENTRY, UNFINISHED, DAMAGED} and path.is_file():
            with suppress(FileNotFoundError):  # a running stage renames what it has finished
                status = path.stat()
                stored.append(Stored(path, status.st_size, status.st_mtime))
    return sorted(stored, key=lambda entry: (entry.used, str(entry.path)))


def prune(keep_bytes: int, spare_seconds: float = 0.0) -> tuple[int, int]:
    """Remove the longest unused entries until at most `keep_bytes` are left; (files, bytes) removed.

    Unfinished files of the last minutes may belong to a running stage and stay, and so do entries used within
    `spare_seconds`.
    """
    stored = entries()
    total, files, freed = sum(entry.size for entry in stored), 0, 0
    for entry in stored:
        unfinished = entry.path.suffix == UNFINISHED
        fresh = time.time() - entry.used < UNFINISHED_SECONDS
        spared = time.time() - entry.used < spare_seconds
        if (unfinished and fresh) or (not unfinished and (spared or total <= keep_bytes)):
            continue
        try:
            entry.path.unlink(missing_ok=True)
        except OSError:  # a store that may only be read
            continue
        total, files, freed = total - entry.size, files + 1, freed + entry.size
    return files, freed
