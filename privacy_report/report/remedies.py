"""What to do about a leak: remedies next to the variant that leaks, over all their training runs.

A variant is a remedy where its `remedy_of` names another one of the study. Leaks are compared by the attacks
that all compared runs have in common and that need no reference models: variants may have more or fewer of
those, and more of them find more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from privacy_report.gate.policy import numbers
from privacy_report.pipeline.contract import EARLY, OUTPUTS, kind_of
from privacy_report.pipeline.measured import NAMES
from privacy_report.pipeline.tables import Row, write_table
from privacy_report.report.rows import FOUND, canaries
from privacy_report.report.runs import Runs, label_of, runs
from privacy_report.report.study import Study, pareto
from privacy_report.report.style import INK, Look, Panel, Picture, label_ends, room_for_labels
from privacy_report.report.summary import number

LEAK = "advantage"
COLUMNS = (
    "variant",
    "label",
    "remedy_of",
    "runs",
    "runs_that_keep",
    "epoch",
    *("val_accuracy", "val_accuracy_low", "val_accuracy_high"),
    *("advantage", "advantage_low", "advantage_high"),
    FOUND,
    NAMES,
    *("accuracy_gain", "accuracy_gain_low", "accuracy_gain_high"),
    *("advantage_cut", "advantage_cut_low", "advantage_cut_high"),
    "pairs",
)
"""Of remedies.csv; see `rows`."""
DIGITS = 6


class Point(NamedTuple):
    """A checkpoint: its validation accuracy and its leak."""

    accuracy: float
    leak: float


def compared(study: Study) -> dict[str, list[Runs]]:
    """Variant -> its runs and those of its remedies, of each variant that has a remedy in the study."""
    groups, by_base = runs(study), dict[str, list[Runs]]()
    for name, group in groups.items():
        if (base := study.variants[name].get("remedy_of")) in groups and base != name:
            by_base.setdefault(base, [groups[base]]).append(group)
    return by_base


def write(study: Study, folder: Path) -> None:
    """Write remedies.csv to `folder`: a row per variant that has remedies, and per remedy."""
    write_table(folder / "remedies.csv", rows(study), COLUMNS, DIGITS)


def rows(study: Study) -> Iterator[Row]:
    """What each remedy gives, NaN where there is no number.

    runs_that_keep: how many of the runs have a checkpoint that keeps the policy, chosen and confirmed by the
    gate. epoch, val_accuracy, advantage, tpr_at_1pct_fpr, named_at_10pct_fdr: of one of them, by all attacks
    on all examples: the one with the middle accuracy, the lower one of an even number; val_accuracy_low, ...,
    advantage_high: least and largest over all of them.
    accuracy_gain, advantage_cut: see `gains`; the middle, the least and the largest over all pairs of a run
    of the remedy with one of the variant, NaN unless each pair has a number. pairs: how many there are.
    """
    for base, groups in compared(study).items():
        curves = paths(study, [name for group in groups for name in group.names])
        for group in groups:
            gained = [
                gains(curves[ours], curves[theirs], reference(study, theirs))
                for ours, theirs in product(group.names, groups[0].names)
                if group.of != base
            ]
            row: dict[str, Any] = dict.fromkeys(COLUMNS, math.nan)
            row |= {"variant": group.of, "label": study.labels[group.of], "pairs": len(gained)}
            row |= {"remedy_of": "" if group.of == base else base, "runs": len(group.names)}
            yield (
                row
                | _kept(study, group)
                | _spread("accuracy_gain", [gain for gain, _ in gained])
                | _spread("advantage_cut", [cut for _, cut in gained])
            )


def _kept(study: Study, group: Runs) -> dict[str, Any]:
    """Of recommended checkpoints: the one of middle accuracy, and the least and the largest over the runs."""
    chosen = {name: epoch for name in group.names if (epoch := study.recommended(name)) is not None}
    at = {name: _numbers(study, name, epoch) for name, epoch in chosen.items()}
    cells: dict[str, Any] = {"runs_that_keep": len(at)}
    if at:
        middle = sorted(at, key=lambda name: at[name]["val_accuracy"])[(len(at) - 1) // 2]
        cells |= at[middle] | {"epoch": chosen[middle]}
    for column in ("val_accuracy", LEAK):
        values = [of_run[column] for of_run in at.values()]
        if values:
            cells |= {f"{column}_low": min(values), f"{column}_high": max(values)}
    return cells


def _numbers(study: Study, variant: str, epoch: int) -> dict[str, float]:
    """Accuracy, and of each measure what the worst attack has: as in metrics/."""
    values = numbers(study.checkpoint(variant, epoch))
    return {column: values.get(column, math.nan) for column in ("val_accuracy", LEAK, FOUND, NAMES)}


def paths(study: Study, names: Sequence[str]) -> dict[str, dict[int, Point]]:
    """Variant -> epoch -> its accuracy and leak, by the attacks that measured each of `names`."""
    # Attacks are in common over all epochs, not at each. A first checkpoint has none before it, so that
    # nobody can attack it by its trajectory: its leak is that of the others, in each variant and in the gate.
    shared = set.intersection(*({row["attack"] for row in _measured(study, name)} for name in names))
    curves: dict[str, dict[int, Point]] = {}
    for name in names:
        at = curves[name] = {}
        for row in _measured(study, name):
            if row["attack"] in shared and not math.isnan(row["val_accuracy"]):
                epoch = int(row["epoch"])
                leak = max(row[LEAK], at[epoch].leak if epoch in at else -math.inf)
                at[epoch] = Point(row["val_accuracy"], leak)
    return curves


def _measured(study: Study, variant: str) -> list[Row]:
    entire_rows = (row for epoch in study.epochs(variant) for row in study.entire[variant, epoch])
    return [
        row for row in entire_rows if kind_of(row["attack"]) in (OUTPUTS, EARLY) and not math.isnan(row[LEAK])
    ]


def reference(study: Study, variant: str) -> int:
    """The epoch at which remedies are compared with a run: the recommended one, or its last."""
    chosen = study.recommended(variant)
    return study.epochs(variant)[-1] if chosen is None else chosen


def gains(remedy: Mapping[int, Point], base: Mapping[int, Point], epoch: int) -> tuple[float, float]:
    """How much more accurate a remedy is at the base's leak, and how much less it leaks at its accuracy.

    The base is at `epoch`. The remedy is anywhere on the line through its checkpoints in their order: at its
    highest accuracy where it leaks no more than the base, and at its least leak where it is as accurate. NaN
    where it never is.
    """
    if epoch not in base:
        return math.nan, math.nan
    line, at = [remedy[e] for e in sorted(remedy)], base[epoch]
    accurate = [point.accuracy for point in _within(line, lambda point: at.leak - point.leak)]
    quiet = [point.leak for point in _within(line, lambda point: point.accuracy - at.accuracy)]
    gain = max(accurate) - at.accuracy if accurate else math.nan
    return gain, at.leak - min(quiet) if quiet else math.nan


def _within(line: Sequence[Point], room: Any) -> Iterator[Point]:
    """The corners of the parts of a line on which `room`, a linear function of a point, is at least 0."""
    yield from (point for point in line if room(point) >= 0)
    for start, end in pairwise(line):
        a, b = room(start), room(end)
        if a * b < 0:
            share = a / (a - b)
            yield Point(*(x + share * (y - x) for x, y in zip(start, end, strict=True)))


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    if not values or any(map(math.isnan, values)):
        return {}
    return {name: float(np.median(values)), f"{name}_low": min(values), f"{name}_high": max(values)}


def picture(study: Study, look: Look) -> Picture:
    """Accuracy against leak: a curve per remedy through its middle run, and the Pareto front of all runs."""
    panels = [
        Panel(
            partial(_draw, study, look, groups),
            f"Advantage against validation accuracy of {study.labels[base]} and of "
            f"{', '.join(study.labels[group.of] for group in groups[1:])}, a point for each checkpoint.",
            width=6.4,
            height=max(3.6, room_for_labels(len(groups))),
        )
        for base, groups in compared(study).items()
    ]
    return Picture("remedies", panels, columns=1)


def _draw(study: Study, look: Look, groups: Sequence[Runs], ax: Axes) -> None:
    curves = paths(study, [name for group in groups for name in group.names])
    ends = []
    for group in groups:
        color, marker = look.color(group.of), look.marker(group.of)
        for name in group.names:
            points = list(curves[name].values())
            x, y = [point.accuracy for point in points], [point.leak for point in points]
            if name == group.middle:
                ax.plot(x, y, color=color, marker=marker, ms=3, lw=1)
                ends += [(value, label_of(study, group), color, marker) for value in y[-1:]]
            else:
                ax.plot(x, y, color=color, lw=0.6, alpha=0.5)
    front = pareto([(point.accuracy, point.leak) for curve in curves.values() for point in curve.values()])
    if front:
        ax.plot(*zip(*front, strict=True), color=INK, lw=1, ls=(0, (4, 1.5)), drawstyle="steps-pre", zorder=5)
    ax.set(title="Attacker's advantage", xlabel="Validation accuracy")
    ax.set_ylim(bottom=0)
    label_ends(ax, ends)


class Line(NamedTuple):
    """A row of the page's table, in words."""

    label: str
    runs: str
    epoch: str
    accuracy: str
    advantage: str
    found: str
    named: str
    canaries: str
    gain: str
    cut: str


