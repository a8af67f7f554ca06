"""Last and recommended checkpoint of each variant, as the rows that page and terminal show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from privacy_report.gate.twins import audited_epsilon
from privacy_report.gate.words import UNJUDGED
from privacy_report.report.study import Study


@dataclass(frozen=True)
class Line:
    """A checkpoint in words: which it is, and its numbers ready to print ("-" where there is none)."""

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
    """The recommended checkpoint of each variant (where one passes) and the last one.

    A recommended checkpoint's numbers come from the gate, hence from the half of the non-members that
    had no part in choosing it; the last one's from all non-members.
    """
    found = []
    for variant in study.labels:
        for which, epoch in study.shown(variant).items():
            found.append(
                _recommended(study, variant) if which == "recommended" else _last(study, variant, epoch)
            )
    return found


def _recommended(study: Study, variant: str) -> Line:
    verdict = study.verdict(variant)
    said = "keeps it, leaks" if verdict["scope"]["leaks"] else verdict["verdict"]
    return _line(study, variant, "recommended", verdict["recommended_epoch"], verdict, said)


def _last(study: Study, variant: str, epoch: int) -> Line:
    values: dict[str, float] = {}
    for column in ("auc", "advantage", "tpr_at_1pct_fpr"):
        if row := study.strongest(variant, epoch, column):
            values |= {name: row[name] for name in row if name.startswith(column)}
            values["val_accuracy"] = row["val_accuracy"]
    values["epsilon"] = study.claimed(variant, epoch)
    findings = [finding for finding in study.verdict(variant)["failing"] if finding["epoch"] == epoch]
    return _line(study, variant, "last", epoch, values, breach(findings))


def breach(findings: list[dict]) -> str:
    """What findings against a checkpoint come to, in as few words as a table has room for."""
    if not findings:
        return "keeps it on one half"
    rules = [finding["rule"] for finding in findings if finding["judged"] == "yes"]
    if not rules:
        return UNJUDGED
    return f"breaks {rules[0] if len(rules) == 1 else f'{len(rules)} rules'}"


def _line(study: Study, variant: str, which: str, epoch: int, values: dict, verdict: str) -> Line:
    return Line(
        name=variant,
        variant=study.labels[variant],
        which=which,
        epoch=epoch,
        val_accuracy=number(values.get("val_accuracy")),
        auc=interval(values, "auc"),
        advantage=interval(values, "advantage"),
        tpr=interval(values, "tpr_at_1pct_fpr", percent=True),
        claimed=number(values.get("epsilon"), digits=2),
        audited=number(audited_epsilon(study.one_run(variant), epoch), digits=2),
        verdict=verdict,
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
