"""The `report` section of params.yaml: how the results look, nothing that changes a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from privacy_report.pipeline.params import refuse

PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B88700", "#3D9BD6"),
    *("#8C4FBF", "#7A8B00", "#C2477F", "#4F7F8C", "#A0623A", "#6B74D6"),
)
"""The first six are Okabe and Ito's, made for all kinds of colour vision."""


@dataclass
class ReportParams:
    """`dpi` concerns the PNG files, `exposed_images` counts images of each variant (0: show none)."""

    title: str = "How much does each checkpoint give away?"
    dpi: int = 150
    exposed_images: int = 12
    palette: list[str] = field(default_factory=lambda: list(PALETTE))

    def __post_init__(self) -> None:
        if not 30 <= self.dpi <= 600:
            raise refuse("dpi", self.dpi, "30..600")
        if not 0 <= self.exposed_images <= 100:
            raise refuse("exposed_images", self.exposed_images, "0..100")
        wrong = [color for color in self.palette if not re.fullmatch(r"#[0-9a-fA-F]{6}", color)]
        if wrong or not self.palette:
            raise refuse("palette", wrong or self.palette, "at least one colour, each written #rrggbb")
