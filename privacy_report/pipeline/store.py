"""Content-addressed store of finished work: epochs, scored and attacked checkpoints, reference models.

An entry is named by its key, a digest of everything that its result depends on (see `memo`). The store lives
in `.store/` of the repository that DVC_ROOT names, so that experiments in temporary copies share it. Any
entry may vanish at any time: it is computed again.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.files import DamagedError, read_arrays, write_arrays

META = "_seconds", "_processor"
ENTRY, UNFINISHED, DAMAGED = ".npz", ".tmp", ".damaged"
UNFINISHED_SECONDS = 600  # an unfinished file may belong to a running stage


def root() -> Path:
    """The store's folder."""
    return Path(os.environ.get("DVC_ROOT", "."), ".store")


@dataclass(frozen=True)
class Entry:
    """A finished result: its arrays, how long it took, and on which kind of processor."""

    arrays: dict[str, np.ndarray]
    seconds: float
    processor: str


def path_of(kind: str, key: str) -> Path:
    """Where the entry `key` of `kind` is, or would be."""
    return root() / kind / f"{key}{ENTRY}"


def get(kind: str, key: str) -> Entry | None:
    """The entry, or None. One whose bytes are wrong is set aside as *.damaged and counts as absent.

    Raises UserError when a file that may be sound cannot be read just now; it is left as it is.
    """
    path = path_of(kind, key)
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        seconds, processor = (arrays.pop(name) for name in META)
    except (DamagedError, KeyError) as error:
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
    return Entry(arrays, float(seconds), str(processor))


def put(kind: str, key: str, entry: Entry) -> None:
    """Keep an entry under `key`, atomically. UserError when the store cannot be written."""
    meta = dict(zip(META, (np.array(entry.seconds), np.array(entry.processor)), strict=True))
    write_arrays(path_of(kind, key), {**entry.arrays, **meta})


@dataclass(frozen=True)
class Stored:
    """A file of the store, with what decides over pruning it."""

    path: Path
    size: int
    used: float


def entries() -> list[Stored]:
    """All results in the store and what killed runs left unfinished, longest unused first."""
    found = []
    for path in root().glob("*/*"):
        if path.suffix in {ENTRY, UNFINISHED, DAMAGED} and path.is_file():
            with suppress(FileNotFoundError):  # a running stage renames what it has finished
                status = path.stat()
                found.append(Stored(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: (entry.used, str(entry.path)))


def prune(keep_bytes: int) -> tuple[int, int]:
    """Remove the longest unused entries until at most `keep_bytes` are left; (files, bytes) removed.

    Unfinished files of the last minutes may belong to a running stage and stay.
    """
    found = entries()
    total, files, freed = sum(entry.size for entry in found), 0, 0
    for entry in found:
        unfinished = entry.path.suffix == UNFINISHED
        fresh = time.time() - entry.used < UNFINISHED_SECONDS
        if (total <= keep_bytes and not unfinished) or (unfinished and fresh):
            continue
        entry.path.unlink(missing_ok=True)
        total, files, freed = total - entry.size, files + 1, freed + entry.size
    return files, freed
