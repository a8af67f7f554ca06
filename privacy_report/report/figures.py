"""The pictures over epochs and over attackers: vulnerability, privacy against accuracy, ROC, epsilon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from privacy_report.pipeline.tables import Row, where
from privacy_report.report.study import Study, pareto
from privacy_report.report.style import GRID, INK, LINES, PAPER, Look, Panel, Picture, label_ends

MOST_LINES = 9  # with more, only the strongest attack of each checkpoint is drawn
FEWEST_FALSE_POSITIVES = 5  # below it a false positive rate says little
STRONGEST = "strongest attack"

CHANCE = {"auc": 0.5, "advantage": 0.0, "tpr_at_1pct_fpr": 0.01}
NAMES = {
    "auc": "AUC of the attack (0.5 is chance)",
    "advantage": "Attacker's advantage (0 is chance)",
    "tpr_at_1pct_fpr": "Members found at 1% false positives",
}


def drawn_attacks(study: Study) -> list[str]:
    """The attacks that get a line of their own, or only `STRONGEST` when they were too many lines."""
    crowded = len(study.labels) * len(study.attacks) > MOST_LINES
    return [STRONGEST] if crowded or len(study.attacks) > len(LINES) else study.attacks


def curve(study: Study, variant: str, attack: str, column: str) -> list[Row]:
    """A variant's rows by epoch, of one attack or of the strongest in `column`; refused ones stay, as NaN."""
    if attack != STRONGEST:
        rows = where(study.entire, variant=variant, attack=attack)
        return sorted(rows, key=lambda row: row["epoch"])
    found = [study.strongest(variant, epoch, column) for epoch in study.epochs(variant)]
    return [row for row in found if row is not None]


def vulnerability(study: Study, look: Look) -> Picture:
    """AUC, advantage and TPR at 1% FPR by epoch, each with its 95% band, and the model's accuracy."""
    panels = [
        Panel(partial(_by_epoch, study, look, column), _alt_by_epoch(study, column)) for column in CHANCE
    ]
    alt = "Line chart: training and validation accuracy of each variant by epoch."
    return Picture(
        "vulnerability_by_epoch", [*panels, Panel(partial(_accuracy, study, look), alt)], columns=2
    )


