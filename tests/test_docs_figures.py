"""README and docs/: the figures in tables, and those in sentences, are what committed files say."""

from __future__ import annotations

import csv
import json
import math
import re

import pytest
import yaml
from doc_blocks import DOCS, README, check_block, table
from sandbox import ROOT

from benchmarks import edits, key_edits, makespan, on_paper, one_run, scale
from privacy_report.attack import registry
from privacy_report.audits.attacks import default_estimators
from privacy_report.gate.twins import twin_of
from privacy_report.gate.words import IN_A_WORD, KEEPS
from privacy_report.pipeline import contract
from privacy_report.pipeline.tables import read_rows, where

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def amount(value: float) -> str:
    """Seconds, MiB or a ratio as the tables show them."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def measured(row: dict, column: str, percent: bool = False) -> str:
    """A number with its 95% interval, "-" where there is none."""
    ends = [row.get(name, math.nan) for name in contract.with_ends(column)]
    if any(math.isnan(end) for end in ends):
        return "-"
    if percent:
        return "{:.1f}% ({:.1f}-{:.1f}%)".format(*(100 * end for end in ends))
    return "{:.3f} ({:.3f}-{:.3f})".format(*ends)


HOLDS = {
    "outputs only": (registry.OUTPUTS, registry.FEATURES),
    "outputs, early checkpoints": (registry.EARLY,),
    "outputs, reference models": (registry.REFERENCES,),
}
"""What the attacker holds, in the words of the README's table -> the registry's."""


def shippable() -> dict[str, dict]:
    """All variants but the audit twins."""
    return {name: one for name, one in PARAMS["variants"].items() if not one.get("canaries")}


def strongest_at(variant: str, epoch: int) -> dict:
    """The row of the attack with the highest AUC at a checkpoint."""
    rows = read_rows(ROOT / "plots/curves.csv")
    (row,) = where(rows, variant=variant, epoch=float(epoch), attack=contract.STRONGEST)
    return row


def last_checkpoints() -> list[str]:
    """The strongest attack (by AUC) of each kind at each variant's last checkpoint."""
    repeated = (contract.STRONGEST, contract.STRONGEST_ON_OUTPUTS)
    entire = [row for row in read_rows(ROOT / "plots/curves.csv") if row["attack"] not in repeated]
    lines = []
    for variant, settings in shippable().items():
        last = max(row["epoch"] for row in where(entire, variant=variant))
        rows = list(where(entire, variant=variant, epoch=last))
        accuracies = f"{rows[0]['accuracy']:.3f} / {rows[0]['val_accuracy']:.3f}"
        for words, needs in HOLDS.items():
            of_kind = [
                row
                for row in rows
                if row["attack"] != registry.PLACEBO
                and registry.find(row["attack"], registry.DEFAULT, default_estimators()).needs in needs
                and not math.isnan(row["auc"])
            ]
            best = max(of_kind, key=lambda row: row["auc"], default={})
            attack = f"`{best['attack']}`" if best else "-"
            numbers = [measured(best, "auc"), measured(best, "advantage")]
            numbers.append(measured(best, "tpr_at_1pct_fpr", percent=True))
            lines.append([f"{settings['label']}, {last:.0f}", accuracies, words, attack, *numbers])
    head = ["variant, epoch", "train / validation accuracy", "attacker holds", "strongest attack", "AUC"]
    return table([*head, "advantage", "members found at 1% FPR"], lines)


def verdicts() -> list[str]:
    """The gate's verdicts, as metrics/ has them."""
    lines = []
    for variant, settings in shippable().items():
        found = json.loads((ROOT / f"metrics/{variant}.json").read_text())

        def said(name: str, found: dict = found) -> str:
            return f"{found[name]:.3f}" if name in found else "-"

        epoch = found["epoch"] if found["verdict"] == IN_A_WORD[KEEPS] else "none"
        strongest = strongest_at(variant, found["epoch"])
        accuracies = f"{strongest['accuracy']:.3f} / {said('val_acc')}"
        found_members = f"{100 * found['tpr_1pct']:.1f}%" if "tpr_1pct" in found else "-"
        numbers = [f"{strongest['auc']:.3f}", said("advantage"), found_members]
        verdict = [found["verdict"], found["leak"]]
        lines.append([settings["label"], *verdict, str(epoch), accuracies, *numbers, said("epsilon")])
    head = [
        "variant",
        "verdict",
        "leak detected",
        "recommended epoch",
        "train / validation accuracy",
        "AUC",
        "advantage",
    ]
    return table([*head, "members found at 1% FPR", "epsilon claimed"], lines)


