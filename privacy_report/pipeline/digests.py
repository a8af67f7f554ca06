"""SHA-256 of values, arrays and files: what keys are made of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.errors import UserError

Arrays = dict[str, np.ndarray]


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
