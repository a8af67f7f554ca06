"""Large arrays a block of rows at a time, so that memory does not grow with them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ELEMENTS = 2**21
"""Elements of a block: 16 MB as float64. All of 60,000 examples of ten classes are in one."""
TOGETHER = 25
"""Rows that are taken from a large file before its memory is let go of."""
SMALL = 2**28
"""Bytes of an array that may stay in memory while its rows are taken: to let go of CIFAR-10's, which are in
every epoch, would cost a fifth of it."""


class Rows(Protocol):
    """Floats (n, columns) whose rows can be had by a slice: an array, or what stands in for one."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, span: slice, /) -> Any: ...


@dataclass(frozen=True)
class Joined:
    """Rows of several arrays (n_i, columns), one after the other, without a copy of them all."""

    parts: Sequence[Rows]

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(array.shape[0] for array in self.parts), *self.parts[0].shape[1:])

    def __getitem__(self, span: slice, /) -> np.ndarray:
        start, stop, _ = span.indices(self.shape[0])
        pieces = []
        for array in self.parts:
            here = slice(max(start, 0), min(stop, array.shape[0]))
            if here.start < here.stop:
                pieces.append(array[here])
            start, stop = start - array.shape[0], stop - array.shape[0]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [self.parts[0][:0]])


def blocks(rows: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """(which rows, their values) in order, as many at a time as ELEMENTS allow, at least one."""
    n, columns = rows.shape[0], int(np.prod(rows.shape[1:]))
    step = max(1, ELEMENTS // max(1, columns))
    for start in range(0, n, step):
        span = slice(start, min(start + step, n))
        yield span, rows[span]
        forget(rows)


def take(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """`rows[index]`, a copy, for integers; of a large mapped file hardly anything else stays in memory.

    The kernel adds up to two megabytes around each row to this process; of a file that is not SMALL they are
    let go of every few rows.
    """
    if rows.nbytes <= SMALL:
        return rows[index]
    taken = np.empty((*index.shape, *rows.shape[1:]), rows.dtype)
    places, flat = taken.reshape(index.size, *rows.shape[1:]), index.ravel()
    for start in range(0, index.size, TOGETHER):
        span = slice(start, start + TOGETHER)
        places[span] = rows[flat[span]]
        forget(rows)
    return taken


def forget(rows: Rows) -> None:
    """Let go of the memory that a memory-mapped file was read into; it is read again where it is needed.

    Else the pages of a file larger than memory count as this process's own until others need the room.
    """
    for array in rows.parts if isinstance(rows, Joined) else (rows,):
        holder: Any = array
        while holder is not None and not isinstance(holder, mmap.mmap):
            # np.memmap keeps its file in `_mmap`; of a view it is behind `base`.
            holder = getattr(holder, "_mmap", None) or getattr(holder, "base", None)
        if holder is not None and hasattr(mmap, "MADV_DONTNEED"):
            holder.madvise(mmap.MADV_DONTNEED)
