import json
from pathlib import Path

import pytest
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer

from privacy_report.report.offline import main, template

TEMPLATES = Path(__file__).parents[2] / ".dvc/plots"


def test_the_page_takes_dvcs_plots_but_not_its_scripts(tmp_path):
    path = tmp_path / "plots.html"
    main([str(path)])
    page = HTML(path.read_text()).with_scripts(VegaRenderer.SCRIPTS).with_element("<p>a plot</p>").embed()
    assert "<p>a plot</p>" in page
    assert "<script src" not in page
    assert "cdn." not in page
    assert "vegaEmbed" in page


def test_a_bundle_that_would_break_the_page_is_refused():
    with pytest.raises(ValueError, match="contains '</script'"):
        template("a = '</script>'")


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("epochs", "epoch", "auc"),
        ("training", "epoch", "val_accuracy"),
        ("roc", "fpr", "tpr"),
    ],
)
def test_templates_are_filled_by_dvc(name, x, y):
    rows = [{"variant": "cnn2", "epoch": "2", "attack": "threshold", x: "1", y: "0.5", "rev": "main"}]
    renderer = VegaRenderer(rows, "plots", x=x, y=y, template=name, template_dir=str(TEMPLATES), title="T")
    filled = json.dumps(renderer.get_filled_template())
    assert "<DVC_METRIC" not in filled
    spec = json.loads(filled)
    drawn = json.dumps({key: value for key, value in spec.items() if key != "data"})
    assert '"field": "variant"' in drawn
    assert '"strokeDash": {"field": "rev"' in drawn
    assert "tooltip" in drawn
