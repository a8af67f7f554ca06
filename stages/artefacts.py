"""The few file formats that cross a stage boundary, each written atomically.

Arrays travel as .npz without pickling, tables as CSV, small results as JSON with sorted keys, so
that a rerun with the same inputs writes the same bytes.
"""

from __future__ import annotations

import csv
import json
import lzma
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from stages.errors import UserError

DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise on bytes that are no sound .npz."""
LARGEST = 1e100
"""Differences of logits whose squares are still finite, and so all that attacks compute of them."""


@contextmanager
def atomic(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` complete and on disk, or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def empty_folder(path: Path | str) -> None:
    """Make `path` an empty folder: what an earlier run left there is not this run's result."""
    shutil.rmtree(path, ignore_errors=True)
    Path(path).mkdir(parents=True)


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz (its bytes depend on the arrays alone)."""
    with atomic(path) as file:
        np.savez(file, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz; never unpickles. UserError when the file is not a sound .npz."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except DAMAGED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{path}: damaged, or not an .npz of named plain arrays ({reason})") from None


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys and full float precision."""
    with atomic(path) as file:
        file.write((json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path | str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def write_table(path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write tidy rows as CSV. None and NaN become empty cells; floats keep full precision.

    Raises KeyError for a row that lacks a column and ValueError for a row with another one.
    """
    with atomic(path) as file:
        lines = _Lines(file)
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if unknown := set(row) - set(columns):
                raise ValueError(f"row has unknown columns {sorted(unknown)}, the table has {list(columns)}")
            writer.writerow([_cell(row[column]) for column in columns])


def read_table(path: Path | str) -> list[dict[str, str]]:
    """Read a CSV as one dict of strings a row."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class _Lines:
    """The text side of a binary file, as csv.writer wants it."""

    file: IO[bytes]

    def write(self, text: str) -> int:
        return self.file.write(text.encode())


def _cell(value: Any) -> Any:
    """A CSV cell: empty for what is missing, plain Python numbers for numpy's."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return repr(value) if isinstance(value, float) else value


@dataclass(frozen=True)
class Outputs:
    """What a target model says about its members and non-members; the file between score and attack.

    `*_logits` are float arrays (n, n_classes); `*_labels` are integer arrays (n,) in [0, n_classes).
    Where a file has `*_probs` instead (an audit of somebody's model), their logarithms stand in for
    logits: softmax gives the same probabilities back.
    Raises UserError that names `source` for wrong shapes, NaN, labels out of range or an empty side.
    """

    member_logits: np.ndarray
    member_labels: np.ndarray
    nonmember_logits: np.ndarray
    nonmember_labels: np.ndarray
    source: str = "outputs"

    def __post_init__(self) -> None:
        for side in ("member", "nonmember"):
            logits = np.asarray(getattr(self, f"{side}_logits"))
            labels = np.asarray(getattr(self, f"{side}_labels"))
            self._check(side, logits, labels)
            object.__setattr__(self, f"{side}_logits", logits)
            object.__setattr__(self, f"{side}_labels", labels.astype(np.int64))
        n_member, n_nonmember = self.member_logits.shape[1], self.nonmember_logits.shape[1]
        if n_member != n_nonmember:
            self._refuse(f"member_logits have {n_member} classes and nonmember_logits {n_nonmember}")

    def _refuse(self, why: str) -> None:
        raise UserError(f"{self.source}: {why}")

    def _check(self, side: str, logits: np.ndarray, labels: np.ndarray) -> None:
        if logits.ndim != 2 or logits.shape[1] < 2 or not np.issubdtype(logits.dtype, np.floating):
            self._refuse(
                f"{side}_logits must be floats of shape (n, n_classes), n_classes >= 2, "
                f"got {logits.dtype} {logits.shape}"
            )
        if not len(logits):
            self._refuse(f"{side}_logits are empty: both members and non-members are needed")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != logits.shape[:1]:
            self._refuse(
                f"{side}_labels must be integers of shape ({len(logits)},), got {labels.dtype} {labels.shape}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            sound = np.ptp(logits.astype(np.float64), axis=1) <= LARGEST  # false for NaN and infinity
        if bad := int(np.count_nonzero(~sound)):
            self._refuse(
                f"{side}_logits hold NaN, infinity or differences above {LARGEST} "
                f"in {bad} of {len(logits)} rows"
            )
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            self._refuse(
                f"{side}_labels must lie in 0..{logits.shape[1] - 1}, got {labels.min()}..{labels.max()}"
            )

    @property
    def n_classes(self) -> int:
        return self.member_logits.shape[1]


OUTPUT_ARRAYS = ("member_logits", "member_labels", "nonmember_logits", "nonmember_labels")


def output_arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    """The four arrays of a score file, labels as int32."""
    arrays = {name: getattr(outputs, name) for name in OUTPUT_ARRAYS}
    return arrays | {name: arrays[name].astype(np.int32) for name in ("member_labels", "nonmember_labels")}


def write_outputs(path: Path | str, outputs: Outputs) -> None:
    """Write a score file."""
    write_arrays(path, output_arrays(outputs))


def read_outputs(path: Path | str) -> Outputs:
    """Read a score file; UserError when it is damaged, incomplete or holds impossible values."""
    arrays = read_arrays(path)
    for side in ("member", "nonmember"):
        logits, probs = f"{side}_logits", f"{side}_probs"
        if (logits in arrays) == (probs in arrays):
            raise UserError(f"{path}: needs exactly one of {logits} and {probs}, has {sorted(arrays)}")
        if f"{side}_labels" not in arrays:
            raise UserError(f"{path}: lacks {side}_labels, has {sorted(arrays)}")
        if probs in arrays:
            arrays[logits] = _log_probabilities(arrays[probs], probs, path)
    return Outputs(**{name: arrays[name] for name in OUTPUT_ARRAYS}, source=str(path))


def _log_probabilities(probs: np.ndarray, name: str, path: Path | str) -> np.ndarray:
    """Logarithms of probabilities, zeros floored at the smallest normal number of their type."""
    if probs.ndim != 2 or not np.issubdtype(probs.dtype, np.floating):
        raise UserError(
            f"{path}: {name} must be floats of shape (n, n_classes), got {probs.dtype} {probs.shape}"
        )
    if not (np.isfinite(probs).all() and (probs >= 0).all() and np.allclose(probs.sum(axis=1), 1, atol=1e-3)):
        raise UserError(f"{path}: {name} must be probabilities: each at least 0, each row summing to 1")
    return np.log(np.maximum(probs, np.finfo(probs.dtype).tiny))
