"""One look for all figures, each drawn once: as PNG for files and as SVG that follows the page's theme.

A picture is a list of panels. The PNG has them side by side; the page takes each panel as a picture of
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
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from PIL import Image

from privacy_report.pipeline.files import atomic

# In SVG these three stand for the page's own colours (see `_svg`).
INK, GRID, PAPER = "#1b1f24", "#d7dbe1", "#fefefe"
THEME = {INK: "currentColor", GRID: "var(--grid)", PAPER: "var(--paper)"}

TEXT = 9.6
"""Points: 12 pixels where a panel is as wide as a phone of 390 pixels lets it be (`Panel.width`)."""
STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.color": INK,
    "text.parse_math": False,  # a label is somebody's text: "$" is a dollar
    "xtick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": INK,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}
LINES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
PIXELS = 150  # an inch, of what goes into the SVG as an image
MOST_MARKS = 400  # in one pair of axes; more of them go into the SVG as an image
MOST_LABELS = 40  # at the ends of curves
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what draws it, what it says to who cannot see it, its size in inches."""

    draw: Callable[[Axes], None]
    alt: str
    width: float = 3.7
    height: float = 3.0


@dataclass(frozen=True)
class Picture:
    """Panels that belong together; `name` is the stem of the PNG and prefixes ids in the SVG.

    vector: whether the page shows the panels as SVG.
    """

    name: str
    panels: list[Panel] = field(default_factory=list)
    columns: int = 3
    vector: bool = True


@dataclass(frozen=True)
class Drawn:
    """A picture once drawn: its panels in one image, and each as an <svg> element with alt text."""

    sheet: Image.Image
    svgs: list[str]


def draw(picture: Picture, dpi: int) -> Drawn:
    """Draw each panel once, at `dpi` for the sheet; the bytes of both depend on the drawing alone."""
    panels = picture.panels or [Panel(_nothing, "", 4, 1)]
    prefix = picture.name if picture.vector and picture.panels else ""
    found = [_draw(panel, dpi, prefix and f"{prefix}-{i}") for i, panel in enumerate(panels)]
    images = [image for image, _ in found]
    width, height = (max(sizes) for sizes in zip(*(image.size for image in images), strict=True))
    columns = min(picture.columns, len(panels))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(panels) / columns)), PAPER)
    for place, image in enumerate(images):
        sheet.paste(image, (place % columns * width, place // columns * height))
    return Drawn(sheet, [svg for _, svg in found if svg])


def write_png(drawn: Sequence[Drawn], path: Path, dpi: int) -> None:
    """Write the sheets, one below the other."""
    sheets = [one.sheet for one in drawn]
    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    whole, top = Image.new("RGB", (width, height), PAPER), 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    with atomic(path) as file:
        whole.save(file, "PNG", dpi=(dpi, dpi))


def _nothing(ax: Axes) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, "Nothing to show", ha="center", transform=ax.transAxes)


def _draw(panel: Panel, dpi: int, prefix: str) -> tuple[Image.Image, str]:
    """A panel as an image and, where there is a prefix for its ids, as SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure((panel.width, panel.height), dpi=dpi, layout="constrained", facecolor=PAPER)
        canvas = FigureCanvasAgg(figure)
        panel.draw(figure.add_subplot())
        if (engine := figure.get_layout_engine()) is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")  # laid out once for both formats
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        svg = _svg(figure, prefix, panel.alt) if prefix else ""
    return image, svg


def _svg(figure: Figure, prefix: str, alt: str) -> str:
    """A figure as an <svg> element, its colours left to the page's theme."""
    buffer = io.StringIO()
    figure.set_dpi(PIXELS)
    figure.set_facecolor("none")
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)  # `savefig` would draw all twice
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\n *", "", svg, flags=re.DOTALL)
    # ids must differ between the pictures of a page
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
    svg = re.sub(r'(?<=\b[dxy]=")[^"]*', _shorter, svg)
    for color, stands_for in THEME.items():
        svg = svg.replace(color, stands_for)
    opening = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)
    alt = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    xlink = "xmlns:xlink='http://www.w3.org/1999/xlink'"
    return opening.sub(
        lambda match: f'<svg role="img" aria-label="{alt}" viewBox="{match[1]}" {xlink}>', svg, count=1
    )


def _shorter(coordinates: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point, on one line."""
    return " ".join(re.sub(r"(\.\d\d)\d+", r"\1", coordinates[0]).split())


@dataclass(frozen=True)
class Look:
    """A colour and a marker for each variant, the same in every figure; a pair is used once, if they last."""

    variants: Sequence[str]
    palette: Sequence[str]

    def color(self, variant: str) -> str:
        return self.palette[self.variants.index(variant) % len(self.palette)]

    def marker(self, variant: str) -> str:
        round_, place = divmod(self.variants.index(variant), len(self.palette))
        return MARKERS[(place + round_) % len(MARKERS)]


SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def in_percent(axis: Axis) -> None:
    """Label a logarithmic axis of rates in percent."""
    axis.set_minor_locator(NullLocator())  # they are not drawn, and take longer to place than all else
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


def in_powers(axis: Axis) -> None:
    """Label a logarithmic axis in powers of ten, as plain text, which is laid out faster than formulas."""
    axis.set_minor_locator(NullLocator())
    power = "{:.0f}".format
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: "10" + power(np.log10(value)).translate(SUPERSCRIPTS))
    )


def key(ax: Axes, handles: Sequence[Artist], columns: int = 2) -> None:
    """A key below the axes, where it covers nothing; none without handles."""
    if handles:
        ax.figure.legend(
            handles=list(handles),
            loc="outside lower left",
            ncols=columns,
            handlelength=2.4,
            columnspacing=1.2,
            labelspacing=0.25,
            borderpad=0.1,
        )


def room_for_key(n: int, columns: int = 2) -> float:
    """The height in inches of a key with `n` entries."""
    return 0.16 * math.ceil(n / columns)


def room_for_labels(n: int) -> float:
    """The least height in inches of a panel whose curves have `n` labels at their ends."""
    return 0.9 + 0.14 * min(n, MOST_LABELS)


def label_ends(ax: Axes, ends: list[tuple[float, str, str, str]], spacing: float = 0.072) -> None:
    """Write labels (y, text, colour, marker) right of the axes, moved apart where they would overlap.

    A short line leads from each y to its label. `spacing` is the least distance of two labels as a fraction
    of the axes' height. Of more than MOST_LABELS the lowest are left out.
    """
    low, high = ax.get_ylim()
    places = sorted(((end[0] - low) / (high - low), *end[1:]) for end in ends if math.isfinite(end[0]))
    if len(places) > MOST_LABELS:
        lower = len(places) - MOST_LABELS + 1
        places = [(0.0, f"and {lower} lower ones", GRID, ""), *places[lower:]]
    spacing = min(spacing, 1 / max(1, len(places)))
    heights = [place[0] for place in places]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + spacing)
    for i in range(len(heights) - 1, -1, -1):
        highest = 1.0 if i == len(heights) - 1 else heights[i + 1] - spacing
        heights[i] = min(heights[i], highest)
    for height, (end, text, color, marker) in zip(heights, places, strict=True):
        outside: Any = {"color": color, "transform": ax.transAxes, "clip_on": False}
        ax.plot([1.004, 1.016], [end, height], lw=0.6, **outside)
        ax.plot([1.016, 1.031, 1.046], [height] * 3, lw=2, marker=marker, markevery=[1], ms=4, **outside)
        ax.text(1.075, height, text, va="center", transform=ax.transAxes)
