"""Labels and class names are drawn as they are, whatever they hold and whatever the locale."""

import json
import os
from html import escape
from pathlib import Path

import pytest
import yaml
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from report.conftest import read_page
from sandbox import plain_python

from privacy_report.report.by_epoch import vulnerability
from privacy_report.report.classes import classes_picture
from privacy_report.report.study import Study
from privacy_report.report.style import STYLE, Look
from stages.gate import main as gate
from stages.report import main as report

LABELS = [r"$\foo{$ größe", "_hidden & <b>", "100% {x} $1 to $2"]
VARIANTS = ("cnn2", "cnn3", "cnn3_dp")


@pytest.fixture
def named(study):
    """A study whose variants and classes have names of all kinds, judged and reported under them."""
    root = study(variants=2, epochs=4, dp=("cnn3_dp",))
    params = yaml.safe_load((root / "params.yaml").read_text())
    for variant, label in zip(params["variants"].values(), LABELS, strict=True):
        variant["label"] = label
    (root / "params.yaml").write_bytes(yaml.safe_dump(params, sort_keys=False, allow_unicode=True).encode())
    path = root / "data/prepare/dataset.json"
    about = json.loads(path.read_text())
    about["class_names"] = [f"{LABELS[i % len(LABELS)]} {i}" for i in range(10)]
    path.write_bytes(json.dumps(about, ensure_ascii=False).encode())
    for name in VARIANTS:
        gate([name])
    report([])
    return root


def test_dollars_and_braces_are_drawn_as_they_are(named):
    page = read_page()
    for label in LABELS:
        assert f"</span> {escape(label, quote=False)}" in page
    study = Study()
    look = Look(list(study.labels), ["#111111"])
    for picture in (vulnerability(study, look), classes_picture(study, look)):
        for panel in picture.panels:
            with rc_context(STYLE):
                figure = Figure()
                panel.draw(figure.add_subplot())
                FigureCanvasAgg(figure).draw()  # a formula that is none would be an error
                texts = {text.get_text() for text in figure.findobj(Text)}
            assert any(label[:14] in text for label in LABELS for text in texts)
            assert all(not text.get_parse_math() for text in figure.findobj(Text))


def test_all_is_the_same_in_a_locale_that_knows_ascii_alone(named):
    expected = {path: path.read_bytes() for path in Path("plots").iterdir()}
    judged = {path: path.read_bytes() for path in Path("metrics").iterdir()}
    for path in [*expected, *judged]:
        os.remove(path)
    for name in VARIANTS:
        plain_python("-m", "stages.gate", name, cwd=named)
    said = plain_python("-m", "stages.report", cwd=named)
    assert {path: path.read_bytes() for path in Path("plots").iterdir()} == expected
    assert {path: path.read_bytes() for path in Path("metrics").iterdir()} == judged
    assert r"gr\xf6\xdfe" in said.stdout  # the table on the terminal
