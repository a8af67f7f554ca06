"""The heat maps: which classes each variant leaks, over its checkpoints."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from privacy_report.pipeline.contract import CLASS
from privacy_report.report.study import Study, is_leak
from privacy_report.report.style import Panel, Picture

MOST_NAMES = 25  # classes named beside a heat map
NOISE = "#9aa1aa"  # neither as dark nor as bright as any colour of the scale on either theme


def classes_picture(study: Study) -> Picture:
    """Heat map of the strongest attack's advantage: class x epoch, one panel a variant, one colour scale.

    Cells in which no attack detected a leak are grey: their advantage is a maximum of noise over thresholds
    and attacks, and may be large where a class is small.
    """
    grids = {variant: class_grid(study, variant) for variant in study.close(study.labels)}
    leaking = {variant: class_grid(study, variant, leaking=True) for variant in grids}
    top = max([0.1, *(value for grid in leaking.values() for value in grid[np.isfinite(grid)])])
    classes = study.dataset["class_names"]
    panels = [
        Panel(
            partial(_heat, study, variant, grid, leaking[variant], classes, top),
            _alt(study.labels[variant], leaking[variant], classes),
            height=max(2.4, min(len(classes), MOST_NAMES) * 0.19 + 1.1),
        )
        for variant, grid in grids.items()
        if grid.shape[1]
    ]
    return Picture("advantage_by_class", panels, columns=2)


def class_grid(study: Study, variant: str, leaking: bool = False) -> np.ndarray:
    """Advantage (n_classes, n_checkpoints) of the strongest attack; NaN where nothing was measured.

    leaking: NaN also where no attack detected a leak in the class, after correction.
    """
    column = {epoch: i for i, epoch in enumerate(study.epochs(variant))}
    grid = np.full((len(study.dataset["class_names"]), len(column)), np.nan)
    found = np.zeros(grid.shape, bool)
    for row in study.by_class.get(variant, ()):
        if int(row["epoch"]) in column:
            cell = int(row["slice"].removeprefix(CLASS)), column[int(row["epoch"])]
            grid[cell] = np.fmax(grid[cell], row["advantage"])
            found[cell] |= is_leak(row)
    return np.where(found, grid, np.nan) if leaking else grid


def _heat(
    study: Study,
    variant: str,
    grid: np.ndarray,
    leaking: np.ndarray,
    classes: list[str],
    top: float,
    ax: Axes,
) -> None:
    epochs = study.epochs(variant)
    style: Any = {"aspect": "auto", "interpolation": "nearest", "extent": (0, len(epochs), len(classes), 0)}
    # Images of the panel's own resolution: their size does not grow with the number of cells.
    measured = np.ma.masked_where(~np.isfinite(grid), np.zeros_like(grid))
    ax.imshow(measured, cmap=ListedColormap([NOISE]), **style)
    cells = ax.imshow(np.ma.masked_invalid(leaking), cmap="viridis", vmin=0, vmax=top, **style)
    ax.figure.colorbar(cells, ax=ax, label="Advantage", pad=0.02).outline.set_visible(False)
    step = math.ceil(len(epochs) / 5)
    ax.set_xticks(np.arange(0, len(epochs), step) + 0.5, [str(epoch) for epoch in epochs[::step]])
    step = math.ceil(len(classes) / MOST_NAMES)
    ax.set_yticks(np.arange(0, len(classes), step) + 0.5, [str(name)[:14] for name in classes[::step]])
    ax.grid(False)
    ax.set(title=study.labels[variant], xlabel="Epoch")


def _alt(label: str, leaking: np.ndarray, classes: list[str]) -> str:
    cells = np.isfinite(leaking)
    if not cells.any():
        return f"Heat map of {label} by class and epoch: no attack detected a leak in any class."
    worst, last = np.unravel_index(np.nanargmax(leaking), leaking.shape)
    return (
        f"Heat map of the attacker's advantage on {label} by class and epoch; a leak was detected in "
        f"{cells.sum()} of {cells.size} cells, the highest is {leaking[worst, last]:.3f}, "
        f"for {classes[int(worst)]}."
    )
