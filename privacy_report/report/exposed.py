"""The training images most at risk, in the page and in one PNG."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from privacy_report.pipeline.tables import Row
from privacy_report.report.runs import runs
from privacy_report.report.study import Study
from privacy_report.report.style import Panel, Picture

MOST_IMAGES = 120  # in one page
LOSSLESS, THUMBNAIL = 32, 64  # pixels per side: larger ones are shown as JPEG, and reduced to a thumbnail
ACROSS = 6


@dataclass(frozen=True)
class Exhibit:
    """An exposed training image: its row of exposed.csv, its class's name, and its pixels uint8 (H, W, 3)."""

    row: Row
    name: str
    pixels: np.ndarray

    @property
    def uri(self) -> str:
        """The image in a data URI, at most THUMBNAIL pixels per side."""
        image, buffer = Image.fromarray(self.pixels), io.BytesIO()
        kind = "png" if max(image.size) <= LOSSLESS else "jpeg"
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        image.save(buffer, kind, optimize=True, quality=85)
        return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def exhibits(study: Study, count: int) -> dict[str, list[Exhibit]]:
    """Of the variants that are looked at closely the images most at risk, `count` each or as many as fit.

    Without audit twins and repeats. None unless the examples are images and the dataset's section says that
    they are public. Left out are variants without any, and those on which all attacks are at chance: there
    the ranking orders noise.
    """
    if not (study.public and _has_images(study)):
        return {}
    everything = np.load(study.root / "data/prepare/images.npy", mmap_mode="r", allow_pickle=False)
    names = study.dataset["class_names"]
    variants = [name for name in study.close(runs(study)) if name not in study.at_chance]
    count = min(count, MOST_IMAGES // max(1, len(variants)))
    by_variant = {}
    for variant in variants if count else ():
        rows = sorted(study.part("exposed", variant), key=lambda row: row["rank"])[:count]
        if rows:
            by_variant[variant] = [
                Exhibit(row, names[int(row["label"])], _in_colour(everything[int(row["index"])]))
                for row in rows
            ]
    return by_variant


def _has_images(study: Study) -> bool:
    """Whether the examples can be shown: bytes (height, width, 1, 3 or 4)."""
    shape, kind = study.dataset["shape"], study.dataset.get("dtype", "uint8")
    return kind == "uint8" and len(shape) == 3 and shape[2] in (1, 3, 4)


def _in_colour(image: np.ndarray) -> np.ndarray:
    """An image (H, W, channels) as (H, W, 3) in memory; grey ones get three equal channels."""
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return np.array(image[..., :3])


def exposed_picture(study: Study, by_variant: dict[str, list[Exhibit]]) -> Picture:
    """The most exposed training images, one panel per variant, most exposed first."""
    panels = [
        Panel(
            partial(_sheet, [exhibit.pixels for exhibit in shown], study.labels[variant]),
            f"The {len(shown)} training images that {study.labels[variant]} exposes most.",
            height=1.9,
        )
        for variant, shown in by_variant.items()
    ]
    return Picture("exposed_images", panels, columns=2, in_page=False)


def _sheet(shown: list[np.ndarray], title: str, ax: Axes) -> None:
    across = min(ACROSS, len(shown))
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
