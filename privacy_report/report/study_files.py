"""The files of a study: where the variants' tables are, how they become one, and how they are read."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.tables import Row, columns_of

# table -> where each variant's part of it is
PARTS = {
    "training": "data/train/{variant}/history.csv",
    "privacy": "data/attack/{variant}/privacy.csv",
    "roc": "data/attack/{variant}/roc.csv",
}


def parts_of(table: str, variants: Iterable[str], root: Path = Path()) -> dict[str, Path]:
    """Variant -> the file with its part of a table. UserError for a missing one and for different columns."""
    parts = {variant: root / PARTS[table].format(variant=variant) for variant in variants}
    columns = {variant: columns_of(path) for variant, path in parts.items()}
    first = next(iter(columns))
    for variant, names in columns.items():
        if names != columns[first]:
            raise UserError(f"{parts[variant]}: columns {names}, but {first} has {columns[first]}")
    return parts


def merge(table: str, variants: Iterable[str], root: Path = Path()) -> Path:
    """Write plots/<table>.csv: the variants' rows, in the order of the variants, cells as they were.

    Raises UserError as `parts_of`.
    """
    parts = parts_of(table, variants, root)
    merged = root / f"plots/{table}.csv"
    with atomic(merged) as file:
        for position, path in enumerate(parts.values()):
            with open(path, "rb") as source:
                header = source.readline()
                if position == 0:
                    file.write(header)
                shutil.copyfileobj(source, file)
    return merged


def curves_in(path: Path) -> dict[tuple[str, float, str], np.ndarray]:
    """(Variant, epoch, attack) -> its curve in a roc.csv: false-positive and true-positive rates (n, 2).

    UserError for a cell that is no number where one is due.
    """
    names = columns_of(path)
    key, rates = itemgetter(*map(names.index, ("variant", "epoch", "attack"))), names.index("fpr")
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        next(lines)
        try:
            return {
                (variant, float(epoch), attack): np.array(
                    [line[rates : rates + 2] for line in curve], dtype=np.float64
                )
                for (variant, epoch, attack), curve in groupby(lines, key)
            }
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}: {error}; `dvc repro` writes it anew") from None


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
        return dict(yaml.safe_load(path.read_bytes()))
    except (FileNotFoundError, TypeError, ValueError, yaml.YAMLError):
        raise UserError(f"{path}: missing or damaged; `python -m stages.compose` writes it") from None
