"""The first screen: one row per variant with its numbers as bars, its audit twin folded under it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privacy_report.gate.named import most_named
from privacy_report.gate.policy import numbers
from privacy_report.gate.scope import attacks_made
from privacy_report.gate.twins import AUDIT, audited_by, audited_epsilon, canary_rows, twin_of
from privacy_report.gate.words import BREAKS, KEEPS, colour
from privacy_report.pipeline.contract import ENTIRE, counts, with_ends
from privacy_report.pipeline.measured import NAMES
from privacy_report.report.study import Study
from privacy_report.report.summary import number

FOUND = "tpr_at_1pct_fpr"
LIMITED_BY = {"advantage": "max_advantage", FOUND: "max_tpr_at_1pct_fpr"}
COLUMNS = (("advantage", "Advantage", "advantage"), (FOUND, "Found at 1% FPR", "found"))
"""The bars: column, heading, key in the glossary."""


@dataclass(frozen=True)
class Bar:
    """A number with its interval and its limit: as text, and as percentages of the bar's whole width."""

    value: float
    text: str
    interval: str
    limit: float | None
    widths: Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """A variant on the first screen; `epoch` is the chosen one, confirmed or not, or the last where none was.

    The numbers are of all examples; half: those of the half that had no part in the choice, in words.
    """

    name: str
    label: str
    color: str
    tone: str
    pill: str
    epoch: int
    which: str
    half: str
    accuracy: float
    bars: Mapping[str, Bar | None]
    named: str
    claimed: str
    audited: str
    canaries: str
    twin: str | None


def first_screen(study: Study, colors: Mapping[str, str]) -> list[Line]:
    """The rows of all variants, audit twins directly after the variant that they are trained like."""
    names = list(study.candidates)
    for name in study.labels:
        if name not in names:
            whose = audited_by(name, study.variants, study.candidates)
            names.insert(len(names) if whose is None else names.index(whose) + 1, name)
    values = {name: _values(study, name) for name in names}
    most = {column: _most(study, values, column) for column in LIMITED_BY}
    return [_line(study, colors[name], name, values[name], most) for name in names]


def measured(rows: Sequence[Line]) -> list[tuple[str, str, str]]:
    """Those of COLUMNS that have a number in any row."""
    return [column for column in COLUMNS if any(row.bars[column[0]] for row in rows)]


def _values(study: Study, variant: str) -> dict[str, Any]:
    """Numbers of the row: of the strongest attacks at one checkpoint, on all examples, as in metrics/."""
    epoch = study.verdict(variant).get("recommended_epoch", study.shown(variant).get("last", 0))
    return {"epoch": epoch, **numbers(study.checkpoint(variant, epoch))}


def _limits(verdict: Mapping[str, Any]) -> dict[str, float]:
    return {rule["rule"]: rule["limit"] for rule in verdict["policy"] if "slice" not in rule}


def _most(study: Study, values: Mapping[str, Mapping[str, Any]], column: str) -> float:
    """The right end of a column's bars: a little more than the largest end of what may be shipped.

    The bars of audit twins may end there.
    """
    measured = [name for name in study.candidates if column in values[name]]
    names = measured or list(values)
    ends = [values[name].get(f"{column}_high", values[name].get(column, 0.0)) for name in names]
    ends += [_limits(study.verdict(name)).get(LIMITED_BY[column], 0.0) for name in names]
    return 1.08 * max([0.01, *(end for end in ends if not math.isnan(end))])


def _bar(values: Mapping[str, Any], column: str, limit: float | None, most: float) -> Bar | None:
    value, low, high = (values.get(name, math.nan) for name in with_ends(column))
    if math.isnan(value):
        return None
    rate = column == FOUND
    ends = {"value": value} if math.isnan(low + high) else {"low": low, "value": value, "high": high}
    ends |= {} if limit is None else {"limit": limit}
    widths = {name: round(100 * min(1.0, max(0.0, end / most)), 2) for name, end in ends.items()}
    between = f"{number(low, percent=rate)} to {number(high, percent=rate)}" if "low" in ends else ""
    return Bar(value, number(value, percent=rate), between, limit, widths)


