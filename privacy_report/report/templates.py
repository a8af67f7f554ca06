"""The templates of `dvc plots`, from the layers of `charts`.

`python -m privacy_report.report.templates` writes them to .dvc/plots, where DVC looks for them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import STRONGEST, STRONGEST_ON_OUTPUTS
from privacy_report.pipeline.files import atomic
from privacy_report.report import charts
from privacy_report.report.charts import Layer, Series, number, tip
from privacy_report.report.study_files import settings

FOLDER = Path(".dvc/plots")
STROKES = {"orient": "top", "symbolType": "stroke", "symbolStrokeColor": "#333", "symbolSize": 300}
REVISION: Layer = {
    "field": "rev",
    "type": "nominal",
    "sort": None,
    "title": "Revision",
    "scale": {"range": [[1, 0], [6, 4], [2, 2], [8, 3, 2, 3]]},
    "legend": STROKES | {"symbolOpacity": 1},
}
SHOWN: Layer = {"filter": {"param": "shown"}}


def made(params: Mapping[str, Any]) -> dict[str, Layer]:
    """Name -> template, with the attacks and the palette of params.yaml."""
    stroke = {"orient": "top", "columns": 6, "symbolType": "stroke", "symbolOpacity": 1}
    variant: Layer = {
        "field": "variant",
        "type": "nominal",
        "sort": None,
        "title": "Variant (click to choose)",
        "scale": {"range": params["report"]["palette"]},
        "legend": stroke | {"symbolStrokeWidth": 3},
    }
    return {
        "epochs": epochs(variant, params["attack"]["attacks"]),
        "training": training(variant),
        "roc": roc(variant),
    }


def _legends(variant: Layer) -> Layer:
    """A layer without marks that keeps the legends the same whatever is chosen."""
    chosen = {"type": "point", "fields": ["variant"], "toggle": "true"}
    return {
        "description": "Keeps the legends the same whatever is chosen",
        "transform": [{"aggregate": [{"op": "count", "as": "n"}], "groupby": ["variant", "rev"]}],
        "mark": {"type": "point", "opacity": 0, "tooltip": False},
        "encoding": {"color": variant, "strokeDash": REVISION},
        "params": [{"name": "shown", "select": chosen, "bind": "legend"}],
    }


def _template(
    variant: Layer, columns: Sequence[str], panels: list[Layer], params: list[Layer] | None = None
) -> Layer:
    """A template around its panels. DVC's cells are text, so those of `columns` are turned into numbers."""
    number_of = "isValid(datum['{0}']) && datum['{0}'] !== '' ? toNumber(datum['{0}']) : null"
    panels[0]["layer"].append(_legends(variant))
    return {
        "$schema": charts.SCHEMA,
        "data": {"values": "<DVC_METRIC_DATA>"},
        "title": {"text": "<DVC_METRIC_TITLE>", "anchor": "start"},
        "config": charts.CONFIG,
        **({"params": params} if params else {}),
        "transform": [{"calculate": number_of.format(name), "as": name} for name in columns],
        "columns": 2,
        "concat": panels,
    }


def _panel(title: str, layers: list[Layer], height: int = 220) -> Layer:
    return {"title": title, "width": "<DVC_METRIC_PLOT_WIDTH>", "height": height, "layer": layers}


def _choice(name: str, value: str, label: str, options: Sequence[str]) -> Layer:
    return {
        "name": name,
        "value": value,
        "bind": {"input": "select", "name": label, "options": list(options)},
    }


