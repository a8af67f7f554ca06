"""Content-addressed memo of finished work: epochs, scored and attacked checkpoints.

An entry's key is a digest of everything that the result depends on: the bytes of every dependency that
dvc.yaml declares for the stage (code included), every declared parameter, and the versions of the
numerical libraries. What leaves an item's result alone is taken out explicitly by the caller (the number
of epochs for an epoch; the other checkpoints for a checkpoint). The store lives in `.store/` of the
repository that DVC_ROOT names, so that experiments in temporary copies share it. Any entry may vanish at
any time: it is computed again.

`python -m stages.store` shows what it holds, `python -m stages.store prune` makes it smaller.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from filelock import FileLock, Timeout

from stages.artefacts import read_arrays, read_json, write_arrays, write_json
from stages.cli import run
from stages.errors import UserError

LIBRARIES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "dp-accounting")


def root() -> Path:
    """The store's folder."""
    return Path(os.environ.get("DVC_ROOT", "."), ".store")


@dataclass(frozen=True)
class Declared:
    """What dvc.yaml declares for a stage: paths of `deps` and dotted keys of `params`."""

    deps: tuple[str, ...]
    params: tuple[str, ...]


def declared(stage: str, variant: str | None = None, dvc_yaml: Path | str = "dvc.yaml") -> Declared:
    """The stage's declared dependencies and parameters, `${item.variant}` filled in."""
    try:
        stages = yaml.safe_load(Path(dvc_yaml).read_text())["stages"]
    except FileNotFoundError:
        raise UserError("dvc.yaml: no such file; run stages from the repository's root") from None
    section = stages[stage]

    def fill(entries: Sequence[str]) -> tuple[str, ...]:
        return tuple(entry.replace("${item.variant}", variant or "") for entry in entries)

    return Declared(fill(section.get("deps", ())), fill(section.get("params", ())))


def file_digest(path: Path | str) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; `dvc repro` makes it")
    if path.is_file():
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(item for item in path.rglob("*") if item.is_file() and "__pycache__" not in item.parts)
    return digest({str(item.relative_to(path)): file_digest(item) for item in files})


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of named arrays."""
    return digest(
        {
            name: [str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
            for name, value in arrays.items()
        }
    )


def inputs(
    stage: str,
    variant: str | None = None,
    *,
    without_deps: Sequence[str] = (),
    without_params: Sequence[str] = (),
) -> dict[str, Any]:
    """Digests of all that `stage` depends on, less the named deps and dotted parameter keys."""
    known = declared(stage, variant)
    params = yaml.safe_load(Path("params.yaml").read_text())
    values = {key: _without(_at(params, key), key, without_params) for key in known.params}
    return {
        "stage": stage,
        "variant": variant,
        "deps": {path: file_digest(path) for path in known.deps if path not in without_deps},
        "params": values,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _at(params: Any, key: str) -> Any:
    for part in key.split("."):
        params = params[part]
    return params


def _without(value: Any, key: str, dropped: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: _without(inner, f"{key}.{name}", dropped)
        for name, inner in value.items()
        if f"{key}.{name}" not in dropped
    }


def path_of(kind: str, key: str) -> Path:
    """Where the entry `key` of `kind` is, or would be."""
    return root() / kind / f"{key}.npz"


def get(kind: str, key: str) -> dict[str, np.ndarray] | None:
    """The entry's arrays, or None. A damaged entry is removed and counts as absent."""
    path = path_of(kind, key)
    if not path.exists():
        return None
    try:
        arrays = read_arrays(path)
        os.utime(path)  # prune drops what was not used for longest
    except (UserError, FileNotFoundError) as error:
        print(f"store: dropping a damaged entry ({error})", file=sys.stderr)
        path.unlink(missing_ok=True)
        return None
    return arrays


