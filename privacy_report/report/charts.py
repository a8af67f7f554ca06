"""The layers of Vega-Lite charts that the page's views and the templates of `dvc plots` have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Layer = dict[str, Any]
"""A layer of a Vega-Lite chart, or an encoding."""

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
CONFIG = {
    "view": {"stroke": None},
    "axis": {"gridColor": "#d7dbe1", "domainColor": "#d7dbe1"},
    "axisY": {"labelFlush": True},
}
CHANCE_INK = "#555"
DOTTED = {"strokeDash": [2, 3], "strokeWidth": 1.5, "color": CHANCE_INK}
EPOCH: Layer = {
    "field": "epoch",
    "type": "quantitative",
    "title": "Epoch",
    "axis": {"tickMinStep": 1, "format": "d"},
    "scale": {"zero": False},
}


@dataclass(frozen=True)
class Series:
    """What tells the curves of a chart apart.

    color: an encoding; dash: a second one, for lines, empty without one; detail: what separates marks that
    have no dash, as an encoding; filters: the transforms before all of them.
    """

    color: Layer
    dash: Layer = field(default_factory=dict)
    detail: Layer | list[Layer] = field(default_factory=dict)
    filters: Sequence[Layer] = ()

    def layer(self, mark: Layer, encoding: Layer, dashed: bool = False) -> Layer:
        """A layer of marks in the colours of the series."""
        told_apart: Layer = {"color": self.color}
        if dashed and self.dash:
            told_apart["strokeDash"] = self.dash
        elif self.detail and not dashed:
            told_apart["detail"] = self.detail
        start = {"transform": list(self.filters)} if self.filters else {}
        return start | {"mark": mark, "encoding": encoding | told_apart}


def number(name: str, title: str | None, **more: Any) -> Layer:
    """The encoding of a numeric field."""
    return {"field": name, "type": "quantitative", "title": title, **more}


def tip(name: str, title: str, form: str = "") -> Layer:
    """One line of a tooltip; a number where it has a format."""
    kind = "quantitative" if form or name == "epoch" else "nominal"
    return {"field": name, "type": kind, "title": title} | ({"format": form} if form else {})


def chance(value: float) -> list[Layer]:
    """A dotted horizontal line where an attacker who guesses is, and the word."""
    data = {"values": [{"chance": value}]}
    height = {"field": "chance", "type": "quantitative"}
    said = f"Chance: {value:g}"
    return [
        {
            "data": data,
            "mark": {"type": "rule", **DOTTED, "description": said},
            "encoding": {"y": height, "tooltip": {"value": said}},
        },
        {"data": data, "mark": word("chance"), "encoding": {"x": {"value": "width"}, "y": height}},
    ]


def word(text: Any, **more: Any) -> Layer:
    """The mark of a small word at the right end of a line."""
    place = {"align": "right", "baseline": "bottom", "dx": -3, "dy": -2} | more
    return {"type": "text", "text": text, **place, "fontSize": 10, "color": CHANCE_INK, "aria": False}


def over_epochs(
    y: Layer, ends: tuple[str, str], series: Series, tooltip: list[Layer], size: int = 16
) -> list[Layer]:
    """A 95% band, a line and points over the epochs; ends: the fields of the interval's ends."""
    low, high = ends
    return [
        series.layer(
            {"type": "area", "opacity": 0.15, "description": "95% band"},
            {"x": EPOCH, "y": y | {"field": low}, "y2": {"field": high}},
        ),
        series.layer({"type": "line", "invalid": "break-paths-filter-domains"}, {"x": EPOCH, "y": y}, True),
        points({"x": EPOCH, "y": y, "tooltip": tooltip}, series, size),
    ]


def points(encoding: Layer, series: Series, size: int, opacity: float = 1, **more: Any) -> Layer:
    """Filled points, and what a pointer on them shows."""
    return series.layer({"type": "point", "filled": True, "size": size, "opacity": opacity, **more}, encoding)


def against_accuracy(y: Layer, series: Series, tooltip: list[Layer]) -> list[Layer]:
    """One point per checkpoint, at its validation accuracy, and a thin line through a variant's epochs."""
    x = number(
        "val_accuracy",
        "Validation accuracy",
        scale={"zero": False},
        axis={"format": ".2~f", "tickCount": 5},
    )
    order = {"order": {"field": "epoch", "type": "quantitative"}}
    return [
        series.layer(
            {"type": "line", "strokeWidth": 0.8, "opacity": 0.6}, {"x": x, "y": y, **order}, dashed=True
        ),
        points({"x": x, "y": y, "tooltip": tooltip}, series, 30),
    ]


def roc_axes(lowest: float = 1e-4) -> Layer:
    """Both axes of a ROC curve, logarithmic, from `lowest` to 1."""
    ticks = [10.0**power for power in (-6, -5, -4, -3, -2, -1)]
    shared = {
        "scale": {"type": "log", "domain": [lowest, 1], "clamp": True},
        "axis": {"format": "~%", "values": [*(tick for tick in ticks if tick >= lowest * 0.99), 1]},
    }
    return {
        "x": number("fpr", "False positive rate", **shared),
        "y": number("tpr", "Members found (TPR)", **shared),
    }


def roc_chance(axes: Layer, lowest: float = 1e-4) -> list[Layer]:
    """The diagonal of an attacker who guesses, and the word."""
    diagonal = [{"fpr": lowest, "tpr": lowest}, {"fpr": 1, "tpr": 1}]
    said = "Chance: TPR = FPR"
    return [
        {
            "data": {"values": diagonal},
            "mark": {"type": "line", **DOTTED, "description": said},
            "encoding": {**axes, "tooltip": {"value": said}},
        },
        {
            "data": {"values": [{"fpr": 10 * lowest, "tpr": 10 * lowest}]},
            "mark": word("chance", align="left", baseline="top", dx=6, dy=2),
            "encoding": axes,
        },
    ]


def roc_curves(axes: Layer, series: Series, tooltip: list[Layer]) -> list[Layer]:
    """The curves, and points that are not seen but answer a pointer."""
    order = {"order": {"field": "fpr", "type": "quantitative"}}
    return [
        series.layer({"type": "line", "clip": True}, {**axes, **order}, dashed=True),
        points({**axes, "tooltip": tooltip}, series, 40, 0.01, clip=True),
    ]
