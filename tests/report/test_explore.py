"""The page in Chromium: each control moved, what is said held against the tables, a link opened again."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from report.conftest import Study as MadeUp
from report.driven import middle_of, points_of, ringed, set_to, settled, shown_in, text_of

from benchmarks.chromium import CHROMIUM, Browser
from privacy_report.pipeline.contract import OUTPUTS
from privacy_report.pipeline.tables import read_rows, where, write_table
from privacy_report.report import explore
from privacy_report.report.runs import between, runs
from privacy_report.report.study import ATTACKS as ALL_KINDS
from privacy_report.report.study import Study
from stages.gate import main as gate
from stages.report import main

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)"),
]
ATTACKS = ("threshold", "logistic", "trajectory", "rmia", "placebo")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A made-up study with three variants, judged, and its page."""
    folder = tmp_path_factory.mktemp("explored")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(folder))
        made_up = MadeUp(folder, epochs=20, dp=("cnn3_dp",), attacks=ATTACKS, refused=True)
        made_up.write()
        for name in made_up.names():
            gate([name])
        main([])
    return folder


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium, root):
    """Chromium with the page open, in a desktop's window, and nothing said on its console in the test."""
    chromium.console.clear()
    chromium.look()
    chromium.open(root / "plots/report.html")
    yield chromium
    assert chromium.console == []
    assert len(chromium.requests) == 1  # the page itself


@pytest.mark.parametrize("attack", ["threshold", "logistic", "rmia"])
def test_the_sentence_is_what_the_curve_says(browser, root, attack):
    """Members named and non-members accused, against the whole curve of roc.csv."""
    set_to(browser, "attack", attack)
    set_to(browser, "epoch", 9, "input")  # epoch 20
    for place in (0, 17, 30, 45):
        set_to(browser, "fpr", place, "input")
        rate = explore.grid(10_000)[place]
        lines = [line for line in text_of(browser, "#sentence").split(".") if line.startswith("2 Layers")]
        words = r"epoch 20, (\w+): names ([\d,]+) of 50,000 members and wrongly accuses ([\d,]+) of 10,000"
        (said,) = re.findall(words, lines[0].replace("about ", ""))
        curve = where(read_rows(root / "data/attack/cnn2/roc.csv"), epoch=20.0, attack=attack)
        allowed = [row for row in curve if row["fpr"] <= rate * (1 + 1e-9)]
        last = max(allowed, key=lambda row: row["fpr"])
        assert said[0] == attack
        assert int(said[1].replace(",", "")) == pytest.approx(last["tpr"] * 50_000, abs=1.01, rel=1e-4)
        assert int(said[2].replace(",", "")) == pytest.approx(last["fpr"] * 10_000, abs=0.51, rel=1e-4)


def test_the_address_keeps_what_is_shown(browser, root):
    set_to(browser, "attack", "rmia")
    set_to(browser, "measure", "auc")
    set_to(browser, "slice", "class=2")
    set_to(browser, "epoch", 4, "input")
    set_to(browser, "fpr", 15, "input")
    browser.run("document.querySelector('#legend button[value=cnn3]').click()")
    settled(browser)
    address = browser.run("location.hash")
    for setting in ("epoch=10", "attack=rmia", "fpr=0.001", "measure=auc", "variants=cnn3"):
        assert setting in address
    controls = "['attack', 'measure', 'slice', 'epoch', 'fpr'].map(id => at(id).value)"
    before = browser.run(controls), text_of(browser, "#sentence"), shown_in(browser, "by_epoch")
    browser.open(root / "plots/report.html", address)
    settled(browser)
    after = browser.run(controls), text_of(browser, "#sentence"), shown_in(browser, "by_epoch")
    assert after == before
    browser.open(
        root / "plots/report.html", "#epoch=11&attack=no-such&fpr=x&variants=gone"
    )  # what a stale link says
    assert browser.run("document.getElementById('attack').value") == "strongest"
    assert "epoch 12" in text_of(browser, "#sentence")


def test_the_epoch_moves_every_view(browser):
    seen = []
    for place in (2, 8):
        set_to(browser, "epoch", place, "input")
        settled(browser)
        seen.append([shown_in(browser, view) for view in ("trade_off", "roc", "classes", "scores")])
    for before, after in zip(*seen, strict=True):
        assert before
        assert after
    assert seen[0][1:] != seen[1][1:]


