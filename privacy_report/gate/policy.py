"""Apply a policy to every checkpoint of a variant: choose on one half, report on the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from privacy_report.errors import UserError
from privacy_report.gate.rules import Checkpoint, finding, worst
from privacy_report.pipeline.contract import ENTIRE, REPORT, SELECT, with_ends
from privacy_report.pipeline.tables import Row


def checkpoints(
    rows: Sequence[Row], half: str, epsilon: Mapping[int, float], references: int
) -> list[Checkpoint]:
    """The checkpoints of a variant in one half ("select" or "report"), by epoch."""
    epochs: dict[int, list[Row]] = {}
    for row in rows:
        if row["half"] == half:
            epochs.setdefault(int(row["epoch"]), []).append(row)
    return [
        Checkpoint(epoch, epochs[epoch], epsilon.get(epoch, math.nan), references) for epoch in sorted(epochs)
    ]


def judge(checkpoint: Checkpoint, limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """All findings against a checkpoint, in the order of the rules; empty when it passes."""
    found = (finding(rule, limit, checkpoint) for rule, limit in limits.items())
    return [one for one in found if one is not None]


def verdict_on(
    variant: str,
    rows: Sequence[Row],
    limits: Mapping[str, float],
    epsilon: Mapping[int, float],
    references: int = 0,
) -> dict[str, Any]:
    """The verdict on one variant.

    `rows` are halves.csv with numbers (NaN for empty cells), `epsilon` the claimed epsilon by epoch,
    `references` the number of reference models.
    Among the checkpoints that pass on the half "select", the one with the best validation accuracy there
    is recommended, the earliest of equals. Its numbers, and whether they keep the policy as well
    (`confirmed`), come from the half "report", which had no part in the choice.
    Raises UserError when the two halves do not hold the same checkpoints.
    """
    select, report = (checkpoints(rows, half, epsilon, references) for half in (SELECT, REPORT))
    if not select or [c.epoch for c in select] != [c.epoch for c in report]:
        raise UserError(
            f"data/attack/{variant}/halves.csv: the halves must hold the same checkpoints, got "
            f"select {[c.epoch for c in select]}, report {[c.epoch for c in report]}"
        )
    findings = {checkpoint.epoch: judge(checkpoint, limits) for checkpoint in select}
    passing = [checkpoint for checkpoint in select if not findings[checkpoint.epoch]]
    verdict: dict[str, Any] = {
        "verdict": "pass" if passing else "fail",
        "policy": [{"rule": rule, "limit": limit} for rule, limit in limits.items()],
        "reference_models": references,
        "checkpoints": len(select),
        "passing": len(passing),
        "failing": [one for found in findings.values() for one in found],
    }
    if passing:
        best = max(passing, key=lambda c: (_or_lowest(accuracy(c)), -c.epoch))
        chosen = next(c for c in report if c.epoch == best.epoch)
        verdict |= {"recommended_epoch": best.epoch} | numbers(chosen)
        against = judge(chosen, limits)
        verdict |= {"confirmed": "no" if against else "yes", "against": against}
    return verdict


def numbers(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's metrics on the entire dataset, each of the attack that is worst in it.

    Metrics that could not be measured are left out.
    """
    found: dict[str, Any] = {"val_accuracy": accuracy(checkpoint), "epsilon": checkpoint.epsilon}
    for column in ("auc", "advantage", "tpr_at_1pct_fpr"):
        row = _worst_row(checkpoint, column)
        found |= {name: row[name] for name in with_ends(column)} if row else {}
        if row and column == "advantage":
            found["attack"] = row["attack"]
    if row := _worst_row(checkpoint, "epsilon_low"):
        found["epsilon_low"] = row["epsilon_low"]
    found["class_advantage_high"] = worst("max_class_advantage", checkpoint).value
    return {
        name: value for name, value in found.items() if not (isinstance(value, float) and math.isnan(value))
    }


def accuracy(checkpoint: Checkpoint) -> float:
    """Validation accuracy on the checkpoint's half; NaN when no row carries it."""
    values = [float(row["val_accuracy"]) for row in checkpoint.of(ENTIRE)]
    return next((value for value in values if not math.isnan(value)), math.nan)


def _worst_row(checkpoint: Checkpoint, column: str) -> Row | None:
    rows = [row for row in checkpoint.of(ENTIRE) if not math.isnan(row[column])]
    return max(rows, key=lambda row: row[column], default=None)


def _or_lowest(value: float) -> float:
    return -math.inf if math.isnan(value) else value
