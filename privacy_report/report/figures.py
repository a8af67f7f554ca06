"""The pictures over epochs and over attackers: vulnerability, privacy against accuracy, ROC, epsilon."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from privacy_report.pipeline.contract import EPSILON_JOINT
from privacy_report.pipeline.tables import Row
from privacy_report.report.differential_privacy import shown_by_canaries
from privacy_report.report.runs import Between, Runs, accuracies, between, label_of, runs
from privacy_report.report.study import ATTACKS, MORE_THAN_OUTPUTS, OUTPUTS_ONLY, Study, pareto
from privacy_report.report.style import (
    GRID,
    INK,
    LINES,
    MOST_LABELS,
    PAPER,
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
MARK = 3.6  # points across
MOST_MARKERS = 8  # on one curve of many

CHANCE = {"auc": 0.5, "advantage": 0.0, "tpr_at_1pct_fpr": 0.01}
NAMES = {
    "auc": "AUC (0.5 is chance)",
    "advantage": "Attacker's advantage (0 is chance)",
    "tpr_at_1pct_fpr": "Members found at 1% FPR",
}


def attackers(study: Study) -> dict[str, Sequence[str]]:
    """What a line stands for -> the kinds of attacks of which it shows the strongest.

    Two lines per variant where there are attacks that see more than outputs, one where there are none or
    many variants.
    """
    if study.many or not study.attacks(MORE_THAN_OUTPUTS):
        return {"strongest attack": ATTACKS}
    kinds_of = {"outputs only": OUTPUTS_ONLY, "references, early checkpoints": MORE_THAN_OUTPUTS}
    return {name: kinds for name, kinds in kinds_of.items() if study.attacks(kinds)}


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
    for variant, one in runs(study).items():
        color = look.color(variant)
        if one.several:
            last = _runs_by_epoch(study, look, one, column, ax)
            ends += [(value, label_of(study, one), color, look.marker(variant)) for value in last]
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
        _star(study, look, variant, ax, lambda row: row["epoch"], column)
    ax.axhline(CHANCE[column], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(title=NAMES[column], xlabel="Epoch")
    _whole_epochs(ax)
    key(ax, _keys(list(lines)), columns=1)
    label_ends(ax, ends)


def _runs_by_epoch(study: Study, look: Look, one: Runs, column: str, ax: Axes) -> list[float]:
    """The middle run's curves, with bands from the least to the largest run; its last strongest number."""
    color, marker = look.color(one.of), look.marker(one.of)
    for kinds, line in zip(attackers(study).values(), LINES, strict=False):
        _band(study, ax, between(study, one, column, kinds), color=color, ls=line, marker=marker, ms=MARK)
    _star(study, look, one.middle, ax, lambda row: row["epoch"], column, color)
    return [found.middle for found in between(study, one, column)[-1:]]


