"""The rows of the first screen, and what the views are made of, against the tables they come from."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from privacy_report.gate.words import KEEPS
from privacy_report.pipeline.contract import CANARIES, ENTIRE, PRIVACY_COLUMNS
from privacy_report.pipeline.measured import NAMES
from privacy_report.pipeline.tables import read_rows, write_table
from privacy_report.report import explore, rows
from privacy_report.report.recommendation import recommendation
from privacy_report.report.rows import FOUND, first_screen, pill
from privacy_report.report.study import Study
from privacy_report.report.study_files import merge
from privacy_report.report.style import Look
from privacy_report.report.summary import lines


def merged(root: Path) -> Study:
    study = Study(root)
    merge("privacy", study.labels)
    return study


def screen(study: Study) -> dict[str, rows.Line]:
    return {row.name: row for row in first_screen(study, dict.fromkeys(study.labels, "#111111"))}


def test_a_row_has_the_numbers_of_all_examples_and_says_those_of_the_half_that_confirms(study):
    merged_study = merged(study(epochs=10, dp=("cnn3_dp",)))
    for name, row in screen(merged_study).items():
        verdict = merged_study.verdict(name)
        epoch, confirmed = verdict["recommended_epoch"], verdict["on_report_half"]
        assert (row.epoch, row.which) == (epoch, "recommended")
        best = max(merged_study.entire[name, epoch], key=lambda measured: measured["advantage"])
        assert row.accuracy == best["val_accuracy"]
        bar = row.bars["advantage"]
        assert bar.value == best["advantage"]
        assert bar.text == f"{best['advantage']:.3f}"
        assert bar.interval == f"{best['advantage_low']:.3f} to {best['advantage_high']:.3f}"
        assert bar.limit == 0.1
        low, high = confirmed["advantage_low"], confirmed["advantage_high"]
        assert f"advantage {confirmed['advantage']:.3f} ({low:.3f} to {high:.3f})" in row.half
        assert row.half.startswith(f"accuracy {confirmed['val_accuracy']:.3f}, ")


def test_bars_of_a_column_have_one_scale_and_stay_inside(study):
    screen_rows = screen(merged(study(epochs=20, dp=("cnn3_dp",), gate={"max_advantage": 0.01})))
    scales = set()
    for row in screen_rows.values():
        for bar in filter(None, row.bars.values()):
            assert 0 <= bar.widths["low"] <= bar.widths["value"] <= bar.widths["high"] <= 100
        scales.add(round(row.bars["advantage"].limit / row.bars["advantage"].widths["limit"], 4))
    assert len(scales) == 1


def test_a_number_of_the_page_is_shown_as_the_one_of_the_table():
    """Rounded to five digits and then to three decimals, 0.5294996 would become 0.530."""
    values = [0.5294996, 0.07949996, *np.random.default_rng(0).uniform(0, 1, 20_000).round(8)]
    for value in values:
        short = explore.shortened(value)
        assert short == pytest.approx(value, rel=1e-4)
        assert (f"{short:.3f}", f"{short:.4f}") == (f"{value:.3f}", f"{value:.4f}")


def test_the_auc_on_canaries_is_of_an_attack_that_counts(study):
    root = study(epochs=4)
    params = yaml.safe_load(Path(root / "params.yaml").read_text())
    params["variants"]["cnn2_twin"] = params["variants"]["cnn2"] | {
        "label": "twin",
        "canaries": {"kind": "blank"},
    }
    Path(root / "params.yaml").write_text(yaml.safe_dump(params))
    whole = [row for row in read_rows(root / "data/attack/cnn2/privacy.csv") if row["slice"] == ENTIRE]
    found = {"placebo": 0.9, "trajectory": 0.8, "threshold": 0.7, "gap": 0.6}
    rows_on_canaries = [
        whole[-1] | {"variant": "cnn2_twin", "attack": attack, "slice": CANARIES, "auc": auc}
        for attack, auc in found.items()
    ]
    write_table(root / "data/attack/cnn2_twin/privacy.csv", rows_on_canaries, PRIVACY_COLUMNS)
    path = root / "data/gate/cnn2.json"
    verdict = json.loads(path.read_text())
    path.with_stem("cnn2_twin").write_text(json.dumps(verdict))
    for released, auc in ((None, "0.800"), ("label", "0.600")):
        path.write_text(json.dumps(verdict | {"released": released}))
        assert rows.canaries(Study(root), "cnn2", 4) == auc


def test_epsilon_that_canaries_show_stands_next_to_the_claim_at_its_epoch(study):
    root = study(epochs=4, variants=0, dp=("cnn3_dp", "cnn4_dp"))
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["variants"]["cnn4_dp"] |= {"label": "twin", "canaries": {"kind": "gradient"}}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    audit = {"epoch": 4, "epsilon_one_run": 1.25, "canaries": 100}
    (root / "data/attack/cnn4_dp/one_run.json").write_text(json.dumps(audit))
    epsilons = explore.contents(merged(root), Look(["cnn3_dp", "cnn4_dp"], ["#111111"]))["epsilon"]
    shown = [epsilon for epsilon in epsilons if epsilon["kind"].startswith("canaries")]
    assert shown == [{"name": "cnn3_dp", "kind": "canaries, white box", "epoch": 4, "value": 1.25}]


def test_a_variant_that_fails_shows_its_last_epoch_and_the_worst_attacks(study):
    merged_study = merged(study(epochs=10, gate={"max_advantage": 0.0}))
    for name, row in screen(merged_study).items():
        assert (row.epoch, row.which, row.half, row.pill) == (10, "last", "", "fails")
        whole = merged_study.entire[name, 10]
        assert row.bars[FOUND].value == max(measured[FOUND] for measured in whole)


@pytest.mark.parametrize(("released", "attack"), [(None, "threshold"), ("label", "gap")])
def test_numbers_are_of_attackers_who_see_what_the_policy_says_is_released(released, attack, study):
    root = study(epochs=4, variants=1, attacks=("threshold",))
    path = root / "data/attack/cnn2/privacy.csv"
    table = read_rows(path)
    half = [
        row | {"attack": "gap", "advantage": row["advantage"] / 2, FOUND: row[FOUND] / 2} for row in table
    ]
    write_table(path, [*table, *half], list(table[0]))
    verdict_path = root / "data/gate/cnn2.json"
    verdict_path.write_text(json.dumps(json.loads(verdict_path.read_text()) | {"released": released}))
    merged_study = merged(root)
    epoch = merged_study.recommended("cnn2")
    (wanted,) = (
        row
        for row in merged_study.every_row
        if (row["attack"], row["epoch"], row["slice"]) == (attack, epoch, "entire dataset")
    )
    advantage, tpr = f"{wanted['advantage']:.3f}", f"{100 * wanted[FOUND]:.1f}%"
    bars = screen(merged_study)["cnn2"].bars
    assert (bars["advantage"].text, bars[FOUND].text) == (advantage, tpr)
    (line,) = (line for line in lines(merged_study) if "recommended" in line.which)
    assert line.advantage.startswith(f"{advantage} [")
    said = recommendation(merged_study).leak
    assert f"reach an advantage of {advantage} and find {tpr} of the members" in said


def test_members_that_are_named_are_shown_where_they_were_counted(study):
    merged_study = merged(study(epochs=4, variants=1))
    epoch = merged_study.recommended("cnn2")
    assert screen(merged_study)["cnn2"].named == ""
    for i, row in enumerate(merged_study.entire["cnn2", epoch]):
        row[NAMES] = 1200.0 + i
    assert rows.named(merged_study, "cnn2", epoch) == "1,201 of 50,000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": KEEPS, "scope": {"leaks": []}}, "passes"),
        ({"verdict": KEEPS, "scope": {"leaks": [1]}}, "passes, leaks"),
        ({"verdict": "breaks the policy"}, "fails"),
        ({"verdict": "breaks the policy", "recommended_epoch": 2}, "not confirmed"),
        ({"verdict": "cannot be judged"}, "not judged"),
        ({"verdict": "audit"}, "audit only"),
    ],
)
def test_pills(change, said):
    assert pill(change) == said


def test_the_grid_is_even_and_has_the_usual_rates():
    rates = explore.grid(10_000)
    assert (rates[0], rates[-1]) == (1e-4, 1.0)
    assert {0.01, 0.001, 0.1} <= set(rates)
    assert np.diff(np.log(rates)) == pytest.approx(math.log(10) / explore.PER_DECADE, rel=0.06)


def test_curves_promise_no_more_than_the_whole_one(study):
    merged_study = merged(study(epochs=4, attacks=("threshold", "rmia")))
    rates = explore.grid(10_000)
    made = explore.curves(merged_study, rates)
    assert set(made) == {f"{v}|{e:.0f}|{a}" for v, e, a in merged_study.roc}
    for (variant, epoch, attack), curve in merged_study.roc.items():
        for rate, fpr, tpr in zip(rates, *made[f"{variant}|{epoch:.0f}|{attack}"], strict=True):
            allowed = [point for point in curve.tolist() if point[0] <= rate * (1 + 1e-9)]
            assert (fpr, tpr) == pytest.approx(max(allowed), rel=1e-5)


def test_the_table_is_all_of_privacy_csv(study):
    merged_study = merged(study(epochs=4, refused=True))
    columns = list(merged_study.privacy[0])
    made = json.loads(json.dumps(explore.table(merged_study.privacy, columns), allow_nan=False))
    assert list(made) == columns
    for name in columns:
        cells = [row[name] for row in merged_study.privacy]
        if isinstance(made[name], dict):
            assert [made[name]["texts"][place] for place in made[name]["places"]] == cells
        else:
            numbers = [math.nan if cell is None else cell for cell in made[name]]
            assert numbers == pytest.approx(cells, rel=1e-4, nan_ok=True)


def test_the_same_is_packed_to_the_same_bytes():
    assert explore.packed({"a": [1.5, None]}) == explore.packed({"a": [1.5, None]})
