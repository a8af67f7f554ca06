"""The pictures that look into a variant: classes, losses, and the training images most at risk."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from privacy_report.pipeline.contract import CLASS
from privacy_report.pipeline.tables import Row, where
from privacy_report.report.study import Study
from privacy_report.report.style import GRID, INK, Look, Panel, Picture

MOST_CELLS = 600  # a larger heat map goes into the SVG as pixels
MOST_NAMES = 25  # classes named beside a heat map


def per_class(study: Study, look: Look) -> Picture:
    """Heat map of the strongest attack's advantage: class x epoch, one panel a variant, one colour scale."""
    grids = {variant: class_grid(study, variant) for variant in study.labels}
    values = [value for grid in grids.values() for value in grid[np.isfinite(grid)]]
    top = max([0.1, *values])
    classes = study.dataset["class_names"]
    panels = [
        Panel(
            partial(_heat, study, variant, grid, classes, top),
            _alt_heat(study.labels[variant], grid, classes),
            height=max(2.4, min(len(classes), MOST_NAMES) * 0.19 + 1.1),
        )
        for variant, grid in grids.items()
        if grid.shape[1]
    ]
    return Picture("advantage_by_class", panels, columns=2)


def class_grid(study: Study, variant: str) -> np.ndarray:
    """Advantage (n_classes, n_checkpoints) of the strongest attack; NaN where nothing was measured."""
    epochs = study.epochs(variant)
    grid = np.full((len(study.dataset["class_names"]), len(epochs)), np.nan)
    column = {epoch: i for i, epoch in enumerate(epochs)}
    for row in where(study.privacy, variant=variant):
        if row["slice"].startswith(CLASS) and int(row["epoch"]) in column:
            cell = int(row["slice"].removeprefix(CLASS)), column[int(row["epoch"])]
            grid[cell] = np.fmax(grid[cell], row["advantage"])
    return grid


def _heat(study: Study, variant: str, grid: np.ndarray, classes: list[str], top: float, ax: Axes) -> None:
    epochs = study.epochs(variant)
    ax.set_facecolor(GRID)  # shows through where nothing was measured
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(grid), cmap="viridis", vmin=0, vmax=top, edgecolors="face", lw=0.3
    )
    mesh.set_rasterized(grid.size > MOST_CELLS)
    ax.figure.colorbar(mesh, ax=ax, label="Advantage", pad=0.02).outline.set_visible(False)
    step = math.ceil(len(epochs) / 8)
    ax.set_xticks(np.arange(0, len(epochs), step) + 0.5, [str(epoch) for epoch in epochs[::step]])
    step = math.ceil(len(classes) / MOST_NAMES)
    ax.set_yticks(np.arange(0, len(classes), step) + 0.5, [str(name)[:14] for name in classes[::step]])
    ax.invert_yaxis()
    ax.grid(False)
    ax.set(title=study.labels[variant], xlabel="Epoch")


def losses(study: Study, look: Look) -> Picture:
    """Loss histograms of members and non-members at each variant's recommended and last checkpoints."""
    panels = []
    for variant, label in study.labels.items():
        rows = study.part("histograms", variant)
        shown = study.shown(variant)
        for which, epoch in shown.items():
            if which == "last" and epoch == shown.get("recommended"):
                continue
            found = list(where(rows, epoch=float(epoch)))
            title = f"{label}, epoch {epoch} ({which})"
            alt = f"Histogram of the losses of members and non-members: {title}."
            panels.append(Panel(partial(_histogram, found, look.color(variant), title), alt, height=2.5))
    return Picture("loss_histograms", panels, columns=2)


def _histogram(rows: list[Row], color: str, title: str, ax: Axes) -> None:
    # Both fills are told apart by line style too, for readers who see no colour.
    styles: dict[str, Any] = {
        "member": {"color": color, "fill": True, "alpha": 0.45},
        "nonmember": {"color": INK, "lw": 1.2},
    }
    for side, style in styles.items():
        found = [row for row in where(rows, side=side) if math.isfinite(row["high"])]
        total = sum(row["count"] for row in where(rows, side=side))
        if found and total:
            edges = [row["low"] for row in found] + [found[-1]["high"]]
            name = {"member": "members", "nonmember": "non-members"}[side]
            ax.stairs([row["count"] / total for row in found], edges, label=name, **style)
    ax.set(xscale="log", yscale="log")  # the bins are geometric
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    ax.set(title=title, xlabel="Loss", ylabel="Share of examples")
    if ax.get_legend_handles_labels()[0]:
        ax.set_ylim(top=4 * ax.get_ylim()[1])  # room for the key above the shapes
        ax.legend(loc="upper right", ncols=2)


def exposed(study: Study, count: int) -> dict[str, list[Row]]:
    """Of each variant the `count` training examples most at risk, as rows of exposed.csv."""
    parts = {variant: study.part("exposed", variant) for variant in study.labels}
    return {variant: sorted(rows, key=lambda row: row["rank"])[:count] for variant, rows in parts.items()}


def images(root: Path, indices: list[int]) -> dict[int, np.ndarray]:
    """Images (H, W, 3) uint8 by index into data/prepare/images.npy; grey ones get three channels."""
    everything = np.load(root / "data/prepare/images.npy", mmap_mode="r", allow_pickle=False)
    found = {}
    for index in indices:
        image = np.asarray(everything[index])
        found[index] = (
            np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[2] == 1 else image[..., :3]
        )
    return found


def gallery(study: Study, count: int) -> Picture:
    """The most exposed training images, one panel a variant, most exposed first."""
    panels = []
    for variant, rows in exposed(study, count).items():
        shown = list(images(study.root, [int(row["index"]) for row in rows]).values())
        if shown:
            alt = f"The {len(rows)} training images that {study.labels[variant]} exposes most."
            panels.append(Panel(partial(_gallery, shown, study.labels[variant]), alt, height=1.9))
    return Picture("exposed_images", panels, columns=2)


def _gallery(shown: list[np.ndarray], title: str, ax: Axes) -> None:
    across = min(6, len(shown))
    rows = math.ceil(len(shown) / across)
    height, width = shown[0].shape[:2]
    sheet = np.full((rows * (height + 2), across * (width + 2), 4), 0, np.uint8)
    opaque = np.full((height, width), 255, np.uint8)
    for place, image in enumerate(shown):
        top, left = (place // across) * (height + 2), (place % across) * (width + 2)
        sheet[top : top + height, left : left + width] = np.dstack([image, opaque])
    ax.imshow(sheet, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title)


def _alt_heat(label: str, grid: np.ndarray, classes: list[str]) -> str:
    if not np.isfinite(grid).any():
        return f"Heat map of {label}: no class could be measured."
    worst, last = np.unravel_index(np.nanargmax(grid), grid.shape)
    return (
        f"Heat map of the attacker's advantage on {label} by class and epoch; the highest is "
        f"{grid[worst, last]:.3f}, for {classes[int(worst)]}."
    )