def put(kind: str, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays under `key`, atomically."""
    write_arrays(path_of(kind, key), arrays)


@contextmanager
def exclusive(stage: str, variant: str) -> Iterator[None]:
    """Hold the lock of this working folder's stage and variant, waiting for whoever has it.

    A killed `dvc` leaves its trainer running, and the next `dvc repro` starts another: that one waits
    here, then finds the first one's work in the store. The kernel drops the lock of a dead process.
    UserError for one whose own parent has died while it waited: nobody expects its results.
    """
    folder = Path(".store", "locks")
    folder.mkdir(parents=True, exist_ok=True)
    owner, lock = folder / f"{stage}@{variant}.pid", FileLock(folder / f"{stage}@{variant}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = owner.read_text().strip() if owner.exists() else "unknown"
        print(f"{stage}@{variant}: waiting for another run in this folder (process {who})", flush=True)
        parent = os.getppid()
        lock.acquire()
        if os.getppid() != parent:
            lock.release()
            raise UserError(f"{stage}@{variant}: whoever started this run has ended") from None
    try:
        owner.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


@contextmanager
def timed(name: str, *, resumed: bool = False) -> Iterator[None]:
    """Note how long the block computed, for the report's provenance; not an output, since it varies.

    `resumed` adds to what is noted already: the block finishes work that an earlier run began.
    """
    path, started = root() / "timings" / f"{name}.json", time.monotonic()
    yield
    before = read_json(path)["seconds"] if resumed and path.exists() else 0.0
    write_json(path, {"seconds": before + time.monotonic() - started})


@dataclass(frozen=True)
class Entry:
    """A stored file, with what decides over pruning it."""

    path: Path
    size: int
    used: float


def entries() -> list[Entry]:
    """All results in the store and what killed runs left unfinished, longest unused first."""
    found = []
    for path in root().glob("*/*"):
        if path.suffix in {".npz", ".tmp"} and path.is_file():
            status = path.stat()
            found.append(Entry(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: (entry.used, str(entry.path)))


def prune(keep_bytes: int) -> tuple[int, int]:
    """Remove the longest unused entries until at most `keep_bytes` are left; (files, bytes) removed.

    Unfinished files of the last minutes may belong to a running stage and stay.
    """
    found = entries()
    total, files, freed = sum(entry.size for entry in found), 0, 0
    for entry in found:
        unfinished = entry.path.suffix == ".tmp"
        if (total <= keep_bytes and not unfinished) or (unfinished and time.time() - entry.used < 600):
            continue
        entry.path.unlink(missing_ok=True)
        total, files, freed = total - entry.size, files + 1, freed + entry.size
    return files, freed


def main(argv: Sequence[str]) -> None:
    """Show or prune the store."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.store",
        description="The memo of finished epochs, scores and attacks. All in it can be computed again.",
    )
    commands = parser.add_subparsers(dest="command", metavar="[show|prune]")
    commands.add_parser("show", help="list kinds with their number of entries and size (the default)")
    pruning = commands.add_parser("prune", help="remove the longest unused entries")
    pruning.add_argument(
        "--keep-mb",
        type=float,
        default=0.0,
        metavar="N",
        help="leave at most N megabytes (default: 0, all goes)",
    )
    args = parser.parse_args(argv)
    if args.command == "prune":
        if not args.keep_mb >= 0:
            raise UserError(f"--keep-mb: got {args.keep_mb}, allowed: a number of at least 0")
        files, freed = prune(int(args.keep_mb * 1e6))
        print(f"removed {files} entries, {freed / 1e6:.1f} MB")
    found = entries()
    for kind in sorted({entry.path.parent.name for entry in found}):
        sizes = [entry.size for entry in found if entry.path.parent.name == kind]
        print(f"{kind:10} {len(sizes):6} entries {sum(sizes) / 1e6:10.1f} MB")
    print(
        f"{'total':10} {len(found):6} entries {sum(entry.size for entry in found) / 1e6:10.1f} MB in {root()}"
    )


if __name__ == "__main__":
    run(main)