def _band(study: Study, ax: Axes, found: Sequence[Between], **style: Any) -> None:
    x = [one.epoch for one in found]
    _curve(study, ax, x, [one.middle for one in found], **style)
    low, high = [one.low for one in found], [one.high for one in found]
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
    for variant, one in runs(study).items():
        if one.several:
            found = accuracies(study, one)
            _band(study, ax, found, color=look.color(variant), marker="none")
            last = [(at.middle, label_of(study, one), look.color(variant), "none") for at in found[-1:]]
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
    key(ax, _keys(list(lines)))
    label_ends(ax, ends)


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
    for variant, one in runs(study).items():
        rows = study.by_epoch(one.middle, column)
        x, y = [row["val_accuracy"] for row in rows], [row[column] for row in rows]
        shades: Any = np.linspace(0.35, 1.0, len(rows)) if len(rows) > 1 else None
        ax.scatter(x, y, s=15, c=look.color(variant), marker=look.marker(variant), alpha=shades, lw=0)
        points += list(zip(x, y, strict=True))
        if rows:
            ends.append((y[-1], label_of(study, one), look.color(variant), look.marker(variant)))
    front = pareto(points)
    ax.plot(
        *zip(*front, strict=True) if front else ([], []), color=INK, lw=1, drawstyle="steps-pre", zorder=1
    )
    for one in runs(study).values():
        _star(study, look, one.middle, ax, lambda row: row["val_accuracy"], column, look.color(one.of))
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

    Without audit twins and repeats, as in `vulnerability`.
    """
    panels = []
    names = list(runs(study))
    height = 3.3 + room_for_key(min(len(names), MOST_LABELS) + len(_keys(list(attackers(study)))), 1)
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
    key(ax, keys[:MOST_LABELS] + _keys(list(lines)), columns=1)


def epsilon_picture(study: Study, look: Look) -> Picture:
    """Claimed epsilon, what canaries show, and bounds over the fixed split: one panel per private variant."""
    panels = [
        Panel(
            partial(_epsilon, study, look, variant),
            f"Line chart: claimed epsilon of {study.labels[variant]}, what canaries show, and lower bounds "
            "over the fixed split.",
        )
        for variant in study.close(filter(study.is_private, runs(study)))
    ]
    return Picture("epsilon", panels)


def _epsilon(study: Study, look: Look, variant: str, ax: Axes) -> None:
    color, label = look.color(variant), study.labels[variant]
    rows = study.training[variant]
    claimed = [row["epsilon"] for row in rows]
    ax.plot([row["epoch"] for row in rows], claimed, color=color, marker="o" if len(rows) < 2 else "none")
    ends = [(claimed[-1], "claimed", color, "")]
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
    ax.set_ylim(bottom=min(0, -0.03 * max([1.0, *claimed])))
    _whole_epochs(ax)
    label_ends(ax, ends)


def _star(
    study: Study, look: Look, variant: str, ax: Axes, x: Callable[[Row], float], column: str, color: str = ""
) -> None:
    """Mark the recommended checkpoint, in the variant's colour or in another one."""
    epoch = study.recommended(variant)
    row = None if epoch is None else study.strongest(variant, epoch, column)
    if row is not None:
        at = x(row), row[column]
        size, edge = (8, 0.4) if study.many else (11, 0.8)
        color = color or look.color(variant)
        ax.plot(*at, marker="*", ms=size, color=color, mec=PAPER, mew=edge, ls="none", zorder=5)


def nonmembers(study: Study) -> float:
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


def _whole_epochs(ax: Axes) -> None:
    left, right = ax.get_xlim()
    if right - left < 2:
        ax.set_xlim(left - 1, right + 1)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _keys(names: Sequence[str]) -> list[Line2D]:
    """Say in ink which line style means what, where there are several."""
    if len(names) < 2:
        return []
    return [Line2D([], [], color=INK, ls=line, label=name) for name, line in zip(names, LINES, strict=False)]


def _at(study: Study, epochs: dict[str, int]) -> str:
    return ", ".join(f"{study.labels[name]} at epoch {epoch}" for name, epoch in epochs.items())


def _alt_by_epoch(study: Study, column: str) -> str:
    said = []
    for variant, label in study.labels.items():
        if rows := study.by_epoch(variant, column):
            first, last = rows[0], rows[-1]
            said.append(
                f"{label} from {first[column]:.3f} at epoch {first['epoch']:.0f} "
                f"to {last[column]:.3f} at epoch {last['epoch']:.0f}"
            )
    return f"Line chart, {NAMES[column]}, by epoch: {'; '.join(said) or 'nothing was measured'}."


def _alt_trade_off(study: Study, column: str) -> str:
    stars = {name: epoch for name in study.labels if (epoch := study.recommended(name)) is not None}
    marked = f"Recommended: {_at(study, stars)}." if stars else "No checkpoint is recommended."
    return f"Scatter plot, {NAMES[column]} against validation accuracy, one dot per checkpoint. {marked}"
