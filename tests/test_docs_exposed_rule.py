"""docs/: what is said of the gate's rule on exposed members is what benchmarks/exposed_rule.json says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from doc_blocks import DOCS, check_block, table
from sandbox import ROOT

from benchmarks.exposed_rule import TRUTHS, simulated

FOUND = json.loads((ROOT / "benchmarks/exposed_rule.json").read_text())
HEAD = ["truth", "members", "references", "draws", "share beyond noise", "broken at 0.01", "open", "kept"]
MORE = ["broken at 0", "kept at the true limit"]


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def test_the_table_is_what_was_simulated():
    rows = []
    for truth, asked in TRUTHS.items():
        for models in asked.references:
            found = FOUND[truth][str(models)]
            assert found["draws"] == asked.draws
            shares = [percent(found[name]) for name in ("broken", "open", "kept", "broken_at_0")]
            kept = percent(found["kept_at_excess"]) if "exposed" in truth else ""
            excess = f"{100 * found['excess']:.2f}%"
            rows.append([truth, f"{asked.members:,}", str(models), f"{asked.draws:,}", excess, *shares, kept])
    check_block(DOCS / "statistics.md", "exposed_rule", table([*HEAD, *MORE], rows))
    assert set(FOUND) == set(TRUTHS)


@pytest.mark.parametrize(("truth", "asked"), TRUTHS.items())
def test_errors_are_as_rare_as_the_budget_says(truth, asked):
    for models in asked.references:
        found = FOUND[truth][str(models)]
        if "nothing" in truth:
            assert max(found["broken"], found["broken_at_0"]) <= 0.025
        else:
            assert found["kept"] == 0
            assert found["kept_at_excess"] <= 0.025 + 2 * (0.025 * 0.975 / asked.draws) ** 0.5


def test_a_leak_of_2_percent_breaks_it():
    assert all(found["broken"] == 1 for found in FOUND["2% are exposed, 50,000 members"].values())


def test_the_simulation_repeats():
    truth = replace(TRUTHS["nothing leaks, persons"], draws=20)
    once, again = (simulated(truth, 4, 20) for _ in range(2))
    assert once == again
    assert once["broken_at_0"] <= 0.1
