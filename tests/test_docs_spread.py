"""docs/: what is said of how exposure is spread is what benchmarks/record_auc.json says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from doc_blocks import DOCS, check_block, table
from sandbox import ROOT
from scipy.stats import norm

from benchmarks.record_auc import AT, GAP, TRUTHS, drawn, simulated
from privacy_report.attack.example_exposure import known_spreads
from privacy_report.attack.roc import auc, roc_curve

FOUND = json.loads((ROOT / "benchmarks/record_auc.json").read_text())
CALIBRATED = ("entire", "entire at 0.9", "classes")


def in_percent(row: dict) -> list[str]:
    share, low, high, noise, most = (
        f"{100 * row[name]:.2f}" for name in ("share", "share_low", "share_high", "noise", "noise_high")
    )
    return [f"{share}% ({low}-{high}%)", f"{noise}%, at most {most}%"]


def test_the_curves_are_those_that_were_measured():
    rows = [
        [variant, f"{row['record_auc']:g}", *in_percent(row)]
        for variant, curves in FOUND["study"].items()
        for row in curves
        if row["slice"] == "entire dataset" and row["record_auc"] in (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    ]
    head = ["variant", "own AUC at least", "share of members", "noise alone"]
    check_block(DOCS / "attacks.md", "spread", table(head, rows))


def test_the_classes_are_those_that_were_measured():
    rows = []
    for variant, curves in FOUND["study"].items():
        classes = [row for row in curves if row["slice"] != "entire dataset"]
        classes.sort(key=lambda row: row["noise"] - row["share"])
        rows += [[variant, row["slice"], *in_percent(row)] for row in (*classes[:2], classes[-1])]
    head = ["variant", "the two worst classes, and the best", "share at 0.9", "noise alone"]
    check_block(DOCS / "attacks.md", "spread_classes", table(head, rows))


def test_the_calibration_is_what_was_simulated():
    rows = [
        [truth, f"{members:,}", str(models), str(draws)]
        + [f"{100 * FOUND['simulated'][truth][str(models)][name]:.1f}%" for name in CALIBRATED]
        for truth, (members, _, draws, several) in TRUTHS.items()
        for models in several
    ]
    head = ["truth", "members", "references", "draws", "entire dataset", "entire dataset at 0.9", "any class"]
    check_block(DOCS / "statistics.md", "spread_calibration", table(head, rows))
    assert set(FOUND["simulated"]) == set(TRUTHS)
    for shares in FOUND["simulated"]["nothing leaks"].values():
        assert max(shares["entire"], shares["classes"]) <= 0.05


def test_the_simulation_repeats():
    known = FOUND["simulated"]["2% are exposed"]["8"]
    members, exposed, _, _ = TRUTHS["2% are exposed"]
    shares = simulated(members, exposed, 5, 8)
    assert shares["entire"] >= 0.8
    assert known["entire"] > 0.9


def test_the_planted_leak_is_as_large_as_said():
    references = drawn(50_000, 4, 0, 0.02)
    assert GAP / np.hypot(*known_spreads(references)) == pytest.approx(1.5, abs=0.06)
    is_member, phi = references.is_member[0], references.phi[0]
    assert auc(roc_curve(phi[is_member], phi[~is_member])) < 0.52


def test_the_stated_error_of_an_own_auc_is_right():
    assert np.sqrt(1 / 8) == pytest.approx(0.35, abs=0.005)
    assert np.sqrt(1 / 2) == pytest.approx(0.71, abs=0.005)
    ends = norm.cdf(norm.isf(1 - AT) + np.array([-1, 1]) * np.sqrt(1 / 8))
    assert ends == pytest.approx([0.82, 0.95], abs=0.005)