def in_short() -> list[str]:
    """A row a variant: the last checkpoint by its strongest attack, and the recommended one."""
    lines = []
    for variant, settings in shippable().items():
        row, _ = last_of(variant)
        found = json.loads((ROOT / f"metrics/{variant}.json").read_text())
        last = [f"{row['val_accuracy']:.3f}", f"{row['auc']:.3f}", f"{row['tpr_at_1pct_fpr']:.1%}"]
        auc = strongest_at(variant, found["epoch"])["auc"]
        chosen = [f"{found['val_acc']:.3f}", f"{auc:.3f}", f"{found['tpr_1pct']:.1%}"]
        first, second = (
            f"{epoch:.0f}: {' / '.join(numbers)}"
            for epoch, numbers in ((row["epoch"], last), (found["epoch"], chosen))
        )
        lines.append([settings["label"], first, second, found["leak"]])
    values = "accuracy / AUC / found at 1% FPR"
    return table(["variant", f"last epoch: {values}", f"recommended epoch: {values}", "leak there"], lines)


def test_results_are_those_of_the_committed_run():
    check_block(DOCS / "results.md", "results", [*last_checkpoints(), *verdicts()])
    check_block(README, "results", in_short())


def test_the_sentence_on_leaks_is_true_of_the_committed_run():
    """And four of six variants have no audit twin with canaries that are examples."""
    leaks = {name: json.loads((ROOT / f"metrics/{name}.json").read_text())["leak"] for name in shippable()}
    assert leaks == {name: "no" if name == "cnn3_dp" else "yes" for name in shippable()}
    found = [json.loads((ROOT / f"metrics/{name}.json").read_text()) for name in shippable()]
    assert sum(one["verdict"] == "passes" and one["leak"] == "yes" for one in found) == 5
    assert "five of six do" in (DOCS / "checklists.md").read_text()
    without = [name for name in shippable() if twin_of(name, PARAMS["variants"]) is None]
    assert without == ["cnn3", "cnn3_augment", "residual", "scatter_dp"]
    said = (
        "At the recommended checkpoints, a leak was detected in all variants except for `cnn3_dp`, whose "
        "epsilon is void against whoever reads its committed seed"
    )
    assert PARAMS["variants"]["cnn3_dp"]["privacy"]["seed"] == "committed"
    for page in (README, DOCS / "results.md"):
        assert said in " ".join(page.read_text().split())


def test_where_else_the_private_variant_leaks_is_what_the_attacks_found():
    if not (path := ROOT / "plots/privacy.csv").exists():
        pytest.skip("plots/privacy.csv is in DVC's cache")
    rows = where(read_rows(path), variant="cnn3_dp", attack="rmia", slice=contract.ENTIRE, leaks="yes")
    epochs = " and ".join(f"{row['epoch']:.0f}" for row in rows)
    text = " ".join((DOCS / "results.md").read_text().split())
    assert f"At epochs {epochs} of `cnn3_dp`, `rmia` detected one" in text


def test_the_share_of_null_audits_that_detect_a_leak_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/calibration.json").read_text())["audits"]
    rows = [
        ["all attacks and slices", f"{found['leak_detected']:.1%}"],
        [
            "the slices of one attack, for comparison",
            f"{found['leak_detected_by_families_of_an_attack']:.1%}",
        ],
    ]
    said = table(["Holm's correction over", f'"yes" in {found["audits"]:,} audits'], rows)
    check_block(DOCS / "statistics.md", "audits", said)


def test_the_share_of_wrong_names_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/names.json").read_text())["rows"]
    rows = []
    for setting in dict.fromkeys(row["setting"] for row in found):
        for share in dict.fromkeys(row["share"] for row in found):
            here = list(where(found, setting=setting, share=share))
            assert max(row["standard_error"] for row in here) <= 0.001
            assert all(row["draws"] == 2000 for row in here)
            wrong = [f"{row['false_discovery_rate']:.1%}" for row in here]
            rows.append([setting, f"{share:g}", *wrong, *(f"{row['members_named']:.0f}" for row in here)])
    head = ["members", "share of members", "wrong at one in ten", "wrong at one in a hundred"]
    said = table([*head, "members named at one in ten", "at one in a hundred"], rows)
    check_block(DOCS / "statistics.md", "names", said)


