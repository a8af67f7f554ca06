"""Remedies next to what they are for, and runs with several seeds: against numbers worked out another way."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from report.conftest import read_page

from privacy_report.gate.words import BREAKS
from privacy_report.pipeline.tables import read_rows, write_table
from privacy_report.report import build as built
from privacy_report.report import by_epoch, remedies, trade_offs
from privacy_report.report.explore import contents
from privacy_report.report.remedies import Point, gains
from privacy_report.report.runs import between, runs
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study
from privacy_report.report.style import Look
from stages.gate import main as gate

SHORT = {"advantage": "advantage", "tpr_at_1pct_fpr": "tpr_1pct", "val_accuracy": "val_acc"}
"""Column of privacy.csv -> its name in metrics/."""
BASE = {2: Point(0.60, 0.04), 4: Point(0.66, 0.08), 6: Point(0.68, 0.14)}


def sampled(remedy, at):
    """The oracle: a hundred thousand points on the line."""
    line = np.array([remedy[epoch] for epoch in sorted(remedy)])
    places = np.linspace(0, len(line) - 1, 100_001)
    accuracy, leak = (np.interp(places, np.arange(len(line)), column) for column in line.T)
    accurate, quiet = accuracy[leak <= at.leak + 1e-12], leak[accuracy >= at.accuracy - 1e-12]
    gain = accurate.max() - at.accuracy if len(accurate) else math.nan
    return gain, at.leak - quiet.min() if len(quiet) else math.nan


def test_gains_by_hand():
    """Half-way from epoch 2 to 4 the remedy leaks 0.08, at 0.70; as accurate at 0.056."""
    remedy = {2: Point(0.65, 0.05), 4: Point(0.75, 0.11), 6: Point(0.74, 0.20)}
    assert gains(remedy, BASE, 4) == pytest.approx((0.70 - 0.66, 0.08 - 0.056))
    never = {2: Point(0.50, 0.01), 4: Point(0.55, 0.02)}
    gain, cut = gains(never, BASE, 4)
    assert gain == pytest.approx(-0.11)
    assert math.isnan(cut)
    leaky = {2: Point(0.70, 0.2)}
    assert gains(leaky, BASE, 4) == pytest.approx((math.nan, -0.12), nan_ok=True)
    assert all(map(math.isnan, gains(leaky, BASE, 5)))


def test_gains_are_those_of_a_line_of_many_points_wherever_it_turns():
    rng = np.random.default_rng(0)
    for _ in range(50):
        remedy = {
            e: Point(*rng.uniform((0.5, 0.0), (0.8, 0.2))) for e in range(2, 2 + 2 * rng.integers(1, 8), 2)
        }
        at = Point(*rng.uniform((0.5, 0.0), (0.8, 0.2)))
        assert gains(remedy, {2: at}, 2) == pytest.approx(sampled(remedy, at), abs=1e-4, nan_ok=True)


def test_a_variant_is_no_better_than_itself():
    assert gains(BASE, BASE, 4) == pytest.approx((0.0, 0.0))


@pytest.fixture
def remedied(study):
    """cnn2 leaks, cnn3 is a remedy of it; cnn4 and cnn5 repeat cnn2 and cnn3, cnn6 repeats cnn2."""

    def write(**settings):
        root = study(variants=5, epochs=20, **settings)
        params = yaml.safe_load((root / "params.yaml").read_text())
        for name, more in {
            "cnn3": {"remedy_of": "cnn2"},
            "cnn4": {"repeats": "cnn2"},
            "cnn5": {"repeats": "cnn3", "remedy_of": "cnn2"},
            "cnn6": {"repeats": "cnn2"},
        }.items():
            params["variants"][name] |= more
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        for name in params["variants"]:
            gate([name])
        (root / "plots").mkdir(exist_ok=True)
        built.merge("privacy", params["variants"], root)
        return Study(root)

    return write


def inside(node, key):
    """All values of a key, anywhere in a specification."""
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from inside(child, key)


def column_at(study, variant, epoch, column, attacks=None):
    """The largest number of a column on the entire dataset, straight from the file."""
    rows = read_rows(study.root / f"data/attack/{variant}/privacy.csv")
    return max(
        row[column]
        for row in rows
        if row["slice"] == "entire dataset"
        and row["epoch"] == epoch
        and (not attacks or row["attack"] in attacks)
    )


def test_runs_are_one_curve_from_the_least_to_the_largest(remedied):
    study = remedied()
    groups = runs(study)
    assert {of: list(group.names) for of, group in groups.items()} == {
        "cnn2": ["cnn2", "cnn4", "cnn6"],
        "cnn3": ["cnn3", "cnn5"],
    }
    last = {name: column_at(study, name, 20, "auc") for name in study.labels}
    assert groups["cnn2"].middle == sorted(groups["cnn2"].names, key=last.get)[1]
    assert groups["cnn3"].middle == max(groups["cnn3"].names, key=last.get)  # of two the higher one
    band = between(study, groups["cnn2"], "advantage")
    assert [point.epoch for point in band] == study.epochs("cnn2")
    for point in band:
        values = [column_at(study, name, point.epoch, "advantage") for name in groups["cnn2"].names]
        assert (point.low, point.middle, point.high) == pytest.approx(tuple(sorted(values)))


def test_an_attack_that_not_every_run_had_makes_no_run_look_worse(remedied):
    study = remedied(attacks=("threshold", "rmia"))
    path = study.root / "data/attack/cnn4/privacy.csv"
    rows = read_rows(path)
    write_table(path, [row for row in rows if row["attack"] == "threshold"], list(rows[0]))
    built.merge("privacy", study.labels, study.root)
    study = Study(study.root)
    for point in between(study, runs(study)["cnn2"], "advantage"):
        values = [
            column_at(study, name, point.epoch, "advantage", ["threshold"])
            for name in ("cnn2", "cnn4", "cnn6")
        ]
        assert (point.low, point.high) == pytest.approx((min(values), max(values)))
    curves = remedies.paths(study, ["cnn2", "cnn4"])
    assert curves["cnn2"][20].leak == pytest.approx(column_at(study, "cnn2", 20, "advantage", ["threshold"]))


def test_the_table_says_what_the_gate_chose_and_what_is_gained_over_all_pairs(remedied):
    study = remedied()
    base, remedy = remedies.rows(study)
    assert (base["variant"], base["remedy_of"], base["runs"], base["pairs"]) == ("cnn2", "", 3, 0)
    assert (remedy["variant"], remedy["remedy_of"], remedy["runs"], remedy["pairs"]) == ("cnn3", "cnn2", 2, 6)
    others = [json.loads(Path(f"metrics/{name}.json").read_text()) for name in ("cnn3", "cnn5")]
    metrics = min(others, key=lambda numbers: numbers["val_acc"])  # of two the lower one
    assert remedy["epoch"] == metrics["epoch"]
    for column, name in SHORT.items():
        assert remedy[column] == pytest.approx(metrics[name], rel=1e-3)
    accuracies = [numbers["val_acc"] for numbers in others if numbers["verdict"] == "passes"]
    assert remedy["runs_that_keep"] == len(accuracies)
    assert remedy["val_accuracy_low"] == pytest.approx(min(accuracies), rel=1e-3)
    assert remedy["val_accuracy_high"] == pytest.approx(max(accuracies), rel=1e-3)
    gained = []
    for ours in ("cnn3", "cnn5"):
        line = {
            e: Point(column_at(study, ours, e, "val_accuracy"), column_at(study, ours, e, "advantage"))
            for e in study.epochs(ours)
        }
        for theirs in ("cnn2", "cnn4", "cnn6"):
            epoch = json.loads(Path(f"metrics/{theirs}.json").read_text())["epoch"]
            at = (column_at(study, theirs, epoch, column) for column in ("val_accuracy", "advantage"))
            gained.append(sampled(line, Point(*at))[0])
    for name, value in {"": np.median(gained), "_low": min(gained), "_high": max(gained)}.items():
        assert remedy[f"accuracy_gain{name}"] == pytest.approx(value, abs=1e-4)


def test_a_run_that_was_not_confirmed_does_not_keep_the_policy(remedied):
    study = remedied()
    before = list(remedies.rows(study))[1]
    path = study.root / "data/gate/cnn5.json"
    verdict = json.loads(path.read_text())
    assert verdict["recommended_epoch"]
    path.write_text(json.dumps(verdict | {"verdict": BREAKS, "confirmed": "no"}))
    after = list(remedies.rows(Study(study.root)))[1]
    assert (before["runs_that_keep"], after["runs_that_keep"]) == (2, 1)
    assert after["val_accuracy_low"] == after["val_accuracy"] == after["val_accuracy_high"]
    assert after["epoch"] == json.loads(Path("metrics/cnn3.json").read_text())["epoch"]


def test_the_row_is_of_the_run_with_the_middle_accuracy_of_those_that_keep(remedied, monkeypatch):
    study = remedied()
    names, epochs = ("cnn2", "cnn4", "cnn6"), study.epochs("cnn2")
    points = sorted((column_at(study, name, e, "val_accuracy"), name, e) for name in names for e in epochs)
    for kept in (points[:1], [points[0], next(point for point in points if point[1] != points[0][1])]):
        at = {name: epoch for _, name, epoch in kept}
        monkeypatch.setattr(
            Study, "recommended", lambda _, name, at=at: at.get(name, 20 if name == "cnn3" else None)
        )
        row = next(remedies.rows(study))
        assert (row["runs_that_keep"], row["epoch"]) == (len(kept), points[0][2])
        assert row["val_accuracy"] == pytest.approx(points[0][0])
        assert row["val_accuracy_high"] == pytest.approx(kept[-1][0])


def test_file_picture_and_section_are_there_where_a_study_has_remedies(remedied):
    study = remedied()
    page = built.build_plots(study, ReportParams())
    with open("plots/remedies.csv") as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["cnn2", "cnn3"]
    assert Path("plots/remedies.png").stat().st_size > 10_000
    text = read_page(page)
    assert "<h2>What to do about a leak</h2>" in text
    assert "thin lines are runs with other seeds" in text
    drawn = contents(study, Look(list(study.labels), ReportParams().palette))["variants"]
    groups = runs(study)
    assert [variant["name"] for variant in drawn] == [groups["cnn2"].middle, groups["cnn3"].middle]
    middle = {name: groups[name].middle for name in ("cnn2", "cnn3")}
    assert [variant["label"] for variant in drawn] == [
        f"2 Layers, 3 seeds, drawn: {middle['cnn2']}",
        f"3 Layers, 2 seeds, drawn: {middle['cnn3']}",
    ]
    assert drawn[0]["runs"] == ["cnn2", "cnn4", "cnn6"]


def test_all_that_is_drawn_has_its_colour(remedied):
    """Vega-Lite draws what a scale's domain lacks without a colour."""
    study = remedied()
    drawn = contents(study, Look(list(study.labels), ReportParams().palette))
    scales = [scale for scale in inside(drawn["views"], "scale") if "range" in scale]
    assert len(scales) > len(drawn["views"])
    wanted = {
        "domain": [variant["label"] for variant in drawn["variants"]],
        "range": [variant["color"] for variant in drawn["variants"]],
    }
    assert all(scale == wanted for scale in scales)


