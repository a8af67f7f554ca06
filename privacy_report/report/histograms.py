"""The loss histograms: members and non-members side by side."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from matplotlib.axes import Axes

from privacy_report.pipeline.tables import Row, where
from privacy_report.report.runs import runs
from privacy_report.report.study import Study
from privacy_report.report.style import INK, Look, Panel, Picture, in_percent, in_powers, key


def losses_picture(study: Study, look: Look) -> Picture:
    """Loss histograms of members and non-members at each variant's recommended and last checkpoints.

    Without audit twins and repeats. Of many variants one checkpoint each: the recommended one, or the last
    where none is.
    """
    panels = []
    for variant in study.close(runs(study)):
        rows = study.part("histograms", variant)
        for which, epoch in _checkpoints(study, variant).items():
            bins = list(where(rows, epoch=float(epoch)))
            title = f"{study.labels[variant]}\nEpoch {epoch}, {which}"
            alt = f"Histogram of the losses of members and non-members: {title}.".replace("\n", ", ")
            panels.append(Panel(partial(_histogram, bins, look.color(variant), title), alt))
    return Picture("loss_histograms", panels, columns=2)


def _checkpoints(study: Study, variant: str) -> dict[str, int]:
    """Which checkpoint -> its epoch, each epoch once."""
    shown = dict(study.shown(variant))
    if "recommended" in shown and (study.many or shown.get("last") == shown["recommended"]):
        shown.pop("last", None)
    return shown


def _histogram(rows: list[Row], color: str, title: str, ax: Axes) -> None:
    # Both fills are told apart by line style too, for readers who see no colour.
    styles: dict[str, Any] = {
        "member": {"color": color, "fill": True, "alpha": 0.45},
        "nonmember": {"color": INK, "lw": 1.2},
    }
    for side, style in styles.items():
        bins = [row for row in where(rows, side=side) if math.isfinite(row["high"])]
        total = sum(row["count"] for row in where(rows, side=side))
        if bins and total:
            edges = [row["low"] for row in bins] + [bins[-1]["high"]]
            name = {"member": "members", "nonmember": "non-members"}[side]
            ax.stairs([row["count"] / total for row in bins], edges, label=name, **style)
    ax.set(xscale="log", yscale="log")  # the bins are geometric
    in_powers(ax.xaxis)
    in_percent(ax.yaxis)
    ax.set(title=title, xlabel="Loss", ylabel="Share of examples")
    key(ax, ax.get_legend_handles_labels()[0])
