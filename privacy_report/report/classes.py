"""The heat maps: which classes each variant leaks, over its checkpoints."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from matplotlib.axes import Axes

from privacy_report.pipeline.contract import CLASS
from privacy_report.report.study import Study
from privacy_report.report.style import GRID, Panel, Picture

MOST_NAMES = 25  # classes named beside a heat map


def classes_picture(study: Study) -> Picture:
    """Heat map of the strongest attack's advantage: class x epoch, one panel a variant, one colour scale."""
    grids = {variant: class_grid(study, variant) for variant in study.close(study.labels)}
    values = [value for grid in grids.values() for value in grid[np.isfinite(grid)]]
    top = max([0.1, *values])
    classes = study.dataset["class_names"]
    panels = [
        Panel(
            partial(_heat, study, variant, grid, classes, top),
            _alt(study.labels[variant], grid, classes),
            height=max(2.4, min(len(classes), MOST_NAMES) * 0.19 + 1.1),
        )
        for variant, grid in grids.items()
        if grid.shape[1]
    ]
    return Picture("advantage_by_class", panels, columns=2)


def class_grid(study: Study, variant: str) -> np.ndarray:
    """Advantage (n_classes, n_checkpoints) of the strongest attack; NaN where nothing was measured."""
    column = {epoch: i for i, epoch in enumerate(study.epochs(variant))}
    grid = np.full((len(study.dataset["class_names"]), len(column)), np.nan)
    for row in study.by_class.get(variant, ()):
        if int(row["epoch"]) in column:
            cell = int(row["slice"].removeprefix(CLASS)), column[int(row["epoch"])]
            grid[cell] = np.fmax(grid[cell], row["advantage"])
    return grid


def _heat(study: Study, variant: str, grid: np.ndarray, classes: list[str], top: float, ax: Axes) -> None:
    epochs = study.epochs(variant)
    ax.set_facecolor(GRID)  # shows through where nothing was measured
    # An image of the panel's own resolution: its size does not grow with the number of cells.
    cells = ax.imshow(
        np.ma.masked_invalid(grid),
        cmap="viridis",
        vmin=0,
        vmax=top,
        aspect="auto",
        interpolation="nearest",
        extent=(0, len(epochs), len(classes), 0),
    )
    ax.figure.colorbar(cells, ax=ax, label="Advantage", pad=0.02).outline.set_visible(False)
    step = math.ceil(len(epochs) / 8)
    ax.set_xticks(np.arange(0, len(epochs), step) + 0.5, [str(epoch) for epoch in epochs[::step]])
    step = math.ceil(len(classes) / MOST_NAMES)
    ax.set_yticks(np.arange(0, len(classes), step) + 0.5, [str(name)[:14] for name in classes[::step]])
    ax.grid(False)
    ax.set(title=study.labels[variant], xlabel="Epoch")


def _alt(label: str, grid: np.ndarray, classes: list[str]) -> str:
    if not np.isfinite(grid).any():
        return f"Heat map of {label}: no class could be measured."
    worst, last = np.unravel_index(np.nanargmax(grid), grid.shape)
    return (
        f"Heat map of the attacker's advantage on {label} by class and epoch; the highest is "
        f"{grid[worst, last]:.3f}, for {classes[int(worst)]}."
    )
