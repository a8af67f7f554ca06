"""Arrays on the disk while a data set is read: a data set may be larger than memory.

They are in a file without a name, in the store's folder, whose space comes back when they are no longer used.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks, forget

HELD = 2**24
"""Bytes that are written before they are let go of."""


class Scratch:
    """Rows of one shape, filled one after the other; `array` (n, ...) has them all, mapped from the disk."""

    def __init__(self, n: int, shape: Sequence[int], dtype: np.dtype | type):
        folder = Path(os.environ.get("DVC_ROOT") or ".", ".store")
        whole, size = (n, *shape), n * int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                if hasattr(os, "posix_fallocate"):  # else a full disk ends the process, later
                    os.posix_fallocate(file.fileno(), 0, max(size, 1))
                self.array = np.memmap(file, dtype, "r+", shape=whole)
        except OSError as error:
            raise UserError(f"{folder}: no room for {size / 1e9:.1f} GB ({error.strerror})") from None
        self.filled, self._held = 0, 0

    def add(self, rows: np.ndarray) -> None:
        """Put rows (m, ...) behind those that are there."""
        self.array[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)
        self._held += rows.nbytes
        if self._held > HELD:
            forget(self.array)
            self._held = 0


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays (n_i, ...) one after the other, on the disk where there is more than one."""
    if len(parts) == 1:
        return parts[0]
    disk_rows = Scratch(sum(map(len, parts)), parts[0].shape[1:], parts[0].dtype)
    for array in parts:
        for _, block in blocks(array):
            disk_rows.add(block)
    return disk_rows.array


def ordered(rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`rows[order]` on the disk; `rows` themselves where they are in order."""
    if (order == np.arange(len(rows))).all():
        return rows
    disk_rows, step = Scratch(len(rows), rows.shape[1:], rows.dtype), max(1, HELD // rows[0].nbytes)
    for start in range(0, len(rows), step):
        disk_rows.add(rows[order[start : start + step]])
        forget(rows)
    return disk_rows.array