def test_the_intervals_of_persons_are_as_often_wrong_as_was_measured():
    found = json.loads((ROOT / "benchmarks/persons.json").read_text())
    assert all(row["draws"] == 4000 for row in found)
    rows, text = [], (DOCS / "statistics.md").read_text()
    for row in found:
        if row["kind"] != "rows, naive":
            assert abs(row["false_alarms"] - 0.05) <= 0.015
            assert 0.93 <= row["coverage"] <= 0.97
        shares = [f"{row[name]:.1%}" for name in ("false_alarms", "coverage")]
        rows.append([f"{row['correlation']:g}", row["kind"], *shares, f"{row['half_width']:.3f}"])
    head = ["correlation", "interval", "false alarms where nothing leaks", "coverage of a leak", "half width"]
    check_block(DOCS / "statistics.md", "persons", table(head, rows))
    declared = max(row["leaks_declared"] for row in found if row["kind"] == "persons")
    assert f'the test of a leak says "yes" of persons in at most {declared:.1%} of the draws' in " ".join(
        text.split()
    )


def test_power_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/calibration.json").read_text())
    rows = []
    for key, values in found.items():
        if power := re.fullmatch(r"power d=([\d.]+), (\w+), (\w+)", key):
            shift, mode, attack = power.groups()
            auc = f"{values['auc_mean']:.3f} ({values['auc_sd']:.3f})"
            shares = ("auc_covered", "own_auc_covered", "default_keeps_up")
            numbers = [f"{values[name]:.1%}" if name in values else "" for name in shares]
            rows.append([shift, f"{mode}, {attack}", str(values["draws"]), auc, *numbers])
    head = ["d", "mode, attack", "draws", "mean AUC (sd)", "covers Phi(d / sqrt 2)", "covers its own AUC"]
    check_block(DOCS / "statistics.md", "power", table([*head, "default's upper end reaches it"], rows))


def test_speed_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/results.json").read_text())["table"]
    rows = [
        [key, *(amount(row[name]) for name in ("reference", "ours", "ratio"))] for key, row in found.items()
    ]
    check_block(DOCS / "benchmarks.md", "speed", table(["", "reference", "ours", "ratio"], rows))


def test_the_range_of_an_epoch_is_what_was_measured():
    rounds = json.loads((ROOT / "benchmarks/results.json").read_text())["rounds"]
    found = {
        way: [one[f"{way} {variant}"]["epoch"] for one in rounds for variant in ("cnn2", "cnn3")]
        for way in ("reference", "ours")
    }
    (lo, hi), (our_lo, our_hi) = ((min(values), max(values)) for values in found.values())
    said = f"from {lo:.1f} to {hi:.1f} s in the three rounds, ours from {our_lo:.1f} to {our_hi:.1f} s"
    assert said in (DOCS / "benchmarks.md").read_text()


def test_the_memory_of_training_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/training_memory.json").read_text())
    peaks = [values["peak_mb"] for values in found.values()]
    assert max(peaks) <= 1.1 * min(peaks)
    rows = [
        [f"{int(n):,}", f"{int(n) * 3072 / 1e9:.2g} GB", f"{values['peak_mb']} MB"]
        for n, values in found.items()
    ]
    check_block(DOCS / "scale.md", "training_memory", table(["images", "file", "peak memory"], rows))


def test_what_edits_cost_is_what_was_measured():
    found = {row["edit"]: row for row in json.loads((ROOT / "benchmarks/edits.json").read_text())}
    assert list(found) == [edits.FIRST, *(edit.what for edit in (*edits.NOTHING, *edits.SOMETHING))]
    assert not any(found[edit.what]["computed"] for edit in edits.NOTHING)
    assert all(found[edit.what]["computed"] for edit in edits.SOMETHING)
    rows = [edits.words(row) for row in found.values()]
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
    assert [(one["work"], one["axis"], tuple(one["sizes"])) for one in curves] == list(scale.CURVES)
    assert all(one["exponent"] <= 1.1 for one in curves if one["axis"] == "examples")
    head = ["work", "by", "CPU seconds (peak memory, MB)", "exponent"]
    check_block(DOCS / "benchmarks.md", "scale", table(head, [scale.words(one) for one in curves]))


def test_the_study_on_paper_is_what_is_computed():
    check_block(DOCS / "scale.md", "on paper", on_paper.table().splitlines())


def test_the_makespan_of_the_study_is_what_the_engine_took():
    found = json.loads((ROOT / "benchmarks/makespan.json").read_text())
    tasks = sum(len(one["seconds"]) for one in found["models"].values())
    assert f"({len(found['models'])} models, {tasks} tasks)" in (DOCS / "scale.md").read_text()
    head = ["workers", "engine", "least possible", "`Model.fit`"]
    check_block(DOCS / "scale.md", "makespan", table(head, makespan.table(found)))


