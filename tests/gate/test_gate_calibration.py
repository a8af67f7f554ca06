"""The gate as a whole where the truth is known: the committed simulation, and a part of it once more."""

import json

import pytest
from doc_blocks import check_block
from sandbox import ROOT

from benchmarks.gate_calibration import CASES, false_keeps, table

FOUND = json.loads((ROOT / "benchmarks/gate_calibration.json").read_text())


def test_the_table_is_what_was_measured():
    check_block(ROOT / "docs/statistics.md", "gate", [line for line in table(FOUND) if line])


def test_no_case_shows_more_false_keeps_than_the_budget_has():
    rows = FOUND["keeps"]
    assert {row["truth"] for row in rows} == set(CASES)
    for row in rows:
        assert row["draws"] >= 250
        assert row["rate"] <= 0.025, row


def test_leaks_of_variants_that_leak_nothing_are_within_the_budget():
    lows = {row["said"]: row["low"] for row in FOUND["nothing leaks"]}
    for said in ("by its own rows", "by the twin's canaries", "by the one-run audit"):
        assert lows[said] <= 0.05
    assert lows["by any"] <= 0.15


@pytest.mark.parametrize(
    "name", ["canaries found at their limit, a cluster", "accuracy that of the largest class"]
)
def test_chance_that_25_checkpoints_try_does_not_keep_a_policy(name):
    assert false_keeps(name, CASES[name], correlation=0.0, draws=30) <= 3
