"""Read what the gate judges: the halves of the attack stage, the claimed epsilons, the variants."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_table

TEXT = ("variant", "attack", "slice", "half", "leaks", "note")


def variant_names(path: Path | str = "params.yaml") -> list[str]:
    """The variants' names, in the order of params.yaml."""
    try:
        names = list(yaml.safe_load(Path(path).read_text())["variants"])
    except (FileNotFoundError, KeyError, TypeError):
        raise UserError(f"{path}: needs a section `variants`; `python -m stages.compose` writes it") from None
    return [str(name) for name in names]


def read_halves(variant: str) -> list[dict[str, Any]]:
    """Rows of data/attack/<variant>/halves.csv, numbers as floats, NaN for empty cells."""
    return _read(Path(f"data/attack/{variant}/halves.csv"))


def read_epsilon(variant: str) -> dict[int, float]:
    """Claimed epsilon by epoch (data/train/<variant>/history.csv); NaN without differential privacy."""
    return {int(row["epoch"]): row["epsilon"] for row in _read(Path(f"data/train/{variant}/history.csv"))}


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; `dvc repro` writes it")
    return [
        {name: cell if name in TEXT else _number(cell) for name, cell in row.items()}
        for row in read_table(path)
    ]


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan
