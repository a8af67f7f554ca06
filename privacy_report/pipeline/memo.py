"""The memo: what was computed once is taken from the store, under a key of everything that can change it.

DVC decides which stages run; the memo decides what is computed. A stage may rerun because a comment changed;
no number is computed again for it. A key holds the syntax of the code that the result passes through
(`source`), the versions of the libraries that this code imports, the parts of the environment that the
result's bits depend on, and what the caller adds: data, parameters, seeds, what came before.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline import source, store
from privacy_report.pipeline.files import write_arrays, write_json
from privacy_report.pipeline.policy import read_policy

ENVIRONMENT = {
    "numpy": ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE"),
    "tensorflow": (
        "DNNL_DEFAULT_FPMATH_MODE",
        "DNNL_MAX_CPU_ISA",
        "ONEDNN_DEFAULT_FPMATH_MODE",
        "ONEDNN_MAX_CPU_ISA",
        "PRIVACY_REPORT_DEVICE",
        "TF_SET_ONEDNN_FPMATH_MODE",
    ),
}
"""Library -> environment variables that change the bits of its results. Others are pinned by `backend`."""

SPARED = 24 * 3600.0
"""Seconds since its last use in which an entry is not pruned by itself: a killed run needs it to go on."""

Arrays = dict[str, np.ndarray]


def base(*roots: str, chosen: Iterable[str] = (), **inputs: Any) -> dict[str, Any]:
    """What all results of a computation depend on: its code (see `source.code`), and `inputs` (JSON-able)."""
    code = source.code(*roots, chosen=chosen)
    names = [name for library in code.libraries for name in ENVIRONMENT.get(library, ())]
    return {
        "code": code.digest,
        "versions": source.versions(code.libraries),
        "environment": {name: os.environ[name] for name in names if name in os.environ},
        **inputs,
    }


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of named arrays: names, types, shapes and values."""
    return digest(
        {
            name: [
                str(value.dtype),
                value.shape,
                hashlib.sha256(np.ascontiguousarray(value).data).hexdigest(),
            ]
            for name, value in arrays.items()
        }
    )


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file's bytes. UserError when there is no such file."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` makes it") from None
    return _file_digest(str(Path(path).resolve()), status.st_mtime_ns, status.st_size, status.st_ino)


@cache
def _file_digest(path: str, *changed: int) -> str:
    """Read once for as long as the file stays as it is."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Memo:
    """The store as one stage uses it, noting what the report says of its origin.

    stage: as "train@cnn2"; names the note `.store/notes/<stage>.json` that `close` writes.
    """

    def __init__(self, stage: str):
        self.stage = stage
        self.seconds = 0.0
        self.processors: set[str] = set()
        self._last: tuple[str, str, Arrays] | None = None

    def recall(self, kind: str, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays stored under `key`, or else those that `compute` returns, which are stored."""
        entry = store.get(kind, key)
        if entry is None:
            started = time.monotonic()
            arrays = compute()
            entry = store.Entry(arrays, time.monotonic() - started, processor())
            store.put(kind, key, entry)
        self.seconds += entry.seconds
        if entry.processor:
            self.processors.add(entry.processor)
        self._last = kind, key, entry.arrays
        return entry.arrays

    def restore(self, kind: str, key: str, arrays: Arrays) -> Arrays:
        """Put back what an entry held before it was thinned; `arrays`, as if they had been recalled."""
        store.refill(kind, key, arrays)
        self._last = kind, key, arrays
        return arrays

    def save(self, path: Path, arrays: Arrays) -> None:
        """Write arrays as an output: those recalled last as another name of their entry where that can be."""
        kind, key, recalled = self._last or ("", "", None)
        if arrays is not recalled or not store.link(kind, key, path):
            write_arrays(path, arrays)

    def close(self) -> None:
        """Note how long all the results took when they were computed, and on which kinds of processor.

        Then the store is pruned to its policy's size; what was used within SPARED may be a running stage's.
        """
        note(self.stage, self.seconds, self.processors)
        files, freed = store.prune(int(read_policy().limit_mb * 1e6), SPARED)
        if files:
            print(f"store: pruned {files} entries, {freed / 1e6:.1f} MB, to its policy's size", flush=True)


def note(stage: str, seconds: float, processors: set[str]) -> None:
    """Write a stage's note: no output of the stage, since it varies between equal runs."""
    write_json(
        store.root() / "notes" / f"{stage}.json", {"seconds": seconds, "processors": sorted(processors)}
    )


@contextmanager
def timed(stage: str) -> Iterator[None]:
    """Note how long the block took, for a stage that does not use the store."""
    started = time.monotonic()
    yield
    note(stage, time.monotonic() - started, {processor()})


@cache
def processor() -> str:
    """The kind of processor: the model's name and, on x86 Linux, the numbers that tell kinds apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    about = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = about.get("model name") or platform.machine()
    numbers = [about[key] for key in ("cpu family", "model") if key in about]
    return f"{name} ({'/'.join(numbers)})" if numbers else name
