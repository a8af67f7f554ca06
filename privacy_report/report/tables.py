"""Merge the variants' tables into the three that are committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.tables import columns_of, read_cells, write_table

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
    columns = {variant: columns_of(path) for variant, path in parts.items()}
    first = next(iter(columns))
    for variant, names in columns.items():
        if names != columns[first]:
            raise UserError(f"{parts[variant]}: columns {names}, but {first} has {columns[first]}")
    merged = root / f"plots/{table}.csv"
    write_table(
        merged, (row for path in parts.values() for row in read_cells(path) if keep(row)), columns[first]
    )
    return merged


def settings(path: Path) -> dict[str, Any]:
    """params.yaml, section by section; UserError when it cannot be read."""
    try:
        return dict(yaml.safe_load(path.read_text()))
    except (FileNotFoundError, TypeError, ValueError, yaml.YAMLError):
        raise UserError(f"{path}: missing or damaged; `python -m stages.compose` writes it") from None