def test_sentence_roc_and_scores_are_of_all_examples_whatever_is_chosen(browser):
    def seen():
        settled(browser)
        return text_of(browser, "#sentence"), shown_in(browser, "roc"), shown_in(browser, "scores")

    set_to(browser, "attack", "threshold")
    before, points = seen(), shown_in(browser, "by_epoch")
    set_to(browser, "slice", "class=7")
    assert seen() == before
    assert shown_in(browser, "by_epoch") != points
    assert "always use the entire dataset" in text_of(browser, "#entire")


def test_points_are_the_rows_of_the_table(browser, root):
    set_to(browser, "attack", "threshold")
    set_to(browser, "slice", "class=7")
    settled(browser)
    rows = where(read_rows(root / "plots/privacy.csv"), attack="threshold", slice="class=7", variant="cnn2")
    wanted = [(row["epoch"], row["advantage"]) for row in rows if not math.isnan(row["advantage"])]
    points = browser.run(points_of("2 Layers") + ".map(p => [p.epoch, p.value])")
    assert [tuple(point) for point in points] == [
        (epoch, pytest.approx(value, rel=1e-4)) for epoch, value in wanted
    ]


def test_attacks_on_labels_alone_are_shown_and_so_are_small_rates(chromium, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    MadeUp(tmp_path, epochs=4, variants=1, attacks=("gap",), nonmembers=100_000).write()
    gate(["cnn2"])
    main([])
    chromium.console.clear()
    chromium.look()
    chromium.open(tmp_path / "plots/report.html")
    rows = where(read_rows(tmp_path / "plots/privacy.csv"), slice="entire dataset")
    points = chromium.run(points_of("2 Layers") + ".map(p => p.value)")
    assert points == [pytest.approx(row["advantage"], rel=1e-4) for row in rows]
    set_to(chromium, "fpr", 0, "input")
    assert text_of(chromium, "#fpr-now") == "0.0010%"
    assert chromium.console == []


def test_the_strongest_is_the_one_with_the_highest_auc_and_no_placebo(browser, root):
    rows = [
        row
        for row in read_rows(root / "plots/privacy.csv")
        if row["slice"] == "entire dataset" and row["variant"] == "cnn3"
    ]
    for chosen, allowed in (("strongest", ATTACKS[:-1]), ("strongest on outputs", ATTACKS[:2])):
        set_to(browser, "attack", chosen)
        settled(browser)
        points = browser.run(points_of("3 Layers") + ".map(p => [p.epoch, p.attack])")
        for epoch, attack in points:
            here = [
                row
                for row in rows
                if row["epoch"] == epoch and row["attack"] in allowed and not math.isnan(row["auc"])
            ]
            assert attack == max(here, key=lambda row: row["auc"])["attack"]


def test_the_histogram_counts_each_example_once(browser):
    set_to(browser, "attack", "threshold")
    settled(browser)
    for side in ("members", "non-members"):
        shares = f"charts.scores.data('points').filter(b => b.side === '{side}').map(b => b.share)"
        assert sum(browser.run(shares)) == pytest.approx(1, abs=1e-4)


def test_a_view_without_data_says_why(browser):
    set_to(browser, "slice", "class=3")  # refused in this study
    settled(browser)
    assert browser.run("document.getElementById('view-by_epoch').hidden")
    assert "This attacker was not tried on these examples." in text_of(browser, "#view-by_epoch + .missing")
    set_to(browser, "slice", "class=4")
    settled(browser)
    assert not browser.run("document.getElementById('view-by_epoch').hidden")


def test_a_click_isolates_a_variant_and_the_next_shows_all(browser):
    visible = "all.variants.filter(one => one.on).map(one => one.name)"
    button = "document.querySelector('#legend button[value=cnn3_dp]')"
    browser.run(f"{button}.click()")
    assert browser.run(visible) == ["cnn3_dp"]
    settled(browser)
    assert browser.run("[...new Set(charts.roc.data('points').map(p => p.variant))]") == ["3 Layers, DP"]
    browser.run(f"{button}.click()")
    assert browser.run(visible) == ["cnn2", "cnn3", "cnn3_dp"]


def test_hovering_a_checkpoint_shows_its_card_and_rings_it_everywhere(browser, root):
    browser.run("document.getElementById('view-trade_off').scrollIntoView({block: 'center'})")
    settled(browser)
    before = text_of(browser, "#card")
    assert [ringed(browser, view) for view in ("by_epoch", "trade_off")] == [[], []]
    browser.point_at(*middle_of(browser, "trade_off", "cnn2|14"))
    browser.until(f"document.getElementById('card').textContent !== {json.dumps(before)}")
    settled(browser)
    card = text_of(browser, "#card")
    assert card.startswith("2 Layers, epoch 14")
    row = max(
        where(read_rows(root / "plots/privacy.csv"), variant="cnn2", epoch=14.0, slice="entire dataset"),
        key=lambda row: row["auc"] if row["attack"] != "placebo" else 0,
    )
    assert f"accuracy {row['val_accuracy']:.3f}, advantage {row['advantage']:.3f}" in card
    assert [ringed(browser, view) for view in ("by_epoch", "trade_off")] == [["cnn2|14"], ["cnn2|14"]]
    browser.point_at(*middle_of(browser, "by_epoch", "cnn3|6"))
    browser.until("document.getElementById('card').textContent.startsWith('3 Layers, epoch 6')")
    settled(browser)
    assert [ringed(browser, view) for view in ("by_epoch", "trade_off")] == [["cnn3|6"], ["cnn3|6"]]
    browser.point_at(2, 2)
    settled(browser)
    assert [ringed(browser, view) for view in ("by_epoch", "trade_off")] == [[], []]
    assert text_of(browser, "#card").startswith("3 Layers, epoch 6")  # can be read with the pointer elsewhere


def test_variants_are_sorted_by_a_click(browser):
    bodies = "[...document.querySelectorAll('.variants > tbody')]"
    names = f"{bodies}.map(body => body.id)"
    heading = "document.querySelectorAll('.variants > thead button')[2]"
    accuracies = f"{bodies}.map(body => Number(body.rows[0].cells[2].dataset.value))"
    assert browser.run(f"{heading}.textContent") == "Accuracy"
    browser.run(f"{heading}.click()")
    up = browser.run(accuracies)
    assert up == sorted(up)
    assert browser.run(f"{heading}.closest('th').getAttribute('aria-sort')") == "ascending"
    first = browser.run(names)
    browser.run(f"{heading}.click()")
    assert browser.run(names) == first[::-1]


def test_the_table_is_filtered_sorted_and_downloaded(browser, root, tmp_path):
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    set_to(browser, "t-variant", "cnn3")
    set_to(browser, "t-attack", "rmia")
    set_to(browser, "t-leaks", "yes")
    browser.run(
        "[...document.querySelectorAll('#table thead button')].find(one => one.textContent === 'auc').click()"
    )
    rows = [
        row
        for row in read_rows(root / "plots/privacy.csv")
        if (row["variant"], row["attack"], row["leaks"]) == ("cnn3", "rmia", "yes")
    ]
    rows.sort(key=lambda row: row["auc"])
    assert f"of {len(rows)} rows shown" in text_of(browser, "#t-count")
    browser.run("document.getElementById('download').click()")
    path = tmp_path / "privacy.csv"
    end = time.monotonic() + 20
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    written = list(csv.DictReader(io.StringIO(path.read_text())))
    assert list(written[0]) == list(rows[0])
    for line, row in zip(written, rows, strict=True):
        assert (line["slice"], line["note"]) == (row["slice"], row["note"])
        assert [float(line[name] or "nan") for name in ("auc", "advantage_p", "epoch")] == [
            pytest.approx(row[name], rel=1e-4, nan_ok=True) for name in ("auc", "advantage_p", "epoch")
        ]


def test_a_broken_script_leaves_the_static_pictures(chromium, root, tmp_path):
    text = (root / "plots/report.html").read_text()
    images = "[...document.querySelectorAll('figure.still img')]"
    seen = f"{images}.filter(e => e.checkVisibility() && e.naturalWidth).length"
    pictures = len(
        re.findall(r'<img src="data:image/png[^"]*" alt="(?:Line|Scatter|ROC|Dot|Histogram)', text)
    )
    assert pictures >= 10
    broken = tmp_path / "broken.html"
    broken.write_text(re.sub(r'(id="vega">)[^<]{50}', r"\1", text))
    chromium.look()
    chromium.open(broken, ready=False)
    chromium.until(f"{seen} === {pictures}")
    assert not chromium.run("document.querySelector('#explore .controls').checkVisibility()")
    chromium.look(scripts=False)
    chromium.open(root / "plots/report.html", ready=False)
    chromium.look()
    assert chromium.run(seen) == pictures


def test_first_screen_has_the_answers(browser):
    """The decision, and every variant's row with its verdict, without scrolling at 1280 x 800."""
    said = "[...document.querySelectorAll('.lead, .variants > tbody > tr:first-child')]"
    assert max(browser.run(f"{said}.map(e => e.getBoundingClientRect().bottom)")) < 800


def test_the_limit_is_the_one_that_the_policy_has_for_what_is_shown(browser):
    drawn = "charts.by_epoch.data('lines').filter(one => one.kind === 'limit').map(one => one.at)"
    for slice_, measure, limit in (
        ("entire dataset", "advantage", [0.1]),
        ("entire dataset", "tpr_at_1pct_fpr", [0.03]),
        ("entire dataset", "auc", []),
        ("class=4", "advantage", [0.25]),
        ("class=4", "auc", []),
    ):
        set_to(browser, "slice", slice_)
        set_to(browser, "measure", measure)
        settled(browser)
        assert browser.run(drawn) == limit


def test_variants_with_the_same_label_are_told_apart(chromium, study, tmp_path):
    root = study(variants=2, epochs=4)
    params = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(params.replace("label: 3 Layers", "label: 2 Layers"))
    main([])
    chromium.look()
    chromium.open(tmp_path / "plots/report.html")
    labels = chromium.run("[...new Set(charts.by_epoch.data('points').map(p => p.variant))]")
    assert labels == ["2 Layers (cnn2)", "2 Layers (cnn3)"]


def test_point_and_band_of_several_seeds_are_those_of_the_static_picture(chromium, study, tmp_path):
    """One run lacks an attack at epoch 6, which counts for none there; at 8 another leads in advantage."""
    root = study(variants=3, epochs=8, attacks=("threshold", "logistic", "rmia"))
    params = yaml.safe_load((root / "params.yaml").read_text())
    for name in ("cnn3", "cnn4"):
        params["variants"][name]["repeats"] = "cnn2"
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for name in ("cnn2", "cnn3", "cnn4"):
        path = root / f"data/attack/{name}/privacy.csv"
        rows = read_rows(path)
        for row in where(rows, epoch=8, attack="threshold", slice="entire dataset"):
            row["advantage"] = 0.5 + row["advantage"] / 2
        missing = ("rmia", 6.0) if name == "cnn4" else None
        kept = [row for row in rows if (row["attack"], row["epoch"]) != missing]
        write_table(path, kept, list(rows[0]))
    main([])
    drawn = Study(root)
    group = runs(drawn)["cnn2"]
    chromium.look()
    chromium.open(root / "plots/report.html")
    for measure in ("advantage", "auc", "tpr_at_1pct_fpr"):
        for attacker, kinds in (("strongest", ALL_KINDS), ("strongest on outputs", (OUTPUTS,))):
            set_to(chromium, "measure", measure)
            set_to(chromium, "attack", attacker)
            settled(chromium)
            dots = chromium.run("charts.by_epoch.data('points').map(p => [p.epoch, p.low, p.value, p.high])")
            band = between(drawn, group, measure, kinds)
            assert [epoch for epoch, *_ in dots] == [at.epoch for at in band] == [2, 4, 6, 8]
            for (_, *numbers), at in zip(dots, band, strict=True):
                assert at.low < at.high
                assert numbers == pytest.approx([at.low, at.middle, at.high], rel=1e-4)
            of_classes = chromium.run("charts.classes.data('points').map(p => [p.low, p.value, p.high])")
            assert of_classes
            assert all(low <= value <= high for low, value, high in of_classes)


@pytest.mark.npm
def test_axe_finds_nothing(chromium, root, tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, for axe-core")
    install = [
        npm,
        "install",
        "--silent",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(tmp_path),
        "axe-core@4",
    ]
    if subprocess.run(install, capture_output=True, check=False, timeout=120).returncode:
        pytest.skip("npm could not install axe-core")
    axe = (tmp_path / "node_modules/axe-core/axe.min.js").read_text()
    script = """axe.run().then(r => JSON.stringify(r.violations.map(v =>
    ({id: v.id, where: v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + n.failureSummary)}))))"""
    for dark in (False, True):
        for width in (1280, 390):
            chromium.look(width, dark=dark)
            chromium.open(root / "plots/report.html")
            chromium.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
            chromium.run(f"{axe}; 0")
            assert json.loads(chromium.run(script)) == [], (dark, width)
    chromium.look(scripts=True)


def test_the_page_is_small(root):
    assert Path(root / "plots/report.html").stat().st_size < 3_000_000
