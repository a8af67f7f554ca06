"""One look for all figures, drawn once: as PNG for files and as SVG that follows the page's theme.

A figure is a list of panels. The PNG has them side by side; the page takes each panel as a picture of
its own, so that they stack on a phone and their text stays readable.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from privacy_report.pipeline.files import atomic

# In SVG these three stand for the page's own colours (see `to_svg`).
INK, GRID, PAPER = "#1b1f24", "#d7dbe1", "#fefefe"
THEME = {INK: "currentColor", GRID: "var(--grid)", PAPER: "var(--paper)"}

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": INK,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what draws it, what it says to who cannot see it, its size in inches."""

    draw: Callable[[Axes], None]
    alt: str
    width: float = 4.6
    height: float = 3.3


@dataclass(frozen=True)
class Picture:
    """Panels that belong together; `name` is the stem of the PNG and prefixes ids in the SVG."""

    name: str
    panels: list[Panel] = field(default_factory=list)
    columns: int = 3


def to_png(picture: Picture, path: Path, dpi: int) -> None:
    """Write all panels into one PNG; its bytes depend on the drawing alone."""
    columns = max(1, min(picture.columns, len(picture.panels)))
    rows = max(1, math.ceil(len(picture.panels) / columns))
    width = max((panel.width for panel in picture.panels), default=4)
    height = max((panel.height for panel in picture.panels), default=1)
    with mpl.rc_context(STYLE):
        figure = Figure((width * columns, height * rows), layout="constrained", facecolor=PAPER)
        FigureCanvasAgg(figure)
        for position, panel in enumerate(picture.panels, start=1):
            panel.draw(figure.add_subplot(rows, columns, position))
        if not picture.panels:
            figure.text(0.5, 0.5, "Nothing to show", ha="center")
        with atomic(path) as file:
            figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})


def to_svgs(picture: Picture) -> list[str]:
    """Each panel as an <svg> element with alt text, its colours left to the page's theme."""
    return [_svg(panel, f"{picture.name}-{i}") for i, panel in enumerate(picture.panels)]


def _svg(panel: Panel, prefix: str) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure((panel.width, panel.height), layout="constrained", facecolor="none")
        panel.draw(figure.add_subplot())
        buffer = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # ids must differ between the pictures of a page
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
    for color, stands_for in THEME.items():
        svg = svg.replace(color, stands_for)
    opening = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)
    alt = panel.alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    xlink = "xmlns:xlink='http://www.w3.org/1999/xlink'"
    return opening.sub(
        lambda match: f'<svg role="img" aria-label="{alt}" viewBox="{match[1]}" {xlink}>', svg, count=1
    )


@dataclass(frozen=True)
class Look:
    """A colour and a marker for each variant, the same in every figure."""

    variants: Sequence[str]
    palette: Sequence[str]

    def color(self, variant: str) -> str:
        return self.palette[self.variants.index(variant) % len(self.palette)]

    def marker(self, variant: str) -> str:
        return MARKERS[self.variants.index(variant) % len(MARKERS)]


def label_ends(ax: Axes, ends: list[tuple[float, float, str, str]], spacing: float = 0.062) -> None:
    """Write labels (x, y, text, colour) right of the axes, moved apart where they would overlap.

    `spacing` is the least distance of two labels as a fraction of the axes' height.
    """
    low, high = ax.get_ylim()
    places = sorted(((y - low) / (high - low), text, color) for _, y, text, color in ends if math.isfinite(y))
    spacing = min(spacing, 1 / max(1, len(places)))
    heights = [place[0] for place in places]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + spacing)
    for i in range(len(heights) - 1, -1, -1):
        highest = 1.0 if i == len(heights) - 1 else heights[i + 1] - spacing
        heights[i] = min(heights[i], highest)
    for height, (_, text, color) in zip(heights, places, strict=True):
        ax.plot([1.012, 1.04], [height] * 2, color=color, lw=2.4, transform=ax.transAxes, clip_on=False)
        ax.text(1.055, height, text, va="center", fontsize=7.5, transform=ax.transAxes)