def _by_epoch(study: Study, look: Look, column: str, ax: Axes) -> None:
    attacks, ends = drawn_attacks(study), []
    for variant, label in study.labels.items():
        color = look.color(variant)
        for attack, line in zip(attacks, LINES, strict=False):
            rows = curve(study, variant, attack, column)
            x, y = [row["epoch"] for row in rows], [row[column] for row in rows]
            ax.plot(x, y, color=color, ls=line, marker=look.marker(variant), ms=2.6)
            if rows and f"{column}_low" in rows[0]:
                low, high = ([row[f"{column}_{end}"] for row in rows] for end in ("low", "high"))
                ax.fill_between(x, low, high, color=color, alpha=0.13, lw=0)
        if strongest := curve(study, variant, STRONGEST, column):
            ends.append((strongest[-1]["epoch"], strongest[-1][column], label, color))
        _star(study, look, variant, ax, lambda row: row["epoch"], column)
    ax.axhline(CHANCE[column], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(title=NAMES[column], xlabel="Epoch")
    _whole_epochs(ax)
    _key_to_lines(ax, attacks)
    label_ends(ax, ends)


def _accuracy(study: Study, look: Look, ax: Axes) -> None:
    ends = []
    for variant, label in study.labels.items():
        rows = list(where(study.training, variant=variant))
        x = [row["epoch"] for row in rows]
        dots = look.marker(variant) if len(rows) < 2 else "none"
        for column, line in (("running_accuracy", LINES[1]), ("val_accuracy", "-")):
            ax.plot(x, [row[column] for row in rows], color=look.color(variant), ls=line, marker=dots)
        if rows:
            ends.append((x[-1], rows[-1]["val_accuracy"], label, look.color(variant)))
    ax.set(title="Accuracy of the model", xlabel="Epoch")
    _whole_epochs(ax)
    _key_to_lines(ax, ["validation", "training"])
    label_ends(ax, ends)


def privacy_vs_accuracy(study: Study, look: Look) -> Picture:
    """Vulnerability against validation accuracy, one dot a checkpoint, with the Pareto front."""
    panels = [
        Panel(partial(_trade_off, study, look, column), _alt_trade_off(study, column), height=3.6)
        for column in ("auc", "advantage")
    ]
    return Picture("privacy_vs_accuracy", panels, columns=2)


def _trade_off(study: Study, look: Look, column: str, ax: Axes) -> None:
    points, ends = [], []
    for variant, label in study.labels.items():
        rows = curve(study, variant, STRONGEST, column)
        x, y = [row["val_accuracy"] for row in rows], [row[column] for row in rows]
        shades: Any = np.linspace(0.35, 1.0, len(rows)) if len(rows) > 1 else None
        ax.scatter(x, y, s=15, c=look.color(variant), marker=look.marker(variant), alpha=shades, lw=0)
        points += list(zip(x, y, strict=True))
        if rows:
            ends.append((x[-1], y[-1], label, look.color(variant)))
    front = pareto(points)
    ax.plot(
        *zip(*front, strict=True) if front else ([], []), color=INK, lw=1, drawstyle="steps-pre", zorder=1
    )
    for variant in study.labels:
        _star(study, look, variant, ax, lambda row: row["val_accuracy"], column)
    ax.set(title=NAMES[column], xlabel="Validation accuracy")
    _room(ax, 0.02, CHANCE[column])
    ax.axhline(CHANCE[column], color=INK, lw=0.8, ls=(0, (2, 2)))
    keys = [
        Line2D([], [], color=INK, lw=1, label="Pareto front"),
        Line2D([], [], color=INK, marker="*", ls="none", ms=9, label="recommended"),
    ]
    ax.legend(handles=keys, loc="upper left")
    label_ends(ax, ends)


def roc(study: Study, look: Look) -> Picture:
    """ROC curves on two logarithmic axes, at the recommended and at the last checkpoints."""
    panels = []
    for which in ("recommended", "last"):
        epochs = {name: shown[which] for name in study.labels if which in (shown := study.shown(name))}
        if epochs:
            alt = f"ROC curves on logarithmic axes at the {which} checkpoints: {_at(study, epochs)}."
            panels.append(Panel(partial(_roc, study, look, which, epochs), alt, height=3.8))
    return Picture("roc", panels, columns=2)


def _roc(study: Study, look: Look, which: str, epochs: dict[str, int], ax: Axes) -> None:
    few = FEWEST_FALSE_POSITIVES / _nonmembers(study)
    lowest = min(1e-3, few / FEWEST_FALSE_POSITIVES)
    for variant, epoch in epochs.items():
        strongest = study.strongest(variant, epoch)
        wanted = {"variant": variant, "epoch": float(epoch)}
        rows = list(where(study.roc, **wanted, attack=strongest["attack"])) if strongest else []
        rows = [row for row in rows if row["fpr"] > 0 and row["tpr"] > 0]
        x, y = [row["fpr"] for row in rows], [row["tpr"] for row in rows]
        ax.plot(x, y, color=look.color(variant), marker=look.marker(variant), markevery=0.2, ms=3)
    ax.axvspan(lowest, few, color=GRID, alpha=0.7, lw=0)
    ax.text(few * 0.9, 0.7, "too few\nnon-members", ha="right", va="top", fontsize=7)
    ax.plot([lowest, 1], [lowest, 1], color=INK, lw=0.8, ls=(0, (2, 2)))
    ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1))
    ax.set(title=f"ROC, {which} checkpoint", xlabel="False positive rate", ylabel="Members found (TPR)")
    percent = FuncFormatter(lambda value, _: f"{100 * value:g}%")
    ax.xaxis.set_major_formatter(percent)
    ax.yaxis.set_major_formatter(percent)
    keys = [
        Line2D(
            [], [], color=look.color(v), marker=look.marker(v), ms=4, label=f"{study.labels[v]}, epoch {e}"
        )
        for v, e in epochs.items()
    ]
    ax.legend(handles=keys, loc="lower right", fontsize=6.5 if len(keys) < 7 else 5.5, labelspacing=0.3)


