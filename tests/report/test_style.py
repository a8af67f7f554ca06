import matplotlib as mpl
import numpy as np
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from privacy_report.report.study import Study
from privacy_report.report.study_files import merge
from privacy_report.report.style import STYLE, Look, label_ends
from privacy_report.report.trade_offs import roc_picture


@pytest.mark.parametrize("values", [[0.5] * 12, [0.0, 0.0, 1.0], [1.0, 1.0], list(np.linspace(0, 1, 30))])
def test_labels_do_not_overlap_and_stay_inside(values):
    ax = Figure().add_subplot()
    ax.set_ylim(0, 1)
    label_ends(ax, [(value, str(i), "#000000", "o") for i, value in enumerate(values)])
    heights = sorted(text.get_position()[1] for text in ax.texts)
    assert len(heights) == len(values)
    assert min(np.diff(heights)) >= min(0.062, 1 / len(values)) - 1e-9
    assert heights[-1] <= 1 + 1e-9
    assert heights[0] >= -1e-9


def test_the_key_of_roc_curves_is_not_cut_and_audit_twins_have_none(study):
    root = study(variants=8, epochs=2, attacks=("threshold", "rmia"))
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    for name in params["variants"]:
        params["variants"][name]["label"] = f"{name}, gradient canaries"
    params["variants"]["cnn9"]["canaries"] = {"count": 10}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    merge("privacy", params["variants"])
    merged_study = Study(root)
    *_, panel = roc_picture(merged_study, Look(list(merged_study.labels), ["#111111"])).panels
    with mpl.rc_context(STYLE):
        figure = Figure((panel.width, panel.height), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        panel.draw(figure.add_subplot())
        canvas.draw()
        (key,) = figure.legends
        said = [text.get_text() for text in key.get_texts()]
        assert said == [f"cnn{i}, gradient canaries, epoch 2" for i in range(2, 9)]
        assert key.get_window_extent().x1 <= figure.bbox.x1


def test_each_variant_keeps_its_look():
    look = Look(["a", "b", "c"], ["#111111", "#222222"])
    assert [look.color(name) for name in "abc"] == ["#111111", "#222222", "#111111"]
    assert look.marker("a") != look.marker("c")
