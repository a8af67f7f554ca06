"""Average, worst class and canaries side by side, and what the audit of one run says of a claim."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from privacy_report.gate.twins import GRADIENTS, canaries_of, canary_rows, is_twin
from privacy_report.pipeline.tables import Row
from privacy_report.report.study import Study
from privacy_report.report.summary import interval, number

TPR = "tpr_at_1pct_fpr"
ATTACKS = ("threshold", "rmia")
"""By the loss alone, and calibrated by reference models; not chosen by what they find."""
BLACK_BOX, WHITE_BOX = "the outputs of the last checkpoint", "every step's update"
"""What the attacker of a one-run audit sees: of canaries that are examples, and of gradients."""


@dataclass(frozen=True)
class Line:
    """An audit twin's last checkpoint and one attack: AUC and members found at 1% FPR of three groups."""

    label: str
    epoch: int
    attack: str
    average: tuple[str, str]
    worst_class: tuple[str, str]
    canaries: tuple[str, str]


@dataclass(frozen=True)
class Coins:
    """The audit of one run in words: what its attacker sees, guesses, bounds and claim."""

    label: str
    sees: str
    guesses: str
    bound: str
    fdp: str
    ceiling: str
    claimed: str


def twins(study: Study) -> list[str]:
    """The variants that have canaries."""
    return [variant for variant in study.variants if is_twin(variant, study.variants)]


def side_by_side(study: Study) -> list[Line]:
    """A line per twin and attack of ATTACKS that was made. The worst class is where its AUC is highest."""
    lines = []
    for variant in twins(study):
        epoch = study.shown(variant)["last"]
        of_canaries = canary_rows(variant, study.root)
        for attack in ATTACKS:
            groups = (study.entire[variant, epoch], study.by_class.get(variant, ()), of_canaries)
            average, worst_class, canaries = (
                max(_of(rows, attack, epoch), key=lambda row: row["auc"], default=None) for rows in groups
            )
            if canaries is not None:
                cells = map(_cells, (average, worst_class, canaries))
                lines.append(Line(study.labels[variant], epoch, attack, *cells))
    return lines


def _of(rows: Iterable[Row], attack: str, epoch: int) -> list[Row]:
    """The measured rows of an attack at a checkpoint."""
    return [
        row
        for row in rows
        if row["attack"] == attack and row["epoch"] == epoch and not math.isnan(row["auc"])
    ]


def _cells(row: Row | None) -> tuple[str, str]:
    return ("-", "-") if row is None else (interval(row, "auc"), interval(row, TPR, percent=True))


def coins(study: Study) -> list[Coins]:
    """What one run with canaries says of epsilon, a line per twin."""
    lines = []
    for variant in twins(study):
        if audit := study.one_run(variant):
            claim = study.claim(variant)
            fdp = audit["epsilon_one_run_fdp"]
            lines.append(
                Coins(
                    study.labels[variant],
                    WHITE_BOX if canaries_of(variant, study.variants) == GRADIENTS else BLACK_BOX,
                    f"{audit['correct']} of {audit['guesses']}, {audit['canaries']} canaries",
                    number(audit["epsilon_one_run"], 2),
                    number(fdp, 2),
                    number(audit["epsilon_ceiling"], 2),
                    number(claim.epsilon if claim else None, 2),
                )
            )
    return lines
