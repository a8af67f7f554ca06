"""docs/: what was measured on attacks with reference models is what committed files say."""

from __future__ import annotations

import json
import math

from doc_blocks import DOCS, check_block, table
from sandbox import ROOT
from scipy.stats import norm

from privacy_report.pipeline import contract

NULLS = {
    "null noise": "nobody learns who its members are",
    "null permuted": "everybody does, the target's labels are random",
    "null cnn2_phi": "outputs of `cnn2`, labels at random",
}


def test_reference_attacks_null_and_power_are_what_was_measured():
    results = json.loads((ROOT / "benchmarks/reference_calibration.json").read_text())
    assert {values["draws"] for values in results.values()} == {500}
    by_count: dict[tuple[str, str], list[dict]] = {}
    for key, values in sorted(results.items(), key=lambda item: int(item[0].split(", ")[1])):
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
    shares = [values for key, values in results.items() if key.startswith("null")]
    assert max(values["leaks"] for values in shares) <= 0.07


def test_what_hours_of_references_buy_is_what_was_measured():
    results = json.loads((ROOT / "benchmarks/reference_cost.json").read_text())
    points = {
        (point["models"], point["epochs"]): point for point in results["points"] if point["way"] == "last"
    }
    counts, epochs = (sorted({key[i] for key in points}) for i in (0, 1))
    rows = [
        [str(n), *(f"{points[n, e]['tpr']:.2%} ({points[n, e]['hours']:.2f} h)" for e in epochs)]
        for n in counts
    ]
    rows += [
        [f"none: `{name}`", f"{free['tpr']:.2%}", *[""] * (len(epochs) - 1)]
        for name, free in results["free"].items()
    ]
    head = ["references", *(f"{epoch} epochs" for epoch in epochs)]
    check_block(DOCS / "stronger_attacks.md", "cost", table(head, rows))


def test_what_was_tried_on_the_targets_is_what_was_measured():
    targets = json.loads((ROOT / "benchmarks/stronger_attacks.json").read_text())["targets"]
    rows = []
    for target in ("cnn2, 50", "cnn2, 20", "cnn3, 50", "cnn3, 20"):
        for name, values in sorted(targets[target].items(), key=lambda item: -item[1]["auc"]["value"]):
            auc = "{value:.3f} ({low:.3f}-{high:.3f})".format(**values["auc"])
            tprs = [
                f"{values[c]['value']:.2%} ({100 * values[c]['low']:.2f}-{100 * values[c]['high']:.2f}%)"
                for c in contract.FPRS
            ]
            rows.append([target, name, auc, *tprs])
    head = ["target, epoch", "attack", "AUC", "found at 1% FPR", "found at 0.1% FPR"]
    check_block(DOCS / "stronger_attacks.md", "targets", table(head, rows))


def test_what_was_tried_on_fresh_references_is_what_was_measured():
    results = json.loads((ROOT / "benchmarks/stronger_attacks.json").read_text())
    rows = []
    for key, tried in results["left"].items():
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
    gain = results["tried"]["20"]["logistic regression | and the run's"]["tpr_at_0p1pct_fpr"]
    said = "gained {:.2f} points ({:.2f}-{:.2f})".format(
        *(100 * gain[f"difference{end}"] for end in ("", "_low", "_high"))
    )
    assert said in (DOCS / "stronger_attacks.md").read_text()
