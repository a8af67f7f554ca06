"""Content-addressed store of finished work: epochs, scored and attacked checkpoints, reference models.

An entry is named by its key, a digest of everything that its result depends on (see `memo`). The store lives
in `.store/` of the repository that DVC_ROOT names, so that experiments in temporary copies share it. Any
entry may vanish at any time: it is computed again.
"""

from __future__ import annotations

import filecmp
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.files import DamagedError, read_arrays, read_json, write_arrays, write_json

META = "_seconds", "_processor"
AS_OUTPUTS = ("epoch", "score")
"""Kinds whose entries are outputs of a stage, too: what is no output's is kept beside them, so that entry,
output and DVC's cache can be one file on the disk (`link`)."""
BESIDE = "about"
ENTRY, UNFINISHED, DAMAGED = ".npz", ".tmp", ".damaged"
UNFINISHED_SECONDS = 600  # an unfinished file may belong to a running stage


def root() -> Path:
    """The store's folder."""
    return Path(os.environ.get("DVC_ROOT", "."), ".store")


@dataclass(frozen=True)
class Entry:
    """A finished result: its arrays, how long it took, and on which kind of processor ("": not known)."""

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
        about = _about(kind, key) if kind in AS_OUTPUTS and META[0] not in arrays else arrays
        seconds, processor = (about.pop(name) for name in META)
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
    if kind in AS_OUTPUTS:
        write_json(_beside(kind, key), dict(zip(META, (entry.seconds, entry.processor), strict=True)))
        write_arrays(path_of(kind, key), entry.arrays)
        return
    meta = dict(zip(META, (np.array(entry.seconds), np.array(entry.processor)), strict=True))
    write_arrays(path_of(kind, key), {**entry.arrays, **meta})


def link(kind: str, key: str, path: Path) -> bool:
    """Make `path` another name of an entry of AS_OUTPUTS, which has the same bytes; False where it cannot be.

    The file may not be written any more, by neither name: stages replace their outputs, they change none.
    """
    entry, found = path_of(kind, key), path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    if kind not in AS_OUTPUTS or not _beside(kind, key).exists():  # older entries have other bytes
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(entry, found)  # fails across file systems, and where there are no hard links
        os.chmod(found, 0o444)
        os.replace(found, path)
    except OSError:
        return False
    finally:  # still there also where `path` was that entry already: renaming does nothing then
        found.unlink(missing_ok=True)
    return True


def share(outputs: Path) -> int:
    """Make entries other names of the outputs with the same bytes below a folder; bytes that this frees.

    DVC puts its own file in the place of the output that a stage has written, another name of its cache's.
    Where there are no hard links, nothing happens.
    """
    sizes: dict[int, list[Path]] = {}
    for kind in AS_OUTPUTS:
        for path in (root() / kind).glob(f"*{ENTRY}"):
            sizes.setdefault(path.stat().st_size, []).append(path)
    freed = 0
    for output in sorted(outputs.rglob(f"*{ENTRY}")):
        size = output.stat().st_size
        for entry in sizes.get(size, []):
            if entry.samefile(output):
                break
            if filecmp.cmp(entry, output, shallow=False):
                freed += size * _rename_as(output, entry)
                break
    return freed


def _rename_as(output: Path, entry: Path) -> bool:
    """Put another name of `output` in an entry's place; whether that could be done."""
    found = entry.with_name(f".{entry.name}.{os.getpid()}{UNFINISHED}")
    try:
        os.link(output, found)
        os.replace(found, entry)
    except OSError:
        found.unlink(missing_ok=True)
        return False
    return True


def refill(kind: str, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Replace what an entry of AS_OUTPUTS holds; an output that was linked to it stays as it is."""
    if _beside(kind, key).exists():
        write_arrays(path_of(kind, key), arrays)


def _about(kind: str, key: str) -> dict[str, Any]:
    """What is written beside an entry. Where it was lost the entry is sound: nobody knows, that is all."""
    unknown: dict[str, Any] = dict(zip(META, (0.0, ""), strict=True))
    try:
        return unknown | read_json(_beside(kind, key))
    except (OSError, ValueError, TypeError):
        return unknown


def _beside(kind: str, key: str) -> Path:
    """Where it is written how long an entry took, and on what."""
    return root() / BESIDE / kind / f"{key}.json"


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


def prune(keep_bytes: int, spare_seconds: float = 0.0) -> tuple[int, int]:
    """Remove the longest unused entries until at most `keep_bytes` are left; (files, bytes) removed.

    Unfinished files of the last minutes may belong to a running stage and stay, and so do entries used within
    `spare_seconds`.
    """
    found = entries()
    total, files, freed = sum(entry.size for entry in found), 0, 0
    for entry in found:
        unfinished = entry.path.suffix == UNFINISHED
        fresh = time.time() - entry.used < UNFINISHED_SECONDS
        spared = time.time() - entry.used < spare_seconds
        if (unfinished and fresh) or (not unfinished and (spared or total <= keep_bytes)):
            continue
        entry.path.unlink(missing_ok=True)
        _beside(entry.path.parent.name, entry.path.stem).unlink(missing_ok=True)
        total, files, freed = total - entry.size, files + 1, freed + entry.size
    return files, freed
