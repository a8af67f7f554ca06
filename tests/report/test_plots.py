"""The tables that `dvc plots` draws, and its pages: what they hold, their size, what a browser draws."""

import math
import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import yaml
from report.conftest import Study as MadeUp
from sandbox import ROOT, environment

from benchmarks.chromium import CHROMIUM, Browser
from privacy_report.pipeline import contract
from privacy_report.pipeline.tables import columns_of, read_cells, read_rows, where, write_table
from privacy_report.report import curves
from privacy_report.report.offline import main as offline
from privacy_report.report.study import Study
from privacy_report.report.study_files import merge

ATTACKS = (
    "threshold",
    "threshold_confidence",
    "threshold_entropy",
    "threshold_modified_entropy",
    "logistic",
    "trajectory",
    "lira",
    "rmia",
    "placebo",
)
LARGEST = 2_000_000  # bytes of a page, Vega included
MEASURES = ("auc", "advantage", "tpr_at_1pct_fpr")


@dataclass
class EntireOnly(MadeUp):
    """The entire dataset alone: the slices have no part in the plots."""

    def slices(self):
        return [(contract.ENTIRE, 1.0, 1.0)]


DRAWN = "document.querySelectorAll('svg.marks').length >= 3"


def dvc(*args):
    done = subprocess.run(["dvc", *args], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr


def commit(message):
    for command in (("add", "--all"), ("commit", "--quiet", f"--message={message}")):
        subprocess.run(["git", *command], check=True, env=environment())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A repository with a made-up study as large as the committed one, on branches main and feature."""
    from stages.gate import main as gate

    root = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        made_up = EntireOnly(root, dp=("cnn3_dp",), attacks=ATTACKS, whole=True)
        made_up.write()
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["gate"] = {"max_advantage": 0.1, "min_val_accuracy": None}
        Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        for name in made_up.names():
            gate([name])
        merge("privacy", made_up.names())
        curves.write(Study(), Path("plots"))
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True, env=environment())
        shutil.copytree(ROOT / ".dvc/plots", ".dvc/plots")
        Path(".dvc/config").touch()
        Path(".gitignore").write_text("data/\nplots/privacy.csv\n/.dvc/tmp\n/show\n/diff\n")
        plots = [
            plot for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] if type(plot) is dict
        ]
        Path("dvc.yaml").write_text(yaml.safe_dump({"plots": plots}, sort_keys=False))
        commit("main")
        subprocess.run(["git", "switch", "--quiet", "--create", "feature"], check=True, env=environment())
        rows = [row | {"auc": row["auc"] - 0.01} for row in read_rows("plots/curves.csv")]
        write_table("plots/curves.csv", rows, contract.CURVES_COLUMNS, curves.DIGITS)
        commit("feature")
        subprocess.run(["git", "switch", "--quiet", "main"], check=True, env=environment())
        offline([".dvc/tmp/offline.html"])
        dvc("config", "--local", "plots.html_template", "tmp/offline.html")
        dvc("plots", "show", "--out", "show")
        dvc("plots", "diff", "main", "feature", "--out", "diff")
    return root


def test_columns_are_the_contracts(drawn):
    assert tuple(columns_of(drawn / "plots/curves.csv")) == contract.CURVES_COLUMNS
    assert tuple(columns_of(drawn / "plots/training.csv")) == contract.PLOTTED_TRAINING_COLUMNS
    assert tuple(columns_of(drawn / "plots/roc.csv")) == contract.PLOTTED_ROC_COLUMNS


def test_every_attack_has_its_row_as_measured(drawn):
    rows = list(where(read_rows(drawn / "plots/curves.csv"), by=""))
    assert len(rows) == 3 * 25 * len(ATTACKS) == 3 * 25 * 9
    whole = {(r["variant"], r["epoch"], r["attack"]): r for r in read_rows(drawn / "plots/privacy.csv")}
    measured = [column for measure in MEASURES for column in contract.with_ends(measure)]
    for row in read_cells(drawn / "plots/curves.csv"):
        if row["by"]:
            continue
        assert row["kind"] == contract.kind_of(row["attack"])
        full = whole[row["variant"], float(row["epoch"]), row["attack"]]
        for column in (*measured, "accuracy", "val_accuracy", "epsilon_fixed_split"):
            assert float(row[column]) == pytest.approx(full[column], rel=1e-5)
            assert len(re.sub(r"e.*|[-.]", "", row[column]).lstrip("0")) <= 6


def slowest(rows, kinds):
    """The row with the highest AUC of some kinds, found by looking at each."""
    best = None
    for row in rows:
        if row["slice"] != contract.ENTIRE or contract.kind_of(row["attack"]) not in kinds:
            continue
        if not math.isnan(row["auc"]) and (best is None or row["auc"] > best["auc"]):
            best = row
    return best


def test_the_strongest_is_the_strongest(study):
    root = study(
        epochs=10, dp=("cnn3_dp",), attacks=("threshold", "placebo", "logistic", "rmia"), refused=True
    )
    path = root / "data/attack/cnn2/privacy.csv"
    rows = read_rows(path)
    for row in where(rows, attack="placebo"):
        row["auc"] = 0.9  # no attack, so never the strongest
    for row in where(rows, attack="threshold", epoch=4.0):
        row["advantage"] = 0.99  # the highest, but not that of the highest AUC
    write_table(path, rows, contract.PRIVACY_COLUMNS)
    merge("privacy", ["cnn2", "cnn3", "cnn3_dp"])
    curve_rows = list(curves.curves(Study(root)))
    everything = read_rows(root / "plots/privacy.csv")
    kinds = {
        contract.STRONGEST: {contract.OUTPUTS, contract.EARLY, contract.REFERENCES},
        contract.STRONGEST_ON_OUTPUTS: {contract.OUTPUTS},
    }
    for variant in ("cnn2", "cnn3", "cnn3_dp"):
        for epoch in (2.0, 4.0, 6.0, 8.0, 10.0):
            at = list(where(everything, variant=variant, epoch=epoch))
            for name, of in kinds.items():
                (row,) = where(curve_rows, variant=variant, epoch=epoch, attack=name)
                best = slowest(at, of)
                assert row["by"] == best["attack"]
                assert row["kind"] == contract.kind_of(best["attack"])
                for column in set(contract.CURVES_COLUMNS) - {"attack", "kind", "by"}:
                    assert row[column] == best[column]


def test_roc_has_few_points_of_the_strongest_of_each_kind(drawn):
    rows = read_rows(drawn / "plots/roc.csv")
    points_of = {
        key: list(points)
        for key, points in groupby(rows, lambda r: (r["variant"], r["checkpoint"], r["attack"], r["kind"]))
    }
    for variant in ("cnn2", "cnn3"):
        of = {key[1:] for key in points_of if key[0] == variant}
        two = {("logistic", contract.OUTPUTS), ("rmia", contract.REFERENCES)}
        assert of == {(which, *attacker) for which in ("recommended", "last") for attacker in two}
    for (variant, _, attack, _), points in points_of.items():
        assert 20 < len(points) <= curves.MOST_POINTS
        epoch = points[0]["epoch"]
        whole = where(read_rows(drawn / f"data/attack/{variant}/roc.csv"), epoch=epoch, attack=attack)
        curve = {f"{row['fpr']:.6g}": row["tpr"] for row in whole}
        for point in points:
            assert point["tpr"] == pytest.approx(curve[f"{point['fpr']:.6g}"], rel=1e-5)
        assert (points[-1]["fpr"], points[-1]["tpr"]) == (1, 1)


def test_a_short_curve_is_kept_and_steps_promise_no_more_than_there_is():
    short = np.array([(x, x) for x in (0.0, 0.1, 1.0)])
    assert curves.thinned(short).tolist() == short[1:].tolist()
    long = np.array([((i + 1) / 1000, math.sqrt((i + 1) / 1000)) for i in range(1000)])
    kept = curves.thinned(long).tolist()
    assert kept[0] == long[0].tolist()
    assert kept[-1] == long[-1].tolist()
    assert len(kept) <= curves.MOST_POINTS


@pytest.mark.parametrize("seed", range(3))
def test_a_thinned_curve_read_as_steps_lies_nowhere_above_the_whole_one(seed):
    """Random steps, several at one FPR among them; each place has the last point that is not after it."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 3, (500, 2)) * (rng.random((500, 2)) < 0.4)
    whole = np.cumsum([[1, 1], *steps, [1, 1]], axis=0)
    whole = whole / whole[-1]
    kept = curves.thinned(whole)
    assert len(kept) <= curves.MOST_POINTS
    assert kept[-1].tolist() == [1, 1]
    for fpr in whole[:, 0]:
        (most,), promised = (curve[curve[:, 0] <= fpr][-1:, 1] for curve in (whole, kept))
        assert max(promised, default=0) <= most
    places = np.geomspace(whole[0, 0], 1, curves.MOST_POINTS) * (1 + 1e-12)
    last = {tuple(max(point for point in whole.tolist() if point[0] <= place)) for place in places}
    assert set(map(tuple, kept.tolist())) == last


def test_pages_are_small(drawn):
    show, diff = (len((drawn / page / "index.html").read_bytes()) for page in ("show", "diff"))
    assert show < LARGEST
    assert diff < LARGEST
    text = (drawn / "diff/index.html").read_text()
    assert '"rev": "main"' in text
    assert '"rev": "feature"' in text


def test_curves_by_epoch_come_first(drawn):
    text = (drawn / "show/index.html").read_text()
    assert re.findall(r'<div id = "(\w+)"', text) == ["Attacks_by_epoch", "Training_by_epoch", "ROC_curves"]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
@pytest.mark.parametrize(("page", "revisions"), [("show", 1), ("diff", 2)])
def test_a_browser_draws_bands_chance_and_the_choice_of_attack(drawn, page, revisions):
    with Browser() as browser:
        browser.look()
        browser.open(drawn / page / "index.html", ready=False)
        browser.until(DRAWN)
        dom = browser.run("document.documentElement.outerHTML")
    assert [line for line in browser.console if "The compiled spec uses Vega v5" not in line] == []
    parts = dict(zip(*[iter(re.split(r'<div id="(\w+)"', dom)[1:])] * 2, strict=True))
    attacks = parts["Attacks_by_epoch"]
    bands = re.findall(r'aria-label="95% band[^"]*"[^>]* d="[^"]{40,}|d="[^"]{40,}"[^>]*95% band', attacks)
    assert len(bands) == 3 * 3 * revisions
    for chance in ("0.5", "0", "0.01"):
        assert f'"Chance: {chance}"' in attacks
    assert f'"Chance: {contract.FPRS["tpr_at_1pct_fpr"]}"' in attacks
    select = re.search(r'<select name="attack">(.*?)</select>', attacks, re.DOTALL)[1]
    assert re.findall(r'<option value="([^"]+)"', select)[:3] == [
        contract.STRONGEST,
        contract.STRONGEST_ON_OUTPUTS,
        "threshold",
    ]
    for panel in parts.values():
        for title in (r"Variant \(click to choose\)", "Revision"):  # legends do not repeat
            assert len(re.findall(rf"<text[^>]*>{title}</text>", panel)) == 1
        for variant in ("cnn2", "cnn3", "cnn3_dp"):
            assert len(re.findall(rf"<text[^>]*>{variant}</text>", panel)) == 1
        width = float(re.search(r'<svg [^>]*width="([\d.]+)"', panel)[1])
        assert 300 < width <= 800


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")
def test_charts_and_their_legends_fit_a_phone(drawn):
    with Browser() as browser:
        browser.look(390)
        browser.open(drawn / "diff/index.html", ready=False)
        browser.until(DRAWN)
        ends = browser.run(
            "[...document.querySelectorAll('svg.marks')].map(e => e.getBoundingClientRect().right)"
        )
        scroll = browser.run("document.documentElement.scrollWidth")
    assert len(ends) == 3
    assert max(ends) <= 390
    assert scroll <= 390