def lines(study: Study) -> list[Line]:
    """The page's table; empty where no variant of the study is a remedy."""
    return [_line(study, row) for row in rows(study)]


def _line(study: Study, row: Row) -> Line:
    kept = not math.isnan(row["epoch"])
    tpr = number(row[FOUND], percent=True) if kept else "-"
    return Line(
        label=row["label"],
        runs=f"{row['runs_that_keep']} of {row['runs']}",
        epoch=f"{row['epoch']:.0f}" if kept else "-",
        accuracy=_said(row, "val_accuracy"),
        advantage=_said(row, LEAK),
        found=tpr,
        named="-" if math.isnan(row[NAMES]) else f"{row[NAMES]:,.0f}",
        canaries=(canaries(study, row["variant"], int(row["epoch"])) if kept else "") or "-",
        gain=_said(row, "accuracy_gain", "+.3f") if row["pairs"] else "",
        cut=_said(row, "advantage_cut", "+.3f") if row["pairs"] else "",
    )


def _said(row: Row, column: str, form: str = ".3f") -> str:
    """A number with its range over the runs, where there are several; "-" without one."""
    value, low, high = row[column], row[f"{column}_low"], row[f"{column}_high"]
    if math.isnan(value):
        return "-"
    return f"{value:{form}}" + (f" ({low:{form}} to {high:{form}})" if low < high else "")