def _line(
    study: Study, color: str, variant: str, values: Mapping[str, Any], most: Mapping[str, float]
) -> Line:
    verdict, epoch, claim = study.verdict(variant), values["epoch"], study.claim(variant)
    limits = _limits(verdict)
    return Line(
        name=variant,
        label=study.labels[variant],
        color=color,
        tone=colour(verdict),
        pill=pill(verdict),
        epoch=epoch,
        which="recommended"
        if verdict["verdict"] == KEEPS
        else "chosen"
        if "recommended_epoch" in verdict
        else "last",
        half=_on_half(verdict.get("on_report_half", {})),
        accuracy=values.get("val_accuracy", math.nan),
        bars={
            column: _bar(values, column, limits.get(rule), most[column])
            for column, rule in LIMITED_BY.items()
        },
        named=named(study, variant, epoch),
        claimed=number(claim.epsilon if claim else None, digits=2),
        audited=audited(study, variant, epoch),
        canaries=canaries(study, variant, epoch),
        twin=_twin_of_whom(study, variant),
    )


def _on_half(on_half: Mapping[str, Any]) -> str:
    """What the confirming half gave, empty where no checkpoint was chosen."""
    if not on_half:
        return ""
    parts = [f"accuracy {number(on_half.get('val_accuracy', math.nan))}"]
    for column, name, _ in COLUMNS:
        if bar := _bar(on_half, column, None, 1.0):
            parts.append(
                f"{name[0].lower()}{name[1:]} {bar.text}" + (f" ({bar.interval})" if bar.interval else "")
            )
    return ", ".join(parts)


def pill(verdict: Mapping[str, Any]) -> str:
    """The verdict in a word or two."""
    if verdict["verdict"] == AUDIT:
        return "audit only"
    if verdict["verdict"] == KEEPS:
        return "passes, leaks" if verdict["scope"]["leaks"] else "passes"
    if "recommended_epoch" in verdict:
        return "not confirmed"
    return "fails" if verdict["verdict"] == BREAKS else "not judged"


def named(study: Study, variant: str, epoch: int) -> str:
    """How many members the best attack names when one name in ten may be wrong; empty where not measured."""
    best = most_named(study.checkpoint(variant, epoch).of(ENTIRE))
    return f"{best[NAMES]:,.0f} of {best['n_member']:,.0f}" if best else ""


def canaries(study: Study, variant: str, epoch: int) -> str:
    """The highest AUC on canaries of an attack that counts, at the epoch, or at the twin's last one."""
    twin = twin_of(variant, study.variants)
    rows = [] if twin is None else attacks_made(canary_rows(twin, study.root))
    rows = [row for row in rows if counts(row["attack"], study.verdict(variant).get("released"))]
    if not rows:
        return ""
    at = epoch if any(row["epoch"] == epoch for row in rows) else max(row["epoch"] for row in rows)
    best = max((row for row in rows if row["epoch"] == at), key=lambda row: row["auc"])
    return f"{best['auc']:.3f}" + (f" (epoch {at:.0f})" if at != epoch else "")


def audited(study: Study, variant: str, epoch: int) -> str:
    """The bound of the one-run audit, with the epoch that it is about where that is another one."""
    audit = study.one_run(variant)
    if audit is None:
        return "-"
    bound = number(audited_epsilon(audit), digits=2)
    return bound + (f" (epoch {audit['epoch']})" if audit["epoch"] != epoch else "")


def _twin_of_whom(study: Study, variant: str) -> str | None:
    """The variant under which an audit twin is folded; None for what is no twin or stands alone."""
    if variant in study.candidates:
        return None
    return audited_by(variant, study.variants, study.candidates)
