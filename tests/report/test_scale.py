"""However many variants, checkpoints, findings and images: all is read once, drawn once, and bounded."""

import json
import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from report.conftest import read_page

from privacy_report.errors import UserError
from privacy_report.pipeline.tables import read_rows, where
from privacy_report.report import cards, exposed, provenance
from privacy_report.report import study as study_module
from privacy_report.report.exposed import Exhibit, exhibits
from privacy_report.report.study import MANY, MOST_CLOSE, Study
from privacy_report.report.study_files import curves_in, merge
from privacy_report.report.style import MOST_LABELS, Look, Panel, Picture, draw, label_ends
from stages.report import main


def ask_for_images(root: Path, count: int) -> None:
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("exposed_images: 6", f"exposed_images: {count}"))


@pytest.mark.slow
def test_thirty_variants_with_25_checkpoints_each_make_a_page_below_3_mb(study):
    root = study(variants=29, dp=("cnn3_dp",), epochs=25, every=1, attacks=("threshold",))
    ask_for_images(root, 100)
    main([])
    text = read_page()
    assert len(text.encode()) < 3_000_000
    for name, label in Study(root).labels.items():
        assert re.search(
            rf'<tbody id="row-{name}".*?</span> {label}( <small>ship this</small>)?</th>', text, re.DOTALL
        )
    assert text.count("<tbody id=") == 30
    drawn = Counter(re.findall(r'<img [^>]*alt="(Line chart, |Dot plot|Histogram)', text))
    assert drawn["Line chart, "] == 3
    assert drawn["Dot plot"] == drawn["Histogram"] == MOST_CLOSE
    assert text.count("<li><img") == MOST_CLOSE * (exposed.MOST_IMAGES // MOST_CLOSE)
    assert f"show the {MOST_CLOSE} of 30 variants that leak most" in text
    assert "Shown are 10 of each variant, not 100 (report.exposed_images)" in text
    failing = [len(json.loads(path.read_text())["failing"]) for path in Path("data/gate").iterdir()]
    most = cards.MOST_FINDINGS // 30
    assert max(failing) > most
    assert f"{max(failing) - most} more are left out here; all are in data/gate." in text
    assert len(re.findall(r"<tr><td>\d+</td><td>m(?:ax|in)_", text)) == sum(min(n, most) for n in failing)
    for path in Path("plots").glob("*.png"):
        with Image.open(path) as image:
            assert max(image.size) < 80 * 30  # inches


def test_a_table_is_read_once(study, monkeypatch):
    study(epochs=10, dp=("cnn3_dp",))
    read = Counter()

    def counted(reader, path, *more):
        read[str(path)] += 1
        return reader(path, *more)

    for name in ("read_rows", "curves_in"):
        monkeypatch.setattr(study_module, name, partial(counted, getattr(study_module, name)))
    main([])
    of_each = ("train/{}/history", "attack/{}/roc", "attack/{}/histograms", "attack/{}/exposed")
    parts = {
        f"data/{pattern.format(name)}.csv" for name in ("cnn2", "cnn3", "cnn3_dp") for pattern in of_each
    }
    parts -= {"data/attack/cnn3_dp/exposed.csv"}  # it is at chance
    assert set(read) == {"plots/privacy.csv"} | parts
    assert set(read.values()) == {1}


def test_a_panel_is_drawn_once():
    drawn = []
    panel = Panel(lambda ax: drawn.append(ax.plot([1, 2])), "A line", 2, 1)
    result = draw(Picture("two", [panel, panel], columns=1), dpi=50)
    assert len(drawn) == 2
    assert result.sheet.size == (100, 100)
    assert [alt for _, alt in result.panels] == ["A line", "A line"]
    assert all(uri.startswith("data:image/png;base64,") for uri, _ in result.panels)
    assert draw(Picture("elsewhere", [panel], in_page=False), dpi=50).panels == []
    assert draw(Picture("none"), dpi=50).panels == []


def test_the_curves_of_all_checkpoints_are_read(study):
    root = study(epochs=10, attacks=("threshold",))
    merge("privacy", ["cnn2", "cnn3"])
    merged_study = Study(root)
    wanted = {(name, epoch, "threshold") for name in merged_study.labels for epoch in (2, 4, 6, 8, 10)}
    assert set(merged_study.roc) == wanted
    whole = where(read_rows(root / "data/attack/cnn2/roc.csv"), epoch=10.0)
    assert merged_study.roc["cnn2", 10, "threshold"].tolist() == [[row["fpr"], row["tpr"]] for row in whole]


def test_a_damaged_curve_is_one_line(tmp_path):
    path = tmp_path / "roc.csv"
    path.write_text("variant,epoch,attack,slice,fpr,tpr\na,1,x,y,0.5,0.5\na,2,x,y,half,1\n")
    with pytest.raises(UserError, match=r"roc\.csv: could not convert [^\n]*; `dvc repro` writes it anew$"):
        curves_in(path)


def test_the_closest_look_is_at_those_that_leak_most(study):
    root = study(variants=MOST_CLOSE + 2, epochs=2, attacks=("threshold",))
    merge("privacy", Study(root).labels)
    merged_study = Study(root)
    assert merged_study.many
    assert MANY < MOST_CLOSE
    names = list(merged_study.labels)
    for row in merged_study.entire[names[0], 2] + merged_study.entire[names[5], 2]:
        row["auc"] = 0.4
    assert merged_study.close(names) == [name for name in names if name not in (names[0], names[5])]
    assert merged_study.close(names[:2]) == names[:2]


def test_large_images_become_thumbnails():
    noise = np.random.default_rng(0).integers(0, 256, (500, 300, 3), np.uint8)
    uri = Exhibit({}, "cat", noise).uri
    assert uri.startswith("data:image/jpeg;base64,")
    assert len(uri) < 20_000
    small = Exhibit({}, "cat", noise[:32, :32]).uri
    assert small.startswith("data:image/png;base64,")


def test_grey_images_are_shown(study):
    root = study(epochs=20, every=20)
    np.save(root / "data/prepare/images.npy", np.load(root / "data/prepare/images.npy")[..., :1])
    merge("privacy", Study(root).labels)
    (first, *_), _ = exhibits(Study(root), 3).values()
    assert first.pixels.shape == (32, 32, 3)
    assert (first.pixels == first.pixels[..., :1]).all()


def test_long_parameters_are_cut_and_the_page_says_so(study, monkeypatch):
    study(epochs=2, every=1)
    monkeypatch.setattr(provenance, "MOST_CHARACTERS", 100)
    main([])
    left = len(Path("params.yaml").read_text()) - 100
    assert f"{left} more characters are left out here" in read_page()


def test_of_very_many_curves_the_highest_are_named():
    ax = Figure().add_subplot()
    ax.set_ylim(0, 1)
    label_ends(ax, [(i / 100, str(i), "#000000", "o") for i in range(100)])
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == MOST_LABELS
    assert texts[0] == f"and {100 - MOST_LABELS + 1} lower ones"
    assert texts[1:] == [str(i) for i in range(100 - MOST_LABELS + 1, 100)]


@pytest.mark.parametrize("colours", [1, 2, 5, 12])
def test_thirty_variants_look_different(colours):
    names = [f"v{i}" for i in range(30)]
    look = Look(names, [f"#{i:06x}" for i in range(colours)])
    distinct = {(look.color(name), look.marker(name)) for name in names}
    assert len(distinct) == min(30, 6 * colours)
