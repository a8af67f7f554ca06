"""The picture of classes: how much each gives away at the checkpoint that is shown of each variant."""

from __future__ import annotations

import math
from functools import partial

from matplotlib.axes import Axes

from privacy_report.pipeline.contract import CLASS
from privacy_report.pipeline.tables import Row
from privacy_report.report.runs import runs
from privacy_report.report.study import Study, is_leak
from privacy_report.report.style import INK, PAPER, Look, Panel, Picture

MOST_CLASSES = 25  # in one panel: those that leak most


def classes_picture(study: Study, look: Look) -> Picture:
    """A dot and a 95% interval per class, most exposed first: a panel per variant, at its shown checkpoint.

    A dot is hollow where no attack detected a leak. No panel for a variant of which no class was measured.
    """
    panels = []
    for variant in study.close(runs(study)):
        epoch = next(iter(study.shown(variant).values()), 0)
        rows = worst_rows(study, variant, epoch)[:MOST_CLASSES]
        if rows:
            alt = _alt(study.labels[variant], epoch, rows, study.dataset["class_names"])
            draw = partial(_dots, study, variant, epoch, look.color(variant), rows)
            panels.append(Panel(draw, alt, height=max(2.0, 0.21 * len(rows) + 0.9)))
    return Picture("advantage_by_class", panels, columns=2)


def worst_rows(study: Study, variant: str, epoch: int) -> list[Row]:
    """The row of the strongest attack on each class at a checkpoint, those with the largest advantage first.

    A leak that was detected counts before a larger advantage that may be chance.
    """
    worst: dict[str, Row] = {}
    for row in study.by_class.get(variant, ()):
        if row["epoch"] == epoch and not math.isnan(row["advantage"]):
            best = worst.setdefault(row["slice"], row)
            if _strength(row) > _strength(best):
                worst[row["slice"]] = row
    return sorted(worst.values(), key=lambda row: row["advantage"], reverse=True)


def _strength(row: Row) -> tuple[bool, float]:
    return is_leak(row), row["advantage"]


def _dots(study: Study, variant: str, epoch: int, color: str, rows: list[Row], ax: Axes) -> None:
    names = [str(study.dataset["class_names"][_number(row)])[:14] for row in rows]
    heights = range(len(rows))[::-1]
    for height, row in zip(heights, rows, strict=True):
        ax.plot([row["advantage_low"], row["advantage_high"]], [height] * 2, color=color, alpha=0.5)
        ax.plot(row["advantage"], height, "o", ms=5, mec=color, mfc=color if is_leak(row) else PAPER)
    ax.axvline(0, color=INK, lw=0.8, ls=(0, (2, 2)))
    if (limit := _limit(study, variant)) is not None:
        ax.axvline(limit, color=INK, lw=0.8, ls=(0, (6, 3)))
    ax.set_yticks(list(heights), names)
    ax.set(title=f"{study.labels[variant]}, epoch {epoch}", xlabel="Attacker's advantage (0 is chance)")


def _limit(study: Study, variant: str) -> float | None:
    policy = study.verdict(variant)["policy"]
    limits = [
        rule["limit"] for rule in policy if rule["rule"] == "max_class_advantage" and "slice" not in rule
    ]
    return float(limits[0]) if limits and limits[0] is not None else None


def _number(row: Row) -> int:
    return int(row["slice"].removeprefix(CLASS))


def _alt(label: str, epoch: int, rows: list[Row], classes: list[str]) -> str:
    leaking, worst = sum(map(is_leak, rows)), rows[0]
    return (
        f"Dot plot of the attacker's advantage on {label}, epoch {epoch}, by class. "
        f"A leak was detected in {leaking} of {len(rows)} classes. "
        f"The highest is {worst['advantage']:.3f}, for {classes[_number(worst)]}."
    )
