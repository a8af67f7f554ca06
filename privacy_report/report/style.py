"""One look for all figures, each drawn once: as a PNG file, and in the page, for paper and without scripts.

A picture is a list of panels. The file has them side by side; the page takes each panel as a picture of
its own, so that they stack on a phone and their text stays readable.
"""

from __future__ import annotations

import base64
import io
import math
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
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from PIL import Image

from privacy_report.pipeline.files import atomic

INK, GRID, PAPER = "#1b1f24", "#d7dbe1", "#fefefe"

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
TINTS = 64  # colours of a panel in the page
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
    """Panels that belong together; `name` is the stem of the PNG. in_page: whether the page has them, too."""

    name: str
    panels: list[Panel] = field(default_factory=list)
    columns: int = 3
    in_page: bool = True


@dataclass(frozen=True)
class Drawn:
    """A picture once drawn: its panels in one image, and for the page each as (data URI, alt text)."""

    sheet: Image.Image
    panels: list[tuple[str, str]]


def draw(picture: Picture, dpi: int) -> Drawn:
    """Draw each panel once, at `dpi`; the bytes depend on the drawing alone."""
    panels = picture.panels or [Panel(_nothing, "", 4, 1)]
    images = [_draw(panel, dpi) for panel in panels]
    width, height = (max(sizes) for sizes in zip(*(image.size for image in images), strict=True))
    columns = min(picture.columns, len(panels))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(panels) / columns)), PAPER)
    for place, image in enumerate(images):
        sheet.paste(image, (place % columns * width, place // columns * height))
    shown = zip(picture.panels, images, strict=False) if picture.in_page else ()
    return Drawn(sheet, [(_uri(image), panel.alt) for panel, image in shown])


def write_png(drawn: Sequence[Drawn], path: Path, dpi: int) -> None:
    """Write the sheets, one below the other."""
    sheets = [picture.sheet for picture in drawn]
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


def _draw(panel: Panel, dpi: int) -> Image.Image:
    with mpl.rc_context(STYLE):
        figure = Figure((panel.width, panel.height), dpi=dpi, layout="constrained", facecolor=PAPER)
        canvas = FigureCanvasAgg(figure)
        panel.draw(figure.add_subplot())
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _uri(image: Image.Image) -> str:
    """A panel as a data URI, with few colours, since the page has many panels."""
    buffer = io.BytesIO()
    image.quantize(TINTS, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


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
    axis.set_minor_locator(NullLocator())  # they are not drawn, and take longer to place than everything else
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
