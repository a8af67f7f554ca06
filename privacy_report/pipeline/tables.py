"""Tidy tables as CSV: written with full precision unless asked otherwise, read with the contract's types."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import TEXT_COLUMNS
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.measured import Row

__all__ = ["Row", "columns_of", "read_cells", "read_rows", "where", "write_table"]


def write_table(
    path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str], digits: int | None = None
) -> None:
    """Write tidy rows as CSV. None and NaN become empty cells.

    digits: significant digits that floats are rounded to; None keeps them to the last bit.

    Raises KeyError for a row that lacks a column and ValueError for a row with another one.
    """
    with atomic(path) as file:
        lines = _Lines(file)
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            if unknown := set(row) - set(columns):
                raise ValueError(f"row has unknown columns {sorted(unknown)}, the table has {list(columns)}")
            writer.writerow([_cell(row[column], digits) for column in columns])


def columns_of(path: Path | str) -> list[str]:
    """The columns of a CSV; UserError when there is no such file or it is empty."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file), None)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro` writes it") from None
    if not columns:
        raise UserError(f"{path}: empty, not even a header")
    return columns


def read_cells(path: Path | str) -> list[dict[str, str]]:
    """Read a CSV as one dict of strings a row. UserError as `columns_of`."""
    columns_of(path)
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_rows(path: Path | str) -> list[Row]:
    """Read a CSV with the contract's types: text columns as strings, all others as floats, NaN for empty.

    Raises UserError as `columns_of`, and for a cell that is no number where one is due.
    """
    try:
        return [{name: _typed(name, cell) for name, cell in row.items()} for row in read_cells(path)]
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {error}; `dvc repro` writes it anew") from None


def where(rows: Iterable[Row], **wanted: Any) -> Iterator[Row]:
    """The rows whose cells equal `wanted`."""
    items = list(wanted.items())
    return (row for row in rows if all(row[name] == value for name, value in items))


def _typed(name: str, cell: str) -> Any:
    if name in TEXT_COLUMNS:
        return cell
    return float(cell) if cell else math.nan


@dataclass(frozen=True)
class _Lines:
    """The text side of a binary file, as csv.writer wants it."""

    file: IO[bytes]

    def write(self, text: str) -> int:
        return self.file.write(text.encode())


def _cell(value: Any, digits: int | None = None) -> Any:
    """A CSV cell: empty for what is missing, plain Python numbers for numpy's."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if not isinstance(value, float):
        return value
    return repr(value) if digits is None else f"{value:.{digits}g}"