def test_alt_texts_say_what_is_drawn(remedied):
    """No audit twin, and of several runs the middle one, by the attacks that were made on all."""
    root = remedied(attacks=("threshold", "rmia"), dp=("cnn3_dp",)).root
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["variants"]["cnn3_dp"]["canaries"] = {"count": 10}
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    path = root / "data/attack/cnn4/privacy.csv"
    rows = read_rows(path)
    write_table(path, [row for row in rows if row["attack"] == "threshold"], list(rows[0]))
    built.merge("privacy", params["variants"], root)
    study = Study(root)
    look, groups = Look(list(study.labels), ReportParams().palette), runs(study)
    middle, other = groups["cnn2"].middle, groups["cnn3"].middle
    path = root / f"data/gate/{middle}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"recommended_epoch": 2}))
    ends = [
        f"{column_at(study, name, epoch, 'auc', attacks):.3f} at epoch {epoch}"
        for name, attacks in ((middle, ["threshold"]), (other, None))
        for epoch in (2, 20)
    ]
    alt = by_epoch.vulnerability(study, look).panels[0].alt
    lines = f"2 Layers, 3 seeds from {ends[0]} to {ends[1]}; 3 Layers, 2 seeds from {ends[2]} to {ends[3]}"
    assert alt.endswith(f"by epoch: {lines}.")
    epochs = {name: study.recommended(name) for name in study.labels}
    assert None not in epochs.values()
    assert epochs[middle] == 2 < epochs["cnn2"]
    alt = trade_offs.privacy_vs_accuracy(study, look).panels[0].alt
    stars = f"2 Layers, 3 seeds at epoch 2; 3 Layers, 2 seeds at epoch {epochs[other]}"
    assert alt.endswith(f"one dot per checkpoint. Recommended: {stars}.")


def test_without_remedies_there_is_no_section_and_an_empty_table(study):
    root = study(epochs=10)
    page = built.build_plots(Study(root), ReportParams())
    assert "What to do about a leak" not in read_page(page)
    assert Path("plots/remedies.csv").read_text() == ",".join(remedies.COLUMNS) + "\n"


def test_metrics_have_the_spread_of_the_seeds_of_the_first_run_alone(remedied):
    study = remedied()
    metrics = json.loads(Path("metrics/cnn2.json").read_text())
    assert metrics["seeds"] == 3
    names = ("cnn2", "cnn4", "cnn6")
    for column, name in SHORT.items():
        values = [column_at(study, run, metrics["epoch"], column) for run in names]
        assert metrics[f"{name}_min"] == pytest.approx(min(values), rel=1e-3)
        assert metrics[f"{name}_max"] == pytest.approx(max(values), rel=1e-3)
    assert "seeds" not in json.loads(Path("metrics/cnn4.json").read_text())