def epochs(variant: Layer, attacks: Sequence[str]) -> Layer:
    """Each measure of the attack that is chosen by epoch, and its advantage against accuracy."""
    chosen = {"filter": "datum.attack === attack"}
    series = Series(variant, REVISION, {"field": "rev"}, (SHOWN, chosen))
    measures = {"auc": ("AUC", 0.5, ".4f"), "advantage": ("Advantage", 0, ".4f")}
    measures["tpr_at_1pct_fpr"] = ("Members found at 1% FPR", 0.01, ".2%")
    first, revision = [tip("variant", "Variant"), tip("epoch", "Epoch")], tip("rev", "Revision")
    panels = []
    for name, (title, guess, form) in measures.items():
        y = number(name, None, scale={"zero": False}, axis={"format": "~%"} if "%" in form else {})
        tooltip = [*first, tip(name, title, form)]
        tooltip += [tip(f"{name}_low", "95% from", form), tip(f"{name}_high", "to", form)]
        tooltip += [tip("attack", "Attack"), tip("by", "made by")]
        tooltip += [tip("epsilon_fixed_split", "Epsilon over the fixed split, at least", ".3f"), revision]
        layers = charts.over_epochs(y, (f"{name}_low", f"{name}_high"), series, tooltip)
        panels.append(_panel(title, [*charts.chance(guess), *layers]))
    tooltip = [*first, tip("val_accuracy", "Validation accuracy", ".4f")]
    tooltip += [tip("accuracy", "Training accuracy", ".4f"), tip("advantage", "Advantage", ".4f")]
    tooltip += [tip("attack", "Attack"), revision]
    y = number("advantage", "Advantage", scale={"zero": False})
    layers = [*charts.chance(0), *charts.against_accuracy(y, series, tooltip)]
    panels.append(_panel("Privacy against accuracy, one dot per checkpoint", layers))
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    columns = ["epoch", *ends, "accuracy", "val_accuracy", "epsilon_fixed_split"]
    options = (STRONGEST, STRONGEST_ON_OUTPUTS, *attacks)
    return _template(variant, columns, panels, [_choice("attack", STRONGEST, "Attack ", options)])


def training(variant: Layer) -> Layer:
    """Accuracy and loss of training and validation by epoch."""
    panels = []
    for name in ("accuracy", "loss"):
        both = [f"running_{name}", f"val_{name}"]
        side = f"datum.column === 'running_{name}' ? 'training' : 'validation'"
        filters = (
            SHOWN,
            {"fold": both, "as": ["column", "measured"]},
            {"calculate": side, "as": "side"},
        )
        series = Series(variant, REVISION, [{"field": "rev"}, {"field": "side"}], filters)
        where = {"x": charts.EPOCH, "y": number("measured", None, scale={"zero": False})}
        mark = {"type": "line", "invalid": "break-paths-filter-domains"}
        line = series.layer(mark, where, dashed=True)
        line["encoding"]["strokeWidth"] = {
            "field": "side",
            "type": "nominal",
            "title": "Measured on",
            "sort": ["validation", "training"],
            "scale": {"domain": ["validation", "training"], "range": [2, 0.8]},
            "legend": STROKES,
        }
        tooltip = [tip("variant", "Variant"), tip("epoch", "Epoch"), tip("measured", name.title(), ".4f")]
        tooltip += [tip("side", "Measured on"), tip("epsilon", "Epsilon spent so far", ".3f")]
        tooltip += [tip("rev", "Revision")]
        points = charts.points({**where, "tooltip": tooltip}, series, 40, 0.01)
        panels.append(_panel(name.title(), [line, points]))
    columns = ("epoch", "running_loss", "running_accuracy", "val_loss", "val_accuracy", "epsilon")
    return _template(variant, columns, panels)


def roc(variant: Layer) -> Layer:
    """ROC curves of the strongest attack on outputs, and of the strongest that sees more."""
    kinds = {
        "Strongest on outputs": "datum.kind === 'outputs'",
        "Strongest of those that see more": "datum.kind !== 'outputs'",
    }
    axes, panels = charts.roc_axes(), []
    tooltip = [tip("variant", "Variant"), tip("epoch", "Epoch"), tip("checkpoint", "Checkpoint")]
    tooltip += [tip("attack", "Attack"), tip("fpr", "FPR", ".3%"), tip("tpr", "TPR", ".3%")]
    tooltip += [tip("rev", "Revision")]
    for title, kind in kinds.items():
        filters = (SHOWN, {"filter": kind}, {"filter": "indexof(datum.checkpoint, checkpoint) >= 0"})
        series = Series(variant, REVISION, {"field": "rev"}, filters)
        layers = [*charts.roc_chance(axes), *charts.roc_curves(axes, series, tooltip)]
        panels.append(_panel(title, layers, 300))
    choice = _choice("checkpoint", "last", "Checkpoint ", ("last", "recommended"))
    return _template(variant, ("epoch", "fpr", "tpr"), panels, [choice])


def main(argv: Sequence[str]) -> None:
    """Write the templates."""
    parser = argparse.ArgumentParser(prog="python -m privacy_report.report.templates", description=__doc__)
    parser.parse_args(argv)
    for name, template in made(settings(Path("params.yaml"))).items():
        with atomic(FOLDER / f"{name}.json") as file:
            file.write(text(template).encode())


def text(template: Layer) -> str:
    """A template as it is written."""
    return json.dumps(template, indent=2) + "\n"


if __name__ == "__main__":
    run(main)
