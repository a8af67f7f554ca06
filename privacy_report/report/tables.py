"""Merge the stages' tables into the three that are committed, and read tables as numbers."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_table, write_table

Row = dict[str, Any]
TEXT = frozenset({"variant", "attack", "slice", "half", "side", "leaks", "note"})

# merged table -> where each variant's part of it is
PARTS = {
    "training": "data/train/{variant}/history.csv",
    "privacy": "data/attack/{variant}/privacy.csv",
    "roc": "data/attack/{variant}/roc.csv",
}


def merge(
    table: str,
    variants: Iterable[str],
    root: Path = Path(),
    keep: Callable[[Mapping[str, str]], bool] = lambda row: True,
) -> Path:
    """Write plots/<table>.csv: the variants' rows to keep, in the order of the variants, cells as they were.

    Raises UserError for a missing part and for parts with different columns.
    """
    parts = {variant: root / PARTS[table].format(variant=variant) for variant in variants}
    columns = {variant: header(path) for variant, path in parts.items()}
    first = next(iter(columns))
    for variant, names in columns.items():
        if names != columns[first]:
            raise UserError(f"{parts[variant]}: columns {names}, but {first} has {columns[first]}")
    merged = root / f"plots/{table}.csv"
    write_table(
        merged, (row for path in parts.values() for row in read_table(path) if keep(row)), columns[first]
    )
    return merged


def header(path: Path) -> list[str]:
    """The columns of a CSV; UserError when there is no such file or it is empty."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; `dvc repro` writes it")
    with open(path, newline="") as file:
        columns = next(csv.reader(file), None)
    if not columns:
        raise UserError(f"{path}: empty, not even a header")
    return columns


def read(path: Path) -> list[Row]:
    """Rows of a CSV; text columns as strings, all others as floats, NaN for empty cells."""
    header(path)
    return [
        {name: cell if name in TEXT else float(cell) if cell else math.nan for name, cell in row.items()}
        for row in read_table(path)
    ]


def where(rows: Iterable[Row], **wanted: Any) -> Iterator[Row]:
    """The rows whose cells equal `wanted`."""
    items = list(wanted.items())
    return (row for row in rows if all(row[name] == value for name, value in items))


def settings(path: Path) -> dict[str, Any]:
    """params.yaml, section by section; UserError when it cannot be read."""
    try:
        return dict(yaml.safe_load(path.read_text()))
    except (FileNotFoundError, TypeError, ValueError, yaml.YAMLError):
        raise UserError(f"{path}: missing or damaged; `python -m stages.compose` writes it") from None
