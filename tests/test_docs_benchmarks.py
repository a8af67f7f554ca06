"""docs/: what is said of the benchmarks, in tables and in sentences, is what their committed files say."""

from __future__ import annotations

import csv
import json
import re

import yaml
from doc_blocks import DOCS, check_block, table
from sandbox import ROOT

from benchmarks import edits, key_edits, makespan, on_paper, one_run, scale, whole_codelab
from privacy_report.pipeline.tables import where


def amount(value: float) -> str:
    """Seconds, MiB or a ratio as the tables show them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def test_the_share_of_null_audits_that_detect_a_leak_is_what_was_measured():
    summary = json.loads((ROOT / "benchmarks/calibration.json").read_text())["audits"]
    rows = [
        ["all attacks and slices", f"{summary['leak_detected']:.1%}"],
        [
            "the slices of one attack, for comparison",
            f"{summary['leak_detected_by_families_of_an_attack']:.1%}",
        ],
    ]
    said = table(["Holm's correction over", f'"yes" in {summary["audits"]:,} audits'], rows)
    check_block(DOCS / "statistics.md", "audits", said)


def test_the_share_of_wrong_names_is_what_was_measured():
    measured = json.loads((ROOT / "benchmarks/names.json").read_text())["rows"]
    rows = []
    for setting in dict.fromkeys(row["setting"] for row in measured):
        for share in dict.fromkeys(row["share"] for row in measured):
            here = list(where(measured, setting=setting, share=share))
            assert max(row["standard_error"] for row in here) <= 0.001
            assert all(row["draws"] == 2000 for row in here)
            wrong = [f"{row['false_discovery_rate']:.1%}" for row in here]
            rows.append([setting, f"{share:g}", *wrong, *(f"{row['members_named']:.0f}" for row in here)])
    head = ["members", "share of members", "wrong at one in ten", "wrong at one in a hundred"]
    said = table([*head, "members named at one in ten", "at one in a hundred"], rows)
    check_block(DOCS / "statistics.md", "names", said)


def test_the_intervals_of_persons_are_as_often_wrong_as_was_measured():
    measured = json.loads((ROOT / "benchmarks/persons.json").read_text())
    assert all(row["draws"] == 4000 for row in measured)
    rows, text = [], (DOCS / "statistics.md").read_text()
    for row in measured:
        if row["kind"] != "rows, naive":
            assert abs(row["false_alarms"] - 0.05) <= 0.015
            assert 0.93 <= row["coverage"] <= 0.97
        shares = [f"{row[name]:.1%}" for name in ("false_alarms", "coverage")]
        rows.append([f"{row['correlation']:g}", row["kind"], *shares, f"{row['half_width']:.3f}"])
    head = ["correlation", "interval", "false alarms where nothing leaks", "coverage of a leak", "half width"]
    check_block(DOCS / "statistics.md", "persons", table(head, rows))
    declared = max(row["leaks_declared"] for row in measured if row["kind"] == "persons")
    assert f'the test of a leak says "yes" of persons in at most {declared:.1%} of the draws' in " ".join(
        text.split()
    )


def test_the_table_of_unequally_many_rows_is_what_was_measured():
    measured = json.loads((ROOT / "benchmarks/persons_unequal.json").read_text())
    rows = [
        [str(row["persons"]), f"{row['effective']:.0f}", f"{row['false_alarms']:.1%}"] for row in measured
    ]
    head = ["persons on each side", "count as", "intervals that exclude 0.5"]
    check_block(DOCS / "statistics.md", "persons unequal", table(head, rows))
    assert all(row["draws"] == 4000 for row in measured)


def test_power_table_is_what_was_measured():
    calibration = json.loads((ROOT / "benchmarks/calibration.json").read_text())
    rows = []
    for key, values in calibration.items():
        if power := re.fullmatch(r"power d=([\d.]+), (\w+), (\w+)", key):
            shift, mode, attack = power.groups()
            auc = f"{values['auc_mean']:.3f} ({values['auc_sd']:.3f})"
            shares = ("auc_covered", "own_auc_covered", "default_keeps_up")
            numbers = [f"{values[name]:.1%}" if name in values else "" for name in shares]
            rows.append([shift, f"{mode}, {attack}", str(values["draws"]), auc, *numbers])
    head = ["d", "mode, attack", "draws", "mean AUC (sd)", "covers Phi(d / sqrt 2)", "covers its own AUC"]
    check_block(DOCS / "statistics.md", "power", table([*head, "default's upper end reaches it"], rows))


def test_speed_table_is_what_was_measured():
    speeds = json.loads((ROOT / "benchmarks/results.json").read_text())["table"]
    rows = [
        [key, *(amount(row[name]) for name in ("reference", "ours", "ratio"))] for key, row in speeds.items()
    ]
    check_block(DOCS / "benchmarks.md", "speed", table(["", "reference", "ours", "ratio"], rows))


def test_the_codelab_is_cut_out_of_the_committed_configuration():
    cut = {
        path: yaml.safe_load(whole_codelab.cut((ROOT / path).read_text(), changes))
        for path, changes in whole_codelab.CUT.items()
    }
    assert {"variant": ["cnn2", "cnn3"]} in cut["conf/config.yaml"]["defaults"]
    assert cut["conf/attack/default.yaml"]["attacks"] == ["threshold", "logistic"]
    assert cut["conf/attack/default.yaml"]["released"] == []
    reference = cut["conf/reference/default.yaml"]
    assert (reference["models"], reference["per_variant"]) == (0, {})


def test_the_range_of_an_epoch_is_what_was_measured():
    results = json.loads((ROOT / "benchmarks/results.json").read_text())
    rounds = results["rounds"]
    assert f"It used {results['whole']['cores']:.2f} cores." in (DOCS / "benchmarks.md").read_text()
    seconds = {
        way: [timings[f"{way} {variant}"]["epoch"] for timings in rounds for variant in ("cnn2", "cnn3")]
        for way in ("reference", "ours")
    }
    (lo, hi), (our_lo, our_hi) = ((min(values), max(values)) for values in seconds.values())
    said = f"from {lo:.1f} to {hi:.1f} s in the three rounds, ours from {our_lo:.1f} to {our_hi:.1f} s"
    assert said in (DOCS / "benchmarks.md").read_text()


def test_the_memory_of_training_is_what_was_measured():
    by_size = json.loads((ROOT / "benchmarks/training_memory.json").read_text())
    peaks = [values["peak_mb"] for values in by_size.values()]
    assert max(peaks) <= 1.1 * min(peaks)
    rows = [
        [f"{int(n):,}", f"{int(n) * 3072 / 1e9:.2g} GB", f"{values['peak_mb']} MB"]
        for n, values in by_size.items()
    ]
    check_block(DOCS / "scale.md", "training_memory", table(["images", "file", "peak memory"], rows))


def test_what_edits_cost_is_what_was_measured():
    costs = {row["edit"]: row for row in json.loads((ROOT / "benchmarks/edits.json").read_text())}
    assert list(costs) == [edits.FIRST, *(edit.what for edit in (*edits.NOTHING, *edits.SOMETHING))]
    assert not any(costs[edit.what]["computed"] for edit in edits.NOTHING)
    assert all(costs[edit.what]["computed"] for edit in edits.SOMETHING)
    rows = [edits.words(row) for row in costs.values()]
    check_block(DOCS / "development.md", "edits", table(["edit", "stages that run", "computed", "s"], rows))


def test_edits_as_text_are_those_that_were_tried():
    rows = json.loads((ROOT / "benchmarks/key_edits.json").read_text())
    library, nets = len(key_edits.LIBRARY), len(key_edits.NETS)
    assert len(rows) == len(key_edits.NOTHING) + library + nets
    key_edits.require_sound(rows)
    assert f"{library} edits of the library and {nets} of models" in (DOCS / "development.md").read_text()
    assert f"each of {library + nets} edits" in (DOCS / "benchmarks.md").read_text()


def test_the_curves_of_cost_are_what_was_measured():
    curves = json.loads((ROOT / "benchmarks/scale.json").read_text())["curves"]
    assert [(curve["work"], curve["axis"], tuple(curve["sizes"])) for curve in curves] == list(scale.CURVES)
    assert all(curve["exponent"] <= 1.1 for curve in curves if curve["axis"] == "examples")
    head = ["work", "by", "CPU seconds (peak memory, MB)", "exponent"]
    check_block(DOCS / "benchmarks.md", "scale", table(head, [scale.words(curve) for curve in curves]))


def test_the_study_on_paper_is_what_is_computed():
    check_block(DOCS / "scale.md", "on paper", on_paper.table().splitlines())


def test_the_makespan_of_the_study_is_what_the_engine_took():
    results = json.loads((ROOT / "benchmarks/makespan.json").read_text())
    tasks = sum(len(model["seconds"]) for model in results["models"].values())
    text = " ".join((DOCS / "scale.md").read_text().split())
    assert f"({len(results['models'])} models, {tasks} tasks)" in text
    head = ["workers", "engine", "least possible", "`Model.fit`"]
    rows = makespan.table(results)
    check_block(DOCS / "scale.md", "makespan", table(head, rows))
    assert all("-" not in row for row in rows)
    one, two = (results["model_fit"][cores] for cores in "12")
    assert f"an epoch of `cnn2` took {one:.1f} s on one and {two:.1f} s on two" in text


def test_the_speed_up_of_two_cores_says_that_of_many():
    assert makespan.amdahl(10.0, 5.0, 10) == 0.1
    assert makespan.amdahl(10.0, 10.0, 10) == 1.0
    assert makespan.amdahl(10.0, 7.5, 2) == 0.75


def test_many_workers_are_what_was_simulated():
    record = json.loads((ROOT / "benchmarks/cluster.json").read_text())
    text = " ".join((DOCS / "scale.md").read_text().split())
    said = (
        f"With {record['workers']:,} workers and {record['tasks']:,} tasks of 8 seconds on average, "
        f"all done after {record['wall_seconds']:.0f} s, where {record['ideal_seconds']:.0f} s was the least "
        f"possible: {record['cpu_ms_a_task']:.1f} ms of CPU per task, workers and client included; "
        f"{record['lost_share']:.1%} of the work was lost and done again"
    )
    assert said in text, said


def test_sweep_table_is_what_was_measured():
    with open(ROOT / "benchmarks/dp_sweep.csv", newline="") as file:
        head, *rows = csv.reader(file)
    check_block(DOCS / "differential_privacy.md", "sweep", table(head, rows))


def test_the_simulations_of_the_one_run_bound_are_what_was_measured():
    rows = json.loads((ROOT / "benchmarks/one_run.json").read_text())["rows"]
    head = ["mechanism", "guesses", "bound above the truth", "by theory", "median bound", "by theory"]
    expected = table([*head, "older bound above the truth"], [one_run.cells(*row) for row in rows.items()])
    check_block(DOCS / "canaries.md", "one_run", expected)


def test_the_bounds_of_canaries_that_share_a_loss_are_what_was_measured():
    results = json.loads((ROOT / "benchmarks/one_run.json").read_text())
    head = ["mu", "canaries", "guesses", "true epsilon", "Steinke et al.", "Gaussian trade-off"]
    rows = [one_run.shared_cells(row) for row in results["shared_loss"]]
    check_block(DOCS / "canaries.md", "shared", table([*head, "losses independent"], rows))
    said = f"{results['best_of_many']['largest']:.0%} of {results['best_of_many']['draws']:,} draws"
    assert said in " ".join((DOCS / "canaries.md").read_text().split())
