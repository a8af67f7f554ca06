"""One function a rule: what a checkpoint's rows say against a limit.

A rule returns the findings against the checkpoint; no finding means that the rule is kept. Over
attacks and classes the worst upper bound counts. Each bound holds for its own row with 97.5%
confidence, and the largest of them is at least the bound of the truly worst row, so that it needs no
correction for their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privacy_report.gate.bounds import accuracy_low

Row = Mapping[str, Any]
ENTIRE = "entire dataset"


@dataclass(frozen=True)
class Checkpoint:
    """The rows (attack x slice) of one checkpoint in one half, and its claimed epsilon (NaN: not DP)."""

    epoch: int
    rows: Sequence[Row]
    epsilon: float = math.nan

    def of(self, kind: str) -> list[Row]:
        """Rows of the entire dataset (`kind` = "entire dataset") or of the classes ("class=")."""
        return [row for row in self.rows if str(row["slice"]).startswith(kind)]


@dataclass(frozen=True)
class Reading:
    """A number to compare with a limit (NaN when it cannot be judged), and where it comes from."""

    value: float
    attack: str = ""
    slice: str = ""
    why_missing: str = ""


def advantage(checkpoint: Checkpoint) -> list[Reading]:
    """Upper interval ends of the advantage on the entire dataset, one an attack."""
    return [_reading(row, row["advantage_high"]) for row in checkpoint.of(ENTIRE)]


def class_advantage(checkpoint: Checkpoint) -> list[Reading]:
    """Upper interval ends of the advantage on each class, one an attack and class."""
    return [_reading(row, row["advantage_high"]) for row in checkpoint.of("class=")]


def tpr(checkpoint: Checkpoint) -> list[Reading]:
    """Upper interval ends of the TPR at 1% FPR on the entire dataset, one an attack."""
    return [_reading(row, row["tpr_at_fpr_0.01_high"]) for row in checkpoint.of(ENTIRE)]


def epsilon(checkpoint: Checkpoint) -> list[Reading]:
    """The claimed epsilon; a variant without one guarantees nothing and cannot keep such a rule."""
    return [
        Reading(
            checkpoint.epsilon, why_missing="no epsilon is claimed: not trained with differential privacy"
        )
    ]


def val_accuracy(checkpoint: Checkpoint) -> list[Reading]:
    """Lower bound of the validation accuracy (the same in the rows of all attacks)."""
    readings = []
    for row in checkpoint.of(ENTIRE)[:1]:
        value, n = row["val_accuracy"], row["n_nonmember"]
        readings.append(
            _reading(row, math.nan if math.isnan(value + n) else accuracy_low(value, n), attack="")
        )
    return readings


READINGS: dict[str, Callable[[Checkpoint], list[Reading]]] = {
    "max_advantage": advantage,
    "max_tpr_at_fpr_0.01": tpr,
    "max_class_advantage": class_advantage,
    "max_epsilon": epsilon,
    "min_val_accuracy": val_accuracy,
}


def worst(rule: str, checkpoint: Checkpoint) -> Reading:
    """The least favourable reading of a rule; one that is missing is worse than any number."""
    readings = READINGS[rule](checkpoint)
    if not readings:
        return Reading(math.nan, why_missing="the attack stage wrote no such rows")
    if missing := [reading for reading in readings if math.isnan(reading.value)]:
        return missing[0]
    choose = min if rule.startswith("min_") else max
    return choose(readings, key=lambda reading: reading.value)


def finding(rule: str, limit: float, checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What stands against the checkpoint under this rule, or None when the rule is kept.

    A finding has epoch, rule, limit, value and excess (by how much the limit is missed; both null when
    the rule cannot be judged), attack, slice and reason.
    """
    reading = worst(rule, checkpoint)
    found: dict[str, Any] = {"epoch": checkpoint.epoch, "rule": rule, "limit": limit}
    found |= {"attack": reading.attack, "slice": reading.slice}
    if math.isnan(reading.value):
        return found | {"value": None, "excess": None, "reason": f"cannot be judged: {reading.why_missing}"}
    excess = limit - reading.value if rule.startswith("min_") else reading.value - limit
    if excess <= 0:
        return None
    side = "below" if rule.startswith("min_") else "above"
    return found | {"value": reading.value, "excess": excess, "reason": f"{excess:.3g} {side} {limit:g}"}


def _reading(row: Row, value: float, attack: str | None = None) -> Reading:
    why = row.get("note") or "the attack's table has no value"
    return Reading(value, row["attack"] if attack is None else attack, row["slice"], why_missing=why)
