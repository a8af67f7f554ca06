"""The pictures of two trade-offs: privacy against accuracy, members found against others accused."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from privacy_report.report.marks import CHANCE, NAMES, attackers, keys_of_lines, star
from privacy_report.report.runs import label_of, runs
from privacy_report.report.study import Study, pareto
from privacy_report.report.style import (
    GRID,
    INK,
    LINES,
    MOST_LABELS,
    Look,
    Panel,
    Picture,
    in_percent,
    key,
    label_ends,
    room_for_key,
    room_for_labels,
)

FEWEST_FALSE_POSITIVES = 5  # below it a false positive rate says little


def privacy_vs_accuracy(study: Study, look: Look) -> Picture:
    """Vulnerability against validation accuracy, one dot per checkpoint, with the Pareto front.

    Your own scores come without an accuracy: there is no panel then.
    """
    known = not all(math.isnan(row["val_accuracy"]) for row in study.privacy)
    height = max(3.2, room_for_labels(len(study.labels)))
    panels = [
        Panel(partial(_trade_off, study, look, column), _alt_trade_off(study, column), height=height)
        for column in (("auc", "advantage") if known else ())
    ]
    return Picture("privacy_vs_accuracy", panels, columns=2)


def _trade_off(study: Study, look: Look, column: str, ax: Axes) -> None:
    points, ends = [], []
    for variant, group in runs(study).items():
        rows = study.by_epoch(group.middle, column)
        x, y = [row["val_accuracy"] for row in rows], [row[column] for row in rows]
        shades: Any = np.linspace(0.35, 1.0, len(rows)) if len(rows) > 1 else None
        ax.scatter(x, y, s=15, c=look.color(variant), marker=look.marker(variant), alpha=shades, lw=0)
        points += list(zip(x, y, strict=True))
        if rows:
            ends.append((y[-1], label_of(study, group), look.color(variant), look.marker(variant)))
    front = pareto(points)
    ax.plot(
        *zip(*front, strict=True) if front else ([], []), color=INK, lw=1, drawstyle="steps-pre", zorder=1
    )
    for group in runs(study).values():
        star(study, look, group.middle, ax, lambda row: row["val_accuracy"], column, look.color(group.of))
    ax.set(title=NAMES[column], xlabel="Validation accuracy")
    _room(ax, 0.02, CHANCE[column])
    ax.axhline(CHANCE[column], color=INK, lw=0.8, ls=(0, (2, 2)))
    keys = [
        Line2D([], [], color=INK, lw=1, label="Pareto front"),
        Line2D([], [], color=INK, marker="*", ls="none", ms=9, label="recommended"),
    ]
    key(ax, keys)
    label_ends(ax, ends)


def roc_picture(study: Study, look: Look) -> Picture:
    """ROC curves on two logarithmic axes, at the recommended and at the last checkpoints.

    Without audit twins and repeats, as in `by_epoch.vulnerability`.
    """
    panels = []
    names = list(runs(study))
    n = min(len(names), MOST_LABELS) + len(keys_of_lines(list(attackers(study))))
    height = 3.3 + room_for_key(n, 1)
    for which in ("recommended", "last"):
        epochs = {name: shown[which] for name in names if which in (shown := study.shown(name))}
        if epochs:
            alt = f"ROC curves on logarithmic axes at the {which} checkpoints: {_at(study, epochs)}."
            panels.append(Panel(partial(_roc, study, look, which, epochs), alt, height=height))
    return Picture("roc", panels, columns=2)


def _roc(study: Study, look: Look, which: str, epochs: dict[str, int], ax: Axes) -> None:
    few = FEWEST_FALSE_POSITIVES / nonmembers(study)
    lowest = min(1e-3, few / FEWEST_FALSE_POSITIVES)
    lines = attackers(study)
    for variant, epoch in epochs.items():
        for kinds, line in zip(lines.values(), LINES, strict=False):
            strongest = study.strongest(variant, epoch, kinds=kinds)
            curve = study.curve(strongest) if strongest else np.empty((0, 2))
            x, y = curve[(curve > 0).all(axis=1)].T
            style: Any = {"color": look.color(variant), "ls": line, "marker": look.marker(variant)}
            ax.plot(x, y, markevery=0.2, ms=3, **style)
    ax.axvspan(lowest, few, color=GRID, alpha=0.7, lw=0)
    ax.text(lowest * 1.1, 0.9, "too few\nnon-members", va="top")
    ax.plot([lowest, 1], [lowest, 1], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1))
    ax.set(title=f"ROC, {which} checkpoint", xlabel="False positive rate", ylabel="Members found (TPR)")
    in_percent(ax.xaxis)
    in_percent(ax.yaxis)
    ax.tick_params(axis="x", pad=7)  # the lowest labels of both axes meet in the corner
    keys = [
        Line2D(
            [],
            [],
            color=look.color(name),
            marker=look.marker(name),
            ms=4,
            label=f"{study.labels[name]}, epoch {epoch}",
        )
        for name, epoch in epochs.items()
    ]
    key(ax, keys[:MOST_LABELS] + keys_of_lines(list(lines)), columns=1)


def nonmembers(study: Study) -> float:
    """The largest number of non-members that an attack had, 1 where there was none."""
    sizes = [row["n_nonmember"] for rows in study.entire.values() for row in rows if row["n_nonmember"] > 0]
    return max(sizes, default=1.0)


def _room(ax: Axes, least: float, lowest: float) -> None:
    """Axes of at least `least` in both directions, from `lowest` up."""
    left, right = ax.get_xlim()
    if (missing := least - (right - left)) > 0:
        ax.set_xlim(left - missing / 2, right + missing / 2)
    bottom, top = ax.get_ylim()
    bottom = min(bottom, lowest)
    ax.set_ylim(bottom, bottom + 1.05 * max(least, top - bottom))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _at(study: Study, epochs: dict[str, int]) -> str:
    return ", ".join(f"{study.labels[name]} at epoch {epoch}" for name, epoch in epochs.items())


def _alt_trade_off(study: Study, column: str) -> str:
    epochs = [(label_of(study, group), study.recommended(group.middle)) for group in runs(study).values()]
    stars = [f"{label} at epoch {epoch}" for label, epoch in epochs if epoch is not None]
    marked = f"Recommended: {'; '.join(stars)}." if stars else "No checkpoint is recommended."
    return f"Scatter plot, {NAMES[column]} against validation accuracy, one dot per checkpoint. {marked}"
