"""docs/: what was measured on attacks on less than logits is what benchmarks/labels.json says."""

from __future__ import annotations

import json
import math

from doc_blocks import DOCS, check_block, table
from sandbox import ROOT
from scipy.stats import norm
from test_docs_references import NULLS

from benchmarks.stronger_attacks import BASELINE
from privacy_report.attack.slices import load_excluded
from privacy_report.pipeline import contract

FOUND = json.loads((ROOT / "benchmarks/labels.json").read_text())


def interval(row: dict, column: str, percent: bool) -> str:
    value, low, high = (row[name] for name in contract.with_ends(column))
    if percent:
        return f"{100 * value:.2f}% ({100 * low:.2f}-{100 * high:.2f}%)"
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def test_what_is_found_of_each_release_is_what_was_measured():
    rows = []
    for target, releases in FOUND["released"].items():
        for row in releases:
            assert row["named_at_10pct_fdr_floor"] == 120
            cells = [interval(row, "auc", False)]
            cells += [interval(row, column, True) for column in contract.FPRS]
            named = f"{row['named_at_10pct_fdr']:,.0f}"
            rows.append([target, f"`{row['released']}`", f"`{row['attack']}`", *cells, named])
    head = ["variant, epoch", "released", "attack", "AUC", "found at 1% FPR", "found at 0.1% FPR", "named"]
    check_block(DOCS / "attacks.md", "released", table(head, rows))


def test_the_sentence_on_labels_is_true_of_cnn2():
    rows = {row["attack"]: row for row in FOUND["released"]["cnn2, 50"]}
    labels, logits = rows["label_reference_offline"], rows["rmia"]
    assert f"{labels['tpr_at_1pct_fpr']:.1%}" == "6.4%"
    assert f"{labels['tpr_at_0p1pct_fpr']:.1%}" == "1.3%"
    assert labels["tpr_at_1pct_fpr"] > logits["tpr_at_1pct_fpr"]


def test_what_labels_add_to_rmia_is_what_was_measured():
    rows = []
    for key, tried in FOUND["recipe"].items():
        for name, values in tried.items():
            means = [values[column]["mean"] for column in contract.FPRS]
            cells = [f"{values['auc']['mean']:.3f}", *(f"{100 * mean:.2f}%" for mean in means)]
            gaps = [
                [100 * values[column][f"difference{end}"] for end in ("", "_low", "_high")]
                for column in contract.FPRS
            ]
            gaps_said = ["{:+.2f} ({:+.2f} to {:+.2f})".format(*gap) for gap in gaps]
            rows.append([key, name, *cells, *(["", ""] if name == BASELINE else gaps_said)])
    head = ["variant, epoch", "attack", "AUC", "at 1% FPR", "at 0.1% FPR"]
    head += ["difference at 1%", "difference at 0.1%"]
    check_block(DOCS / "attacks.md", "label_recipe", table(head, rows))
    said = [
        f"{100 * FOUND['recipe']['cnn2, 20'][name][column]['mean']:.2f}%"
        for name in ("labels: one-sided", BASELINE)
        for column in contract.FPRS
    ]
    assert said == ["4.35%", "0.97%", "5.19%", "1.15%"]
    assert not any(
        values[column]["difference_low"] > 0
        for tried in FOUND["recipe"].values()
        for values in tried.values()
        for column in contract.FPRS
    )


def by_count() -> dict[tuple[str, str], list[dict]]:
    groups: dict[tuple[str, str], list[dict]] = {}
    for key, values in sorted(FOUND["calibration"].items(), key=lambda item: int(item[0].split(", ")[1])):
        data, _, attack = key.split(", ")
        groups.setdefault((data, attack), []).append(values)
    return groups


