"""Merge the variants' tables into the three that are committed, and find rows in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.tables import Row, columns_of

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
    epochs: Mapping[str, Collection[int]] | None = None,
) -> Path:
    """Write plots/<table>.csv: the variants' rows, in the order of the variants, cells as they were.

    epochs: variant -> the epochs whose rows are kept; None keeps all rows.
    Raises UserError for a missing part and for parts with different columns.
    """
    parts = {variant: root / PARTS[table].format(variant=variant) for variant in variants}
    columns = {variant: columns_of(path) for variant, path in parts.items()}
    first = next(iter(columns))
    for variant, names in columns.items():
        if names != columns[first]:
            raise UserError(f"{parts[variant]}: columns {names}, but {first} has {columns[first]}")
    merged = root / f"plots/{table}.csv"
    with atomic(merged) as file:
        text = io.TextIOWrapper(file, newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns[first])
        at = columns[first].index("epoch")
        for variant, path in parts.items():
            with open(path, newline="") as part:
                rows = csv.reader(part)
                next(rows)
                writer.writerows(row for row in rows if epochs is None or int(row[at]) in epochs[variant])
        text.detach()
    return merged


def grouped(rows: Iterable[Row], *columns: str) -> dict[Any, list[Row]]:
    """The rows by their cells in `columns` (a tuple where there are several), each group in order."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        key = row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)
        groups.setdefault(key, []).append(row)
    return groups


def settings(path: Path) -> dict[str, Any]:
    """params.yaml, section by section; UserError when it cannot be read."""
    try:
        return dict(yaml.safe_load(path.read_text()))
    except (FileNotFoundError, TypeError, ValueError, yaml.YAMLError):
        raise UserError(f"{path}: missing or damaged; `python -m stages.compose` writes it") from None
