"""Last and recommended checkpoint of each variant, as the rows that page and terminal show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy_report.gate.policy import numbers
from privacy_report.gate.twins import AUDIT, audited_epsilon
from privacy_report.gate.words import KEEPS, SHORT, UNJUDGED
from privacy_report.report.study import Study


@dataclass(frozen=True)
class Line:
    """A checkpoint in words: which it is, and its numbers ready to print ("-" where there is none).

    claimed: the epsilon that holds for whichever checkpoint is chosen.
    """

    name: str
    variant: str
    which: str
    epoch: int
    val_accuracy: str
    auc: str
    advantage: str
    tpr: str
    claimed: str
    audited: str
    verdict: str


def lines(study: Study) -> list[Line]:
    """The recommended checkpoint of each variant (where one passes) and the last one, a row each.

    All numbers are those of the row's epoch on all examples, of the attack that is strongest in each; what
    one half of the examples said is on the variant's card.
    """
    all_lines = []
    for variant in study.labels:
        which: dict[int, list[str]] = {}
        for name, epoch in study.shown(variant).items():
            which.setdefault(epoch, []).append(name)
        all_lines += [_line(study, variant, ", ".join(names), epoch) for epoch, names in which.items()]
    return all_lines


def said_of(verdict: Mapping[str, Any], epoch: int) -> str:
    """What the gate says of one checkpoint, in as few words as a table has room for."""
    if verdict["verdict"] == AUDIT:
        return "audit twin"
    if verdict.get("recommended_epoch") == epoch:
        if verdict["verdict"] != KEEPS:
            return "not confirmed"
        return f"{SHORT[KEEPS]}, leaks" if verdict["scope"]["leaks"] else SHORT[KEEPS]
    findings = [finding for finding in verdict["failing"] if finding["epoch"] == epoch]
    rules = [finding["rule"] for finding in findings if finding["judged"] == "yes"]
    if not rules:
        return UNJUDGED if findings else "not chosen"
    return f"breaks {rules[0] if len(rules) == 1 else f'{len(rules)} rules'}"


def _line(study: Study, variant: str, which: str, epoch: int) -> Line:
    values = numbers(study.checkpoint(variant, epoch))
    claim = study.claim(variant)
    return Line(
        name=variant,
        variant=study.labels[variant],
        which=which,
        epoch=epoch,
        val_accuracy=number(values.get("val_accuracy")),
        auc=interval(values, "auc"),
        advantage=interval(values, "advantage"),
        tpr=interval(values, "tpr_at_1pct_fpr", percent=True),
        claimed=number(claim.epsilon if claim else None, digits=2),
        audited=number(audited_epsilon(study.one_run(variant), epoch), digits=2),
        verdict=said_of(study.verdict(variant), epoch),
    )


def number(value: float | None, digits: int = 3, percent: bool = False) -> str:
    """A number as shown to people, "-" for one that is missing."""
    if value is None or math.isnan(value):
        return "-"
    return f"{100 * value:.1f}%" if percent else f"{value:.{digits}f}"


def rate(value: float) -> str:
    """A rate as a percentage: whole from 10% on, with two significant digits below."""
    return f"{100 * value:.0f}%" if value >= 0.1 else f"{100 * value:.2g}%"


def interval(values: dict, column: str, percent: bool = False) -> str:
    """A number with its 95% interval where there is one: "0.612 [0.606, 0.619]"."""
    value, low, high = (number(values.get(column + end), percent=percent) for end in ("", "_low", "_high"))
    return value if "-" in (low, high) else f"{value} [{low}, {high}]"
