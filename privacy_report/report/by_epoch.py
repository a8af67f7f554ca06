"""The pictures over epochs: vulnerability and accuracy of all variants, and the epsilon of private ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from privacy_report.pipeline.contract import EPSILON_JOINT
from privacy_report.report.differential_privacy import shown_by_canaries
from privacy_report.report.marks import CHANCE, NAMES, attackers, keys_of_lines, star
from privacy_report.report.runs import Between, Runs, accuracies, between, label_of, runs
from privacy_report.report.study import SPENT, Study
from privacy_report.report.style import (
    INK,
    LINES,
    PAPER,
    Look,
    Panel,
    Picture,
    key,
    label_ends,
    room_for_labels,
)

MARK = 3.6  # points across
MOST_MARKERS = 8  # on one curve of many


def vulnerability(study: Study, look: Look) -> Picture:
    """AUC, advantage and TPR at 1% FPR by epoch, each with its 95% band, and the model's accuracy.

    Audit twins are left out: they lie on the curves of their variants and are never shipped. Of a variant
    with several seeds the middle run is drawn, with a band from the least to the largest of all its runs.
    """
    panels = [(partial(_by_epoch, study, look, column), _alt_by_epoch(study, column)) for column in CHANCE]
    alt = "Line chart: training and validation accuracy of each variant by epoch."
    panels.append((partial(_accuracy, study, look), alt))
    height = max(3.0, room_for_labels(len(study.labels)))
    return Picture("vulnerability_by_epoch", [Panel(*panel, height=height) for panel in panels], columns=2)


def _by_epoch(study: Study, look: Look, column: str, ax: Axes) -> None:
    lines, ends = attackers(study), []
    for variant, group in runs(study).items():
        color = look.color(variant)
        if group.several:
            last = _runs_by_epoch(study, look, group, column, ax)
            ends += [(value, label_of(study, group), color, look.marker(variant)) for value in last]
            continue
        for kinds, line in zip(lines.values(), LINES, strict=False):
            rows = study.by_epoch(variant, column, kinds)
            x, y = [row["epoch"] for row in rows], [row[column] for row in rows]
            _curve(study, ax, x, y, color=color, ls=line, marker=look.marker(variant), ms=MARK)
            if not study.many:
                quiet = [row for row in rows if not study.leaks(variant, row["epoch"], kinds)]
                points = [row["epoch"] for row in quiet], [row[column] for row in quiet]
                ax.plot(*points, marker=look.marker(variant), ms=MARK, mfc=PAPER, mec=color, ls="none")
                low, high = ([row[f"{column}_{end}"] for row in rows] for end in ("low", "high"))
                ax.fill_between(x, low, high, color=color, alpha=0.13, lw=0)
        if strongest := study.by_epoch(variant, column):
            ends.append((strongest[-1][column], study.labels[variant], color, look.marker(variant)))
        star(study, look, variant, ax, lambda row: row["epoch"], column)
    ax.axhline(CHANCE[column], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(title=NAMES[column], xlabel="Epoch")
    _whole_epochs(ax)
    key(ax, keys_of_lines(list(lines)), columns=1)
    label_ends(ax, ends)


def _runs_by_epoch(study: Study, look: Look, group: Runs, column: str, ax: Axes) -> list[float]:
    """The middle run's curves, with bands from the least to the largest run; its last strongest number."""
    color, marker = look.color(group.of), look.marker(group.of)
    for kinds, line in zip(attackers(study).values(), LINES, strict=False):
        _band(study, ax, between(study, group, column, kinds), color=color, ls=line, marker=marker, ms=MARK)
    star(study, look, group.middle, ax, lambda row: row["epoch"], column, color)
    return [point.middle for point in between(study, group, column)[-1:]]


def _band(study: Study, ax: Axes, band: Sequence[Between], **style: Any) -> None:
    x = [point.epoch for point in band]
    _curve(study, ax, x, [point.middle for point in band], **style)
    low, high = [point.low for point in band], [point.high for point in band]
    ax.fill_between(x, low, high, color=style["color"], alpha=0.2, lw=0)