def test_attacks_on_labels_are_as_honest_as_was_measured():
    assert {values["draws"] for values in FOUND["calibration"].values()} == {500}

    def all_of(rows: list[dict], name: str, form: str) -> str:
        return " / ".join(form.format(row[name]) for row in rows)

    null, power = [], []
    for (data, attack), rows in sorted(by_count().items()):
        covered = all_of(rows, "auc_covered", "{:.1%}")
        if data in NULLS:
            assert max(row["leaks"] for row in rows) <= 0.074
            null.append([NULLS[data], attack, all_of(rows, "leaks", "{:.1%}"), covered])
        else:
            gap = data.removeprefix("power d=")
            optimum = f"{norm.cdf(float(gap) / math.sqrt(2)):.3f}"
            power.append([gap, attack, all_of(rows, "auc_mean", "{:.3f}"), optimum, covered])
    head = ["data", "attack", "leaks: yes, 2 / 4 / 8 / 16 references", "AUC interval covers 0.5"]
    check_block(DOCS / "statistics.md", "label_null", table(head, null))
    head = ["d", "attack", "mean AUC, 2 / 4 / 8 / 16 references", "of all outputs", "covers its own AUC"]
    check_block(DOCS / "statistics.md", "label_power", table(head, power))


def test_what_near_duplicates_change_is_what_was_measured():
    results = json.loads((ROOT / "benchmarks/near_duplicates.json").read_text())
    assert (results["excluded"], results["top"]) == (286, 10)
    rows = []
    for variant, target in results["targets"].items():
        for attack in ("threshold", "rmia"):
            for key, said in (("all", "all"), ("without", "without the list")):
                row = target[attack][key]
                cells = [interval(row, "auc", False), *(interval(row, c, True) for c in contract.FPRS)]
                of_ten = str(target[attack]["top_excluded"]) if key == "all" else ""
                rows.append([f"{variant}, {target['epoch']}", f"`{attack}`", said, *cells, of_ten])
            rise = target[attack]["without"]["auc"] - target[attack]["all"]["auc"]
            assert 0 < rise < 0.01
    head = ["variant, epoch", "attack", "non-members", "AUC", "found at 1% FPR", "found at 0.1% FPR"]
    head.append("of the ten highest non-members on the list")
    check_block(DOCS / "data.md", "near_duplicates", table(head, rows))


def test_no_detector_of_near_duplicates_finds_enough_and_the_table_says_so():
    results = json.loads((ROOT / "benchmarks/duplicate_detectors.json").read_text())
    assert (results["flagged"], results["wanted"], results["candidates"]) == (0.03, 0.85, 20)
    rows = []
    for name, row in sorted(results["detectors"].items(), key=lambda item: -item[1]["near"]["hits"]):
        assert row["near"]["recall"] < results["wanted"]
        cells = [
            "{recall:.1%} ({recall_low:.1%}-{recall_high:.1%})".format(**row[kind])
            for kind in ("near", "all")
        ]
        needed = f"{row['flags_for_wanted'] / results['n_test']:.1%}"
        rows.append([name, *cells, needed, f"{row['cpu_s']:.0f}"])
    head = ["detector", "of the 249, at 3%", "of all 286, at 3%", "flagged for 85% of the 249", "CPU seconds"]
    check_block(DOCS / "data.md", "duplicate_detectors", table(head, rows))


def test_what_was_judged_by_eye_is_what_the_page_says():
    text = (ROOT / "benchmarks/duplicates_by_eye.csv").read_text()
    pairs = [line.split(",") for line in text.splitlines() if not line.startswith("#")][1:]
    flagged = [judged for drawn, _, _, judged in pairs if drawn == "flagged"]
    assert (len(flagged), flagged.count("near"), flagged.count("similar")) == (40, 34, 4)
    listed = set(load_excluded(ROOT / "conf/groups/cifar10_near_duplicates.csv").tolist())
    assert all((int(index) in listed) == drawn.startswith("listed") for drawn, index, _, _ in pairs)
    said = (DOCS / "data.md").read_text()
    assert "Of 40 test images" in said
    assert "34 are of the same shot as the training image and 4 more are very similar" in said
