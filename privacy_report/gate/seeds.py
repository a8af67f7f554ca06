"""How far training runs that differ in their seed alone are apart, for the metrics of the first of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.policy import numbers
from privacy_report.gate.twins import Sections
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.tables import Row, read_rows, where

NAMES = {"advantage": "advantage", "tpr_at_1pct_fpr": "tpr_1pct", "val_accuracy": "val_acc"}
"""Column of privacy.csv -> its name in metrics/."""
ENDS: dict[str, Callable[[list[float]], float]] = {"min": min, "mid": statistics.median, "max": max}


def runs_of(variant: str, sections: Sections, root: Path = Path()) -> list[list[Row]]:
    """The rows of privacy.csv of each run of a variant: of itself, and of those that repeat it."""
    names = [variant, *(name for name, section in sections.items() if section.get("repeats") == variant)]
    return [read_rows(root / f"data/attack/{name}/privacy.csv") for name in names]


def spread(runs: Sequence[Sequence[Row]], epoch: int, released: str | None = None) -> Mapping[str, float]:
    """The least, the middle and the largest number of the runs at an epoch, each by the worst attack in it.

    Empty where there is one run, and where one lacks an attack that another has: it would look better for it.
    Attacks in common, as the report's curves have them, would not do here: these numbers stand next to those
    of the first run, which are by the worst of all its attacks.
    """
    at = [[row for row in where(rows, epoch=float(epoch)) if row["slice"] == ENTIRE] for rows in runs]
    if len(runs) < 2 or not all(at):
        return {}
    made = [{row["attack"] for row in rows if not math.isnan(row["auc"])} for rows in at]
    if any(attacks != made[0] for attacks in made):
        return {}
    per_run = [numbers(Checkpoint(epoch, rows, released=released)) for rows in at]
    said: dict[str, float] = {}
    for column, name in NAMES.items():
        values = [measures[column] for measures in per_run if column in measures]
        if len(values) == len(runs):
            said |= {f"{name}_{end}": of(values) for end, of in ENDS.items()}
    return said