def test_the_speed_up_of_two_cores_says_that_of_many():
    assert makespan.amdahl(10.0, 5.0, 10) == 0.1
    assert makespan.amdahl(10.0, 10.0, 10) == 1.0
    assert makespan.amdahl(10.0, 7.5, 2) == 0.75


def test_many_workers_are_what_was_simulated():
    found = json.loads((ROOT / "benchmarks/cluster.json").read_text())
    text = " ".join((DOCS / "scale.md").read_text().split())
    said = (
        f"With {found['workers']:,} workers and {found['tasks']:,} tasks of 8 seconds on average, "
        f"all done after {found['wall_seconds']:.0f} s, where {found['ideal_seconds']:.0f} s was the least "
        f"possible: {found['cpu_ms_a_task']:.1f} ms of CPU per task, workers and client included; "
        f"{found['lost_share']:.1%} of the work was lost and done again"
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
    found = json.loads((ROOT / "benchmarks/one_run.json").read_text())
    head = ["mu", "canaries", "guesses", "true epsilon", "Steinke et al.", "Gaussian trade-off"]
    rows = [one_run.shared_cells(row) for row in found["shared_loss"]]
    check_block(DOCS / "canaries.md", "shared", table([*head, "losses independent"], rows))
    said = f"{found['best_of_many']['largest']:.0%} of {found['best_of_many']['draws']:,} draws"
    assert said in " ".join((DOCS / "canaries.md").read_text().split())


def last_of(variant: str) -> tuple[dict, float]:
    """The row of the strongest attack at a variant's last checkpoint, and the epsilon claimed there."""
    rows = list(where(read_rows(ROOT / "plots/curves.csv"), variant=variant, attack=contract.STRONGEST))
    row = max(rows, key=lambda row: row["epoch"])
    training = where(read_rows(ROOT / "plots/training.csv"), variant=variant, epoch=row["epoch"])
    return row, next(training)["epsilon"]


def canaries_of(twin: str) -> dict:
    """The row on a twin's canaries of the attack with the highest AUC."""
    rows = where(read_rows(ROOT / "plots/canaries.csv"), variant=twin)
    return max(rows, key=lambda row: -math.inf if math.isnan(row["auc"]) else row["auc"])


def test_what_canaries_cost_and_find_is_what_was_measured():
    """Of the twins whose run is committed, and whose canaries are examples."""
    lines = []
    for name in PARAMS["variants"]:
        path = ROOT / f"metrics/{name}.json"
        if name in shippable() or not path.exists() or twin_of(name, PARAMS["variants"]) is None:
            continue
        plain = twin_of_plain(name)
        found, (row, claimed) = canaries_of(name), last_of(name)
        tprs = [measured(one, "tpr_at_1pct_fpr", percent=True) for one in (row, found)]
        lines.append(
            [
                f"{PARAMS['variants'][plain]['label']}, {row['epoch']:.0f}",
                f"{last_of(plain)[0]['val_accuracy']:.3f} / {row['val_accuracy']:.3f}",
                f"{row['auc']:.3f} / {found['auc']:.3f}",
                " / ".join(tprs),
                f"{found['epsilon_one_run']:.2f} ({found['epsilon_ceiling']:.2f})",
                "-" if math.isnan(claimed) else f"{claimed:.2f}",
            ]
        )
    head = ["variant, epoch", "validation accuracy without / with canaries", "AUC, average / canaries"]
    head += ["found at 1% FPR, average / canaries", "epsilon at least, one run (ceiling)", "epsilon claimed"]
    check_block(DOCS / "canaries.md", "twins", table(head, lines))


def twin_of_plain(twin: str) -> str:
    """The variant that a committed twin is of."""
    return next(name for name in shippable() if twin_of(name, PARAMS["variants"]) == twin)


def test_readme_says_what_averages_hide():
    found = canaries_of("cnn2_canary")
    ends = [100 * found[name] for name in contract.with_ends("tpr_at_1pct_fpr")]
    canaries = "{:.0f}% ({:.0f}-{:.0f}%)".format(*ends)
    members = f"{100 * last_of('cnn2_canary')[0]['tpr_at_1pct_fpr']:.0f}%"
    text = " ".join(README.read_text().split())
    said = f"an attacker finds {canaries} of mislabelled [canaries](docs/canaries.md), but {members} of all"
    assert said in text
