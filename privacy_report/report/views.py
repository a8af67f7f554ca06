"""The Vega-Lite specifications of the page's views; `explore.js` hands them their data and what is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from privacy_report.report import charts
from privacy_report.report.charts import EPOCH, Layer, Series, number, tip
from privacy_report.report.study import SPENT, Study

RULE = {"type": "rule", "strokeWidth": 1.5, "color": charts.CHANCE_INK, "aria": False}
HOVER = {"filter": "datum.key === hover"}
POINT = [
    tip("variant", "Variant"),
    tip("epoch", "Epoch"),
    tip("value_text", "Measured (95% interval)"),
    tip("attack", "Attack"),
    tip("leak_text", "Leak"),
]


def names_in(study: Study) -> dict[str, str]:
    """Variant -> what the views call it: its label, with its name where several have that label."""
    labels = list(study.labels.values())
    return {
        name: label if labels.count(label) == 1 else f"{label} ({name})"
        for name, label in study.labels.items()
    }


def views(drawn: Sequence[Mapping[str, Any]], lowest: float, few: float) -> dict[str, Layer]:
    """Name of a view -> its specification.

    drawn: who is drawn, each with its label, which is what a point's variant is called, and its color;
    lowest: the smallest false-positive rate that can be drawn; few: the one below which too few non-members
    decide.
    """
    color: Layer = {
        "field": "variant",
        "type": "nominal",
        "scale": {
            "domain": [variant["label"] for variant in drawn],
            "range": [variant["color"] for variant in drawn],
        },
        "legend": None,
    }
    series = Series(color, detail={"field": "variant"})
    return {
        "by_epoch": _view(
            "What the chosen attacker finds at each epoch", _by_epoch(series), (*MEASURE, "epoch", "hover")
        ),
        "trade_off": _view(
            "Leak against validation accuracy, one point per checkpoint",
            _trade_off(series),
            (*MEASURE, "hover"),
        ),
        "roc": _view("ROC curves at the chosen epoch", _roc(series, lowest, few), ("fpr",), height=300),
        "classes": _view("Leak by class at the chosen epoch", _classes(color), MEASURE),
        "scores": _view(
            "Members and non-members by the false-positive rate that names them",
            _scores(series, lowest),
            ("fpr",),
        ),
        "epsilon": _view("Claimed epsilon and lower bounds by epoch", _epsilon(series), ("epoch",)),
    }


MEASURE = ("percent",)
"""The parameter that says whether the measure is a rate."""


def _view(description: str, layers: list[Layer], params: Sequence[str], height: int = 240) -> Layer:
    first = {"percent": False, "hover": "", "epoch": 0, "fpr": 0.01}
    return {
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"name": "points"},
        "params": [{"name": name, "value": first[name]} for name in params],
        "layer": layers,
    }


def _measure() -> Layer:
    """The axis of the measure that is chosen."""
    form = "percent ? format(datum.value, '.2~%') : format(datum.value, '.2~f')"
    axis = {"labelExpr": form, "tickCount": 6}
    return number("value", None, scale={"zero": False, "nice": True}, axis=axis)


def _lines_across(axis: str, names: Sequence[str] = ("chance", "limit")) -> list[Layer]:
    """Dotted for chance and dashed for the policy's limit: data `lines` of {kind, at}, one axis."""
    styles = {"chance": [2, 3], "limit": [7, 4]}
    layers: list[Layer] = []
    for name in names:
        only = {"data": {"name": "lines"}, "transform": [{"filter": f"datum.kind === '{name}'"}]}
        mark = {**RULE, "strokeDash": styles[name]}
        place: Layer = {axis: {"field": "at", "type": "quantitative"}}
        end: Layer = {"x": {"value": "width"}} if axis == "y" else {"y": {"value": 0}}
        word = charts.word(name, **({"align": "left", "dx": 2} if axis == "x" else {}))
        layers += [only | {"mark": mark, "encoding": place}, only | {"mark": word, "encoding": place | end}]
    return layers


def _at_epoch() -> Layer:
    where = {"x": {"datum": {"expr": "epoch"}, "type": "quantitative"}}
    return {"data": {"values": [{}]}, "mark": RULE, "encoding": where}


def _ring(encoding: Layer, series: Series) -> Layer:
    """A ring around the checkpoint that the pointer is on, in whichever view."""
    ring = series.layer(
        {"type": "point", "size": 180, "strokeWidth": 2.5, "filled": False, "aria": False}, encoding
    )
    return ring | {"transform": [HOVER]}


def _by_epoch(series: Series) -> list[Layer]:
    y = _measure()
    band, line, dots = charts.over_epochs(y, ("low", "high"), series, POINT, 40)
    dots["mark"] |= {"filled": False}
    dots["encoding"] |= {
        "fill": {"condition": {"test": "datum.leak", **series.color}, "value": "var(--paper)"}
    }
    return [_at_epoch(), *_lines_across("y"), band, line, dots, _ring({"x": EPOCH, "y": y}, series)]


