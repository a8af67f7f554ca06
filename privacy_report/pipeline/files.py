"""Files that appear complete or not at all: arrays as .npz without pickling, results as sorted JSON.

A rerun with the same inputs writes the same bytes.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from privacy_report.errors import UserError, one_line, type_and_text

DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise on bytes in memory that are no sound .npz. None of them is transient."""
PASSING = (OSError, MemoryError, RuntimeError)
"""What may go wrong with a sound file: no file descriptor, no memory, no thread left."""


class DamagedError(UserError):
    """A file whose bytes are proven to be wrong."""


@contextmanager
def atomic(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary file that appears at `path` complete and on disk, or not at all.

    UserError of one line where it cannot be written: a full disk, a folder that is not ours.
    """
    path = Path(path)
    try:
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
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or error  # NumPy's own has no strerror: "9 requested and 0 written"
        raise UserError(f"{path}: cannot be written ({reason}); finished work is kept") from None


def _sync_folder(folder: Path) -> None:
    """Put a folder's entries on disk: without it a crash of the machine may forget a rename."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def empty_folder(path: Path | str) -> None:
    """Make `path` an empty folder: what an earlier run left there is not this run's result.

    A link there is removed, and not followed. UserError where something cannot be removed.
    """
    path = Path(path)
    try:
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be emptied ({one_line(error)})") from None
    path.mkdir(parents=True)


def write_arrays(path: Path | str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as an uncompressed .npz (its bytes depend on the arrays alone)."""
    with atomic(path) as file:
        np.savez(file, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})


def read_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz; never unpickles.

    Raises DamagedError when the bytes are no sound .npz, and UserError when they cannot be read.
    """
    with reading(path):
        raw = Path(path).read_bytes()
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """What goes wrong with a file of arrays in the block, as one line: see `read_arrays`."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except DAMAGED as error:
        reason = type_and_text(error)
        raise DamagedError(f"{path}: damaged, or not an .npz of named plain arrays ({reason})") from None
    except PASSING as error:
        reason = type_and_text(error)
        raise UserError(f"{path}: cannot be read ({reason})") from None


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys and full float precision."""
    with atomic(path) as file:
        file.write((json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path | str) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
