"""The templates of `dvc plots` with the committed tables: what they are made of, and what they draw."""

import json
import re

import pytest
import vl_convert
import yaml
from sandbox import ROOT

from privacy_report.pipeline import contract
from privacy_report.pipeline.tables import columns_of, read_cells
from privacy_report.report import templates

TEMPLATES = {"epochs": "curves", "training": "training", "roc": "roc"}
"""Template -> its table in plots/."""
COLUMNS = {
    "curves": contract.CURVES_COLUMNS,
    "training": contract.PLOTTED_TRAINING_COLUMNS,
    "roc": contract.PLOTTED_ROC_COLUMNS,
}
"""Table -> its columns. test_plots.py compares those of a table that was just written."""


def template(name):
    return json.loads((ROOT / f".dvc/plots/{name}.json").read_text())


def inside(node, key):
    """All values of a key, anywhere in a template."""
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
        for child in node.values():
            yield from inside(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from inside(child, key)


def test_the_choice_of_attacks_is_what_the_tables_have():
    (param,) = template("epochs")["params"]
    options = param["bind"]["options"]
    made = {row["attack"] for row in read_cells(ROOT / "plots/curves.csv")}
    assert set(options) == made
    default = yaml.safe_load((ROOT / "conf/attack/default.yaml").read_text())["attacks"]
    assert options == [contract.STRONGEST, contract.STRONGEST_ON_OUTPUTS, *default]
    assert param["value"] == contract.STRONGEST
    (param,) = template("roc")["params"]
    made = {row["checkpoint"] for row in read_cells(ROOT / "plots/roc.csv")}
    for option in param["bind"]["options"]:
        assert any(option in checkpoint for checkpoint in made)
    assert all(any(option in checkpoint for option in param["bind"]["options"]) for checkpoint in made)


def test_the_templates_are_made_of_the_pages_layers():
    specs = templates.made(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert set(specs) == set(TEMPLATES)
    for name, spec in specs.items():
        path = ROOT / f".dvc/plots/{name}.json"
        assert templates.text(spec) == path.read_text(), "python -m privacy_report.report.templates writes it"


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_fields_are_columns(name):
    spec = template(name)
    columns = {*columns_of(ROOT / f"plots/{TEMPLATES[name]}.csv"), "rev"}
    assert columns == {*COLUMNS[TEMPLATES[name]], "rev"}
    made = {"chance", "measured", "side"}  # by the template itself
    fields = {field for field in inside(spec, "field") if isinstance(field, str)}
    assert len(fields) > 5
    assert fields - made <= columns
    read = {column for text in inside(spec, "calculate") for column in re.findall(r"datum\['(\w+)'\]", text)}
    assert read <= columns
    assert {column for names in inside(spec, "fold") for column in names} <= columns


def rendered(name, *shown):
    """The SVG of a template with the committed table, with some variants chosen in the legend."""
    spec = template(name)
    if shown:
        (param,) = (params for params in inside(spec["concat"], "params"))
        param[0]["value"] = [{"variant": variant} for variant in shown]
    rows = [row | {"rev": "workspace"} for row in read_cells(ROOT / f"plots/{TEMPLATES[name]}.csv")]
    text = json.dumps(spec).replace('"<DVC_METRIC_DATA>"', json.dumps(rows))
    return vl_convert.vegalite_to_svg(text.replace('"<DVC_METRIC_PLOT_WIDTH>"', "300"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_variants_are_chosen_in_the_legend_which_stays(name):
    everything, alone = rendered(name), rendered(name, "cnn3")
    variants = list(
        dict.fromkeys(row["variant"] for row in read_cells(ROOT / f"plots/{TEMPLATES[name]}.csv"))
    )
    for variant in variants:
        for svg in (everything, alone):
            assert len(re.findall(rf"<text[^>]*>{variant}</text>", svg)) == 1
        drawn = rf'aria-label="[^"]*; Variant[^"]*: {variant}(;|")'
        assert re.search(drawn, everything)
        assert bool(re.search(drawn, alone)) == (variant == "cnn3")
    legends = vl_convert.vegalite_to_vega(template(name) | {"data": {"values": []}})["legends"]
    (legend,) = (entry for entry in legends if entry["title"].startswith("Variant"))
    assert legend["encode"]["symbols"]["interactive"] is True


@pytest.mark.parametrize(("name", "lines"), [("epochs", 4), ("roc", 2)])
def test_chance_lines_say_what_they_are(name, lines):
    assert len(re.findall(r"<text[^>]*>chance</text>", rendered(name))) == lines
    tips = [tooltip["value"] for tooltip in inside(template(name), "tooltip") if isinstance(tooltip, dict)]
    assert len(tips) == lines
    assert all(tip.startswith("Chance: ") for tip in tips)
