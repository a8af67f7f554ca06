"""README and docs/: the figures in tables, and those in sentences, are what committed files say."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import yaml
from sandbox import ROOT
from scipy.stats import norm

from benchmarks import one_run
from privacy_report.attack import registry
from privacy_report.attack.audit import default_estimators
from privacy_report.gate.twins import twin_of
from privacy_report.pipeline import contract
from privacy_report.pipeline.tables import read_rows, where

README, DOCS = ROOT / "README.md", ROOT / "docs"
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def check_block(page: Path, name: str, expected: list[str]) -> None:
    """The table lines between <!-- name --> and <!-- /name --> are the expected ones."""
    block = page.read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert lines == expected, f"{page.name}, {name}, expected:\n" + "\n".join(expected)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table, a line a row."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


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
    return {name: one for name, one in PARAMS["variants"].items() if not one["canaries"]}


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

        epoch = found.get("recommended_epoch", "none")
        accuracies = f"{said('train_accuracy')} / {said('val_accuracy')}"
        found_members = f"{100 * found['tpr_at_1pct_fpr']:.1f}%" if "tpr_at_1pct_fpr" in found else "-"
        numbers = [said("auc"), said("advantage"), found_members]
        verdict = [found["verdict"], found["leak_detected"]]
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


def test_readmes_results_are_those_of_the_committed_run():
    check_block(README, "results", [*last_checkpoints(), *verdicts()])


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


NULLS = {
    "null noise": "nobody learns who its members are",
    "null permuted": "everybody does, the target's labels are by lot",
    "null cnn2_phi": "outputs of `cnn2`, labels by lot",
}


def test_reference_attacks_null_and_power_are_what_was_measured():
    found = json.loads((ROOT / "benchmarks/reference_calibration.json").read_text())
    assert {values["draws"] for values in found.values()} == {500}
    by_count: dict[tuple[str, str], list[dict]] = {}
    for key, values in sorted(found.items(), key=lambda item: int(item[0].split(", ")[1])):
        data, _, attack = key.split(", ")
        by_count.setdefault((data, attack), []).append(values)

    def all_of(rows: list[dict], name: str, form: str) -> str:
        return " / ".join(form.format(row[name]) for row in rows)

    null = [
        [said, attack, all_of(rows, "leaks", "{:.1%}"), all_of(rows, "auc_covered", "{:.1%}")]
        for data, said in NULLS.items()
        for (other, attack), rows in sorted(by_count.items())
        if other == data
    ]
    head = ["data", "attack", "leaks: yes, 2 / 4 / 8 / 16 references", "AUC interval covers 0.5"]
    check_block(DOCS / "statistics.md", "reference_null", table(head, null))
    power = [
        [
            data.removeprefix("power d="),
            attack,
            all_of(rows, "auc_mean", "{:.3f}"),
            f"{norm.cdf(float(data.removeprefix('power d=')) / math.sqrt(2)):.3f}",
            all_of(rows, "auc_covered", "{:.1%}"),
        ]
        for (data, attack), rows in sorted(by_count.items())
        if data.startswith("power")
    ]
    head = ["d", "attack", "mean AUC, 2 / 4 / 8 / 16 references", "optimum", "covers its own AUC"]
    check_block(DOCS / "statistics.md", "reference_power", table(head, power))
    shares = [values for key, values in found.items() if key.startswith("null")]
    assert max(values["leaks"] for values in shares) <= 0.07


def test_what_hours_of_references_buy_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/reference_cost.json").read_text())
    points = {
        (point["models"], point["epochs"]): point for point in found["points"] if point["way"] == "last"
    }
    counts, epochs = (sorted({key[i] for key in points}) for i in (0, 1))
    rows = [
        [str(n), *(f"{points[n, e]['tpr']:.2%} ({points[n, e]['hours']:.2f} h)" for e in epochs)]
        for n in counts
    ]
    rows += [
        [f"none: `{name}`", f"{free['tpr']:.2%}", *[""] * (len(epochs) - 1)]
        for name, free in found["free"].items()
    ]
    head = ["references", *(f"{epoch} epochs" for epoch in epochs)]
    check_block(DOCS / "stronger_attacks.md", "cost", table(head, rows))


def test_what_was_tried_on_the_targets_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/stronger_attacks.json").read_text())["targets"]
    rows = []
    for target in ("cnn2, 50", "cnn2, 20", "cnn3, 50", "cnn3, 20"):
        for name, values in sorted(found[target].items(), key=lambda item: -item[1]["auc"]["value"]):
            auc = "{value:.3f} ({low:.3f}-{high:.3f})".format(**values["auc"])
            tprs = [
                f"{values[c]['value']:.2%} ({100 * values[c]['low']:.2f}-{100 * values[c]['high']:.2f}%)"
                for c in contract.FPRS
            ]
            rows.append([target, name, auc, *tprs])
    head = ["target, epoch", "attack", "AUC", "found at 1% FPR", "found at 0.1% FPR"]
    check_block(DOCS / "stronger_attacks.md", "targets", table(head, rows))


def test_what_was_tried_on_fresh_references_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/stronger_attacks.json").read_text())
    rows = []
    for key, tried in found["left"].items():
        for name, values in tried.items():
            if values["auc"]["better"] == 0:
                continue  # the baseline
            gaps = [
                [100 * values[column][f"difference{end}"] for end in ("", "_low", "_high")]
                for column in contract.FPRS
            ]
            auc = [values["auc"][f"difference{end}"] for end in ("", "_low", "_high")]
            cells = ["{:+.4f} ({:+.4f} to {:+.4f})".format(*auc)]
            cells += ["{:+.2f} ({:+.2f} to {:+.2f})".format(*gap) for gap in gaps]
            rows.append([key.split(", ")[1], name, *cells])
    rows.sort(key=lambda row: (-int(row[0]), row[1]))
    head = ["epoch", "attack", "AUC", "found at 1% FPR", "found at 0.1% FPR"]
    check_block(DOCS / "stronger_attacks.md", "left", table(head, rows))
    gain = found["tried"]["20"]["logistic regression | and the run's"]["tpr_at_0p1pct_fpr"]
    said = "gained {:.2f} points ({:.2f}-{:.2f})".format(
        *(100 * gain[f"difference{end}"] for end in ("", "_low", "_high"))
    )
    assert said in (DOCS / "stronger_attacks.md").read_text()


def test_speed_table_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/results.json").read_text())["table"]
    rows = [
        [key, *(amount(row[name]) for name in ("reference", "ours", "ratio"))] for key, row in found.items()
    ]
    check_block(DOCS / "benchmarks.md", "speed", table(["", "reference", "ours", "ratio"], rows))


def test_the_memory_of_training_is_what_was_measured():
    found = json.loads((ROOT / "benchmarks/training_memory.json").read_text())
    peaks = [values["peak_mb"] for values in found.values()]
    assert max(peaks) <= 1.1 * min(peaks)
    rows = [
        [f"{int(n):,}", f"{int(n) * 3072 / 1e9:.2g} GB", f"{values['peak_mb']} MB"]
        for n, values in found.items()
    ]
    check_block(DOCS / "scale.md", "training_memory", table(["images", "file", "peak memory"], rows))


def test_sweep_table_is_what_was_measured():
    with open(ROOT / "benchmarks/dp_sweep.csv", newline="") as file:
        head, *rows = csv.reader(file)
    check_block(DOCS / "differential_privacy.md", "sweep", table(head, rows))


def test_the_simulations_of_the_one_run_bound_are_what_was_measured():
    rows = json.loads((ROOT / "benchmarks/one_run.json").read_text())["rows"]
    head = ["mechanism", "guesses", "bound above the truth", "by theory", "median bound", "by theory"]
    expected = table([*head, "older bound above the truth"], [one_run.cells(*row) for row in rows.items()])
    check_block(DOCS / "canaries.md", "one_run", expected)


def test_the_audits_of_a_broken_trainer_are_what_was_measured():
    found = json.loads((ROOT / "benchmarks/broken_trainer.json").read_text())
    lines = []
    for name, runs in found.items():
        bounds = sorted(run["epsilon_one_run"] for run in runs)
        rights = sorted(run["correct"] for run in runs)
        lines.append(
            [
                name,
                f"{sum(run['caught'] for run in runs)} of {len(runs)}",
                f"{rights[0]} to {rights[-1]} of {runs[0]['guesses']}",
                f"{bounds[0]:.2f} to {bounds[-1]:.2f}",
            ]
        )
    head = ["trainer", "caught", "guesses that are right", "epsilon at least (claimed: 1)"]
    check_block(DOCS / "canaries.md", "broken", table(head, lines))
    assert sum(run["caught"] for run in found["broken"]) >= 9
    assert sum(run["caught"] for run in found["sound"]) <= 1
    assert [len(runs) for runs in found.values()] == [10, 10]


def last_of(variant: str) -> tuple[dict, float]:
    """The row of the strongest attack at a variant's last checkpoint, and the epsilon claimed there."""
    rows = list(where(read_rows(ROOT / "plots/curves.csv"), variant=variant, attack=contract.STRONGEST))
    row = max(rows, key=lambda row: row["epoch"])
    training = where(read_rows(ROOT / "plots/training.csv"), variant=variant, epoch=row["epoch"])
    return row, next(training)["epsilon"]


def canaries_of(twin: str) -> dict:
    """The row on a twin's canaries of the attack with the highest AUC."""
    return max(where(read_rows(ROOT / "plots/canaries.csv"), variant=twin), key=lambda row: row["auc"])


def test_what_canaries_cost_and_find_is_what_was_measured():
    """Of the twins whose run is committed."""
    lines = []
    for name in PARAMS["variants"]:
        path = ROOT / f"metrics/{name}.json"
        if name in shippable() or not path.exists():
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
    assert f"an attacker finds {canaries} at 1% FPR, where of all members it is {members}" in text
