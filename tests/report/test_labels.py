"""Labels and class names are drawn as they are, whatever they hold and whatever the locale."""

import json
import os
from html import escape
from pathlib import Path

import pytest
import yaml
from sandbox import plain_python

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
    page = Path("plots/report.html").read_text(encoding="utf-8")
    assert "mathdefault" not in page  # no axis of ours is numbered by formulas
    for label in LABELS:
        assert f">{escape(label, quote=False)}</text>" in page  # in an SVG, one element as it is
    assert f">{escape(LABELS[0][:14], quote=False)}</text>" in page  # a class beside a heat map


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