def _trade_off(series: Series) -> list[Layer]:
    y = _measure()
    line, dots = charts.against_accuracy(y, series, [*POINT, tip("val_accuracy", "Accuracy", ".3f")])
    x = line["encoding"]["x"]
    size = {"condition": {"test": "datum.chosen", "value": 130}, "value": 30}
    dots["encoding"] |= {"size": size}
    front = {
        "data": {"name": "front"},
        "mark": {
            "type": "line",
            "interpolate": "step-before",
            "color": charts.CHANCE_INK,
            "strokeWidth": 1,
            "aria": False,
        },
        "encoding": {"x": x, "y": y},
    }
    forbidden = {
        "data": {"name": "region"},
        "mark": {"type": "rect", "color": charts.CHANCE_INK, "opacity": 0.1, "aria": False},
        "encoding": {"y": {"field": "at", "type": "quantitative"}, "y2": {"value": 0}},
    }
    return [forbidden, *_lines_across("y"), front, line, dots, _ring({"x": x, "y": y}, series)]


def _at_rate() -> Layer:
    where = {"x": {"datum": {"expr": "fpr"}, "type": "quantitative"}}
    return {"data": {"values": [{}]}, "mark": RULE, "encoding": where}


def _roc(series: Series, lowest: float, few: float) -> list[Layer]:
    axes = charts.roc_axes(lowest)
    tooltip = [tip("variant", "Variant"), tip("epoch", "Epoch"), tip("attack", "Attack")]
    tooltip += [tip("fpr", "False-positive rate", ".3%"), tip("tpr", "Members found", ".3%")]
    said = "too few non-members"
    region = {
        "data": {"values": [{"fpr": lowest, "few": few}]},
        "mark": {"type": "rect", "color": charts.CHANCE_INK, "opacity": 0.13, "aria": False},
        "encoding": {"x": axes["x"], "x2": {"field": "few"}},
    }
    word = {
        "data": {"values": [{"fpr": lowest, "tpr": 1}]},
        "mark": charts.word(said, align="left", baseline="top", dx=3, dy=3),
        "encoding": axes,
    }
    curves = charts.roc_curves(axes, series, tooltip)
    return [region, word, *charts.roc_chance(axes, lowest), _at_rate(), *curves]


def _classes(color: Layer) -> list[Layer]:
    y: Layer = {
        "field": "class",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 130, "grid": True},
    }
    beside = {"yOffset": {"field": "variant", "type": "nominal"}, "color": color}
    x = _measure()
    interval = {
        "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.6, "aria": False},
        "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, **beside},
    }
    dots = {
        "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
        "encoding": {
            "x": x,
            "y": y,
            **beside,
            "fillOpacity": {"condition": {"test": "datum.leak", "value": 1}, "value": 0},
            "stroke": color,
            "tooltip": [tip("class", "Class"), *POINT, tip("members", "Members / non-members")],
        },
    }
    return [interval, dots, *_lines_across("x")]


def _scores(series: Series, lowest: float) -> list[Layer]:
    scale = {"type": "log", "domain": [1, lowest / 2], "clamp": True}
    ticks = [tick for tick in (1, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6) if tick >= lowest * 0.99]
    x = number(
        "low",
        "False-positive rate at which it is named",
        scale=scale,
        axis={"format": "~%", "values": ticks},
    )
    floor = lowest / 10
    powers = [tick for tick in (1, 0.1, 0.01, 0.001, 1e-4, 1e-5, 1e-6) if tick >= floor * 0.99]
    y = number(
        "share",
        "Share of the examples",
        scale={"type": "log", "domain": [floor, 1], "clamp": True},
        axis={"format": "~%", "values": powers},
    )
    tooltip = [tip("range", "Named at a false-positive rate of"), tip("share", "Share", ".3%")]
    tooltip += [tip("count", "Examples"), tip("side", "Side")]
    bar = {"x": x, "x2": {"field": "high"}, "y": y, "y2": {"datum": floor}, "tooltip": tooltip}
    members = series.layer({"type": "bar", "opacity": 0.55}, bar)
    others = {
        "mark": {"type": "bar", "filled": False, "stroke": charts.CHANCE_INK, "strokeWidth": 1.5},
        "encoding": bar,
    }
    return [
        members | {"transform": [{"filter": "datum.side === 'members'"}]},
        others | {"transform": [{"filter": "datum.side === 'non-members'"}]},
        _at_rate(),
    ]


def _epsilon(series: Series) -> list[Layer]:
    y = number("value", "Epsilon")
    names = [tip("variant", "Variant"), tip("epoch", "Epoch"), tip("kind", "Kind")]
    encoding = {"x": EPOCH, "y": y, "tooltip": [*names, tip("value", "Epsilon", ".3f")]}
    spent = series.layer({"type": "line", "point": True}, encoding)
    bounds = series.layer({"type": "point"}, encoding)
    filled = {
        "condition": {"test": "datum.kind === 'lower bound, all rows at once'", "value": 0},
        "value": 0.9,
    }
    of_canaries = "indexof(datum.kind, 'canaries') === 0"
    shape = {"condition": {"test": of_canaries, "value": "diamond"}, "value": "triangle-down"}
    size = {"condition": {"test": of_canaries, "value": 130}, "value": 40}
    bounds["encoding"] |= {"fillOpacity": filled, "fill": series.color, "shape": shape, "size": size}
    return [
        _at_epoch(),
        spent | {"transform": [{"filter": f"datum.kind === '{SPENT}'"}]},
        bounds | {"transform": [{"filter": f"datum.kind !== '{SPENT}'"}]},
    ]
