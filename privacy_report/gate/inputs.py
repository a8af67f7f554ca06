"""Read what the gate judges: the halves of the attack stage, the claimed epsilons, the variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_json
from privacy_report.pipeline.tables import Row, read_rows


def read_variants(path: Path | str = "params.yaml") -> dict[str, dict[str, Any]]:
    """Variant name -> its section, in the order of params.yaml."""
    try:
        sections = dict(yaml.safe_load(Path(path).read_text())["variants"])
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        raise UserError(f"{path}: needs a section `variants`; `python -m stages.compose` writes it") from None
    return {str(name): dict(section or {}) for name, section in sections.items()}


def variant_names(path: Path | str = "params.yaml") -> list[str]:
    """The variants' names, in the order of params.yaml."""
    return list(read_variants(path))


def read_halves(variant: str) -> list[Row]:
    """Rows of data/attack/<variant>/halves.csv."""
    return read_rows(f"data/attack/{variant}/halves.csv")


def read_rows_of(variant: str) -> list[Row]:
    """Rows of data/attack/<variant>/privacy.csv."""
    return read_rows(f"data/attack/{variant}/privacy.csv")


def read_epsilon(variant: str) -> dict[int, float]:
    """Claimed epsilon by epoch (data/train/<variant>/history.csv); NaN without differential privacy."""
    return {int(row["epoch"]): row["epsilon"] for row in read_rows(f"data/train/{variant}/history.csv")}


def read_references(variant: str) -> int:
    """How many reference models attacked a variant (data/attack/<variant>/references.json)."""
    path = Path(f"data/attack/{variant}/references.json")
    try:
        return int(read_json(path)["models"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: missing or damaged; `dvc repro attack@{variant}` writes it") from None
