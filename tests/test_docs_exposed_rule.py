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
            rates = FOUND[truth][str(models)]
            assert rates["draws"] == asked.draws
            shares = [percent(rates[name]) for name in ("broken", "open", "kept", "broken_at_0")]
            kept = percent(rates["kept_at_excess"]) if "exposed" in truth else ""
            excess = f"{round(100 * rates['excess'], 2) + 0.0:.2f}%"  # no minus before a zero
            rows.append([truth, f"{asked.members:,}", str(models), f"{asked.draws:,}", excess, *shares, kept])
    check_block(DOCS / "statistics.md", "exposed_rule", table([*HEAD, *MORE], rows))
    assert set(FOUND) == set(TRUTHS)


@pytest.mark.parametrize(("truth", "asked"), TRUTHS.items())
def test_errors_are_as_rare_as_the_budget_says(truth, asked):
    for models in asked.references:
        rates = FOUND[truth][str(models)]
        if "nothing" in truth:
            assert max(rates["broken"], rates["broken_at_0"]) <= 0.025
        else:
            assert max(rates["kept"], rates["kept_at_excess"]) <= 0.025


def test_what_is_said_of_the_table():
    null = [
        rates["broken_at_0"] for truth, of in FOUND.items() if "nothing" in truth for rates in of.values()
    ]
    assert max(null) == 0.014
    leak = {
        (truth, k): rates["broken"]
        for truth, of in FOUND.items()
        if "exposed" in truth
        for k, rates in of.items()
    }
    assert leak.pop(("2% are exposed", "4")) == 0.76
    assert set(leak.values()) == {1.0}


def test_the_simulation_repeats():
    truth = replace(TRUTHS["nothing leaks, persons"], draws=20)
    once, again = (simulated(truth, 4, 20) for _ in range(2))
    assert once == again
    assert once["broken_at_0"] <= 0.1