def _curve(study: Study, ax: Axes, x: Sequence[float], y: Sequence[float], **style: Any) -> None:
    """A line with markers; of many variants thin with few markers."""
    if study.many:
        step = math.ceil(len(x) / MOST_MARKERS) or 1
        style |= {"lw": 0.9, "markevery": ((len(x) - 1) % step, step)}  # the last point is marked
    ax.plot(x, y, **style)


def _accuracy(study: Study, look: Look, ax: Axes) -> None:
    lines = (
        {"validation": "val_accuracy"}
        if study.many
        else {"validation": "val_accuracy", "training": "running_accuracy"}
    )
    ends = []
    for variant, group in runs(study).items():
        if group.several:
            band = accuracies(study, group)
            _band(study, ax, band, color=look.color(variant), marker="none")
            last = [(at.middle, label_of(study, group), look.color(variant), "none") for at in band[-1:]]
            ends += last
            continue
        rows = study.training.get(variant, [])
        x = [row["epoch"] for row in rows]
        dots = look.marker(variant) if study.many or len(rows) < 2 else "none"
        for column, line in zip(lines.values(), LINES, strict=False):
            y = [row[column] for row in rows]
            _curve(study, ax, x, y, color=look.color(variant), ls=line, marker=dots, ms=MARK)
        if rows:
            ends.append((rows[-1]["val_accuracy"], study.labels[variant], look.color(variant), dots))
    ax.set(title="Accuracy of the model", xlabel="Epoch")
    _whole_epochs(ax)
    key(ax, keys_of_lines(list(lines)))
    label_ends(ax, ends)


def epsilon_picture(study: Study, look: Look) -> Picture:
    """Epsilon by epoch, what canaries show, and bounds over the fixed split: a panel per private variant."""
    panels = [
        Panel(
            partial(_epsilon, study, look, variant),
            f"Line chart: the epsilon that the training of {study.labels[variant]} had spent by each epoch, "
            "what canaries show, and lower bounds over the fixed split.",
        )
        for variant in study.close(filter(study.is_private, runs(study)))
    ]
    return Picture("epsilon", panels)


def _epsilon(study: Study, look: Look, variant: str, ax: Axes) -> None:
    color, label = look.color(variant), study.labels[variant]
    rows = study.training[variant]
    spent = [row["epsilon"] for row in rows]
    ax.plot([row["epoch"] for row in rows], spent, color=color, marker="o" if len(rows) < 2 else "none")
    ends = [(spent[-1], SPENT, color, "")]
    audits = {"fixed split, each": ("epsilon_fixed_split", INK), "fixed split, all": (EPSILON_JOINT, PAPER)}
    for name, (column, fill) in audits.items():
        audited = study.by_epoch(variant, column)
        bounds = [row[column] for row in audited]
        epochs = [row["epoch"] for row in audited]
        ax.plot(epochs, bounds, color=INK, mfc=fill, ls="none", marker="v", ms=MARK)
        ends += [(low, name, INK, "v" if fill == INK else "") for low in bounds[-1:]]
    for box, epoch, bound in shown_by_canaries(study, variant):
        ax.plot(epoch, bound, color=color, marker="D", ms=6, ls="none")
        ends.append((bound, f"canaries, {box}", color, "D"))
    ax.set(title=label, xlabel="Epoch", ylabel="Epsilon")
    ax.set_ylim(bottom=min(0, -0.03 * max([1.0, *spent])))
    _whole_epochs(ax)
    label_ends(ax, ends)


def _whole_epochs(ax: Axes) -> None:
    left, right = ax.get_xlim()
    if right - left < 2:
        ax.set_xlim(left - 1, right + 1)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _alt_by_epoch(study: Study, column: str) -> str:
    said = []
    for group in runs(study).values():
        if points := between(study, group, column):  # of one run, what `study.by_epoch` has
            first, last = points[0], points[-1]
            said.append(
                f"{label_of(study, group)} from {first.middle:.3f} at epoch {first.epoch} "
                f"to {last.middle:.3f} at epoch {last.epoch}"
            )
    return f"Line chart, {NAMES[column]}, by epoch: {'; '.join(said) or 'nothing was measured'}."
