import numpy as np
import pytest
from matplotlib.figure import Figure

from privacy_report.report.style import Look, label_ends


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


def test_each_variant_keeps_its_look():
    look = Look(["a", "b", "c"], ["#111111", "#222222"])
    assert [look.color(name) for name in "abc"] == ["#111111", "#222222", "#111111"]
    assert look.marker("a") != look.marker("c")