def epsilon(study: Study, look: Look) -> Picture:
    """Claimed epsilon beside the audited lower bound, by epoch, one panel a private variant."""
    panels = [
        Panel(
            partial(_epsilon, study, look, variant),
            f"Line chart: claimed epsilon of {study.labels[variant]}, and the lower bound the attacks prove.",
        )
        for variant in study.labels
        if study.is_private(variant)
    ]
    return Picture("epsilon", panels)


def _epsilon(study: Study, look: Look, variant: str, ax: Axes) -> None:
    color, label = look.color(variant), study.labels[variant]
    rows = list(where(study.training, variant=variant))
    claimed = [row["epsilon"] for row in rows]
    ax.plot([row["epoch"] for row in rows], claimed, color=color, marker="o" if len(rows) < 2 else "none")
    audited = curve(study, variant, STRONGEST, "epsilon_low")
    bounds = [row["epsilon_low"] for row in audited]
    ax.plot([row["epoch"] for row in audited], bounds, color=INK, ls="none", marker="v", ms=3)
    ax.set(title=f"{label}: claimed and audited", xlabel="Epoch", ylabel="Epsilon")
    ax.set_ylim(bottom=min(0, -0.03 * max([1.0, *claimed])))
    _whole_epochs(ax)
    ends = [(0.0, claimed[-1], "claimed", color)] if claimed else []
    label_ends(ax, ends + ([(0.0, bounds[-1], "proven", INK)] if bounds else []))


def _star(study: Study, look: Look, variant: str, ax: Axes, x: Callable[[Row], float], column: str) -> None:
    """Mark the recommended checkpoint."""
    epoch = study.recommended(variant)
    row = None if epoch is None else study.strongest(variant, epoch, column)
    if row is not None:
        at = x(row), row[column]
        ax.plot(*at, marker="*", ms=11, color=look.color(variant), mec=PAPER, mew=0.8, ls="none", zorder=5)


def _nonmembers(study: Study) -> float:
    sizes = [row["n_nonmember"] for row in study.entire if row["n_nonmember"] > 0]
    return max(sizes, default=1.0)


def _room(ax: Axes, least: float, lowest: float) -> None:
    """Axes of at least `least` in both directions, from `lowest` up, with room for the key on top."""
    left, right = ax.get_xlim()
    if (missing := least - (right - left)) > 0:
        ax.set_xlim(left - missing / 2, right + missing / 2)
    bottom, top = ax.get_ylim()
    bottom = min(bottom, lowest)
    ax.set_ylim(bottom, bottom + 1.2 * max(least, top - bottom))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6))


def _whole_epochs(ax: Axes) -> None:
    left, right = ax.get_xlim()
    if right - left < 2:
        ax.set_xlim(left - 1, right + 1)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _key_to_lines(ax: Axes, names: Sequence[str]) -> None:
    """Say in ink which line style means what."""
    keys = [Line2D([], [], color=INK, ls=line, label=name) for name, line in zip(names, LINES, strict=False)]
    ax.legend(handles=keys, loc="upper left", handlelength=2.6)


def _at(study: Study, epochs: dict[str, int]) -> str:
    return ", ".join(f"{study.labels[name]} at epoch {epoch}" for name, epoch in epochs.items())


def _alt_by_epoch(study: Study, column: str) -> str:
    said = []
    for variant, label in study.labels.items():
        if rows := curve(study, variant, STRONGEST, column):
            first, last = rows[0], rows[-1]
            said.append(
                f"{label} from {first[column]:.3f} at epoch {first['epoch']:.0f} "
                f"to {last[column]:.3f} at epoch {last['epoch']:.0f}"
            )
    return f"Line chart, {NAMES[column]}, by epoch: {'; '.join(said) or 'nothing was measured'}."


def _alt_trade_off(study: Study, column: str) -> str:
    stars = {name: epoch for name in study.labels if (epoch := study.recommended(name)) is not None}
    marked = f"Recommended: {_at(study, stars)}." if stars else "No checkpoint is recommended."
    return f"Scatter plot, {NAMES[column]} against validation accuracy, one dot a checkpoint. {marked}"
