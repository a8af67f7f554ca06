"""The memo: what was computed once is taken from the store, under a key of everything that can change it.

DVC decides which stages run; the memo decides what is computed. A stage may rerun because a comment changed;
no number is computed again for it. A key holds the syntax of all code that can take part (`code`), the
versions of the libraries that this code imports, the parts of the environment that the result's bits may
depend on, and what the caller adds: data, parameters, seeds, what came before.
"""

from __future__ import annotations

import importlib
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.code import Code, code_of
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.store_policy import read_policy

PREFIXES = ("DNNL_", "GLIBC_TUNABLES", "NPY_", "ONEDNN_", "OPENBLAS_", "PRIVACY_REPORT_DEVICE", "TF_")
"""Environment variables of NumPy, OpenBLAS, TensorFlow, oneDNN and the C library; of the device, too."""
TERRAFORM = ("TF_CLI_", "TF_DATA_DIR", "TF_INPUT", "TF_LOG", "TF_PLUGIN_CACHE_DIR", "TF_VAR_", "TF_WORKSPACE")
"""The beginnings of another program's variables, some of them secret."""
PINNED = (
    "CUDA_VISIBLE_DEVICES",
    "KERAS_BACKEND",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
"""Those that `training.backend` sets itself for the CPU, and that change no bit there."""
THREADS = "_THREADS"
"""The end of the names of those that change no bit: see `training.backend` and `attack.findings`."""

EDITED = "{}: edited while this run began to use it; run again"
SPARED = 24 * 3600.0
"""Seconds since its last use in which an entry is not pruned by itself: a killed run needs it to go on."""


def base(*roots: str, chosen: Iterable[str] = (), hands: Iterable[str] = (), **inputs: Any) -> dict[str, Any]:
    """What all results of a computation depend on: its code (`code.code_of`), and `inputs` (JSON-able).

    Of the environment: all variables with the PREFIXES, and those that a user's own code names anywhere;
    none that is PINNED or TERRAFORM's.
    """
    chosen, hands = tuple(chosen), tuple(hands)
    code = code_of(*roots, chosen=chosen, hands=hands)
    said = code.says()
    _used.setdefault(repr((roots, chosen, hands)), _Used(code, said, chosen, _edited_since_start(said)))
    return {
        "code": code.digest(),
        "versions": code.versions(),
        "environment": {
            name: value
            for name, value in os.environ.items()
            if name not in PINNED and (_is_named(name, code.strings) or _may_change_bits(name))
        },
        **inputs,
    }


@dataclass(frozen=True)
class _Used:
    """Code that a key was made of: what its files said then, and what a user chose of it.

    late: the files that were edited before, but after this process began, so that it may have loaded others.
    """

    code: Code
    said: dict[Path, str]
    chosen: tuple[str, ...]
    late: tuple[Path, ...]


_used: dict[str, _Used] = {}
"""All code that keys were made of, until a `Memo` takes them."""


def _edited_since_start(paths: Iterable[Path]) -> tuple[Path, ...]:
    began, now = getattr(sys.modules.get("stages"), "BEGAN", math.inf), time.time()  # where it runs a stage
    return tuple(path for path in paths if began < path.stat().st_mtime <= now)


def _is_named(name: str, strings: frozenset[str]) -> bool:
    """Whether strings have a variable's name, or a beginning of it that ends with "_"; "_" is the shell's."""
    beginnings = tuple(text for text in strings if len(text) > 1 and text.endswith("_"))
    return name != "_" and (name in strings or name.startswith(beginnings))


def _may_change_bits(name: str) -> bool:
    return name.startswith(PREFIXES) and not name.startswith(TERRAFORM) and not name.endswith(THREADS)


class Memo:
    """The store as one stage uses it, noting what the report says of its origin.

    stage: as "train@cnn2"; names the note `.store/notes/<stage>.json` that `close` writes.
    """

    def __init__(self, stage: str):
        self.stage = stage
        self.seconds = 0.0
        self.processors: set[str] = set()
        self._begun = False
        self._used = list(_used.values())
        _used.clear()

    def recall(self, kind: str, key: str, compute: Callable[[], Arrays]) -> Arrays:
        """The arrays stored under `key`, or else those that `compute` returns, which are stored.

        UserError before anything is computed where the store cannot be written.
        """
        entry = store.get(kind, key)
        if entry is None:
            self._begin()
            started = time.monotonic()
            arrays = compute()
            entry = store.Entry(arrays, time.monotonic() - started, processor())
            store.put(kind, key, entry)
        self.seconds += entry.seconds
        self.processors.add(entry.processor)
        return entry.arrays

    def _begin(self) -> None:
        """Before the first result is computed: whether it can be kept, and by what it is computed.

        A process computes with the code that it has imported, and an edit after that is none of its business.
        So all of it is imported at once, and must say then what it said when the keys were made, and before
        the first import.
        """
        if self._begun:
            return
        store.require_writable()
        for used in self._used:
            for name in used.code.modules:
                importlib.import_module(name)
            for path in used.chosen:
                with suppress(Exception):  # of a user's own module; it is raised again where it is used
                    importlib.import_module(path.rpartition(".")[0])
        self.require_unchanged()
        for used in self._used:
            if used.late:
                raise UserError(EDITED.format(used.late[0]))
        self._begun = True

    def require_unchanged(self) -> None:
        """UserError where code says something else than when the keys were made of it."""
        for used in self._used:
            now = used.code.says()
            if changed := [path for path, said in used.said.items() if now.get(path) != said]:
                raise UserError(EDITED.format(changed[0]))

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
    path = store.root() / "notes" / f"{stage}.json"
    with suppress(UserError):  # of a store that may only be read
        write_json(path, {"seconds": seconds, "processors": sorted(processors)})


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
