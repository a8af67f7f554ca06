"""Rows of halves.csv as the attack stage writes them, with the numbers that a test needs put in."""

from __future__ import annotations

import pytest
from written import written_row

from privacy_report.pipeline.contract import ENTIRE, REPORT, SELECT


def made(epoch=2, attack="threshold", slice_=ENTIRE, advantage=0.05, half=None, **cells):
    numbers = {"epoch": float(epoch), "n_member": 25_000.0, "n_nonmember": 5_000.0, "val_accuracy": 0.7}
    numbers |= {"advantage": advantage, "advantage_low": max(0.0, advantage - 0.03)}
    numbers |= {"advantage_high": advantage + 0.02, "tpr_at_1pct_fpr": 0.015}
    numbers |= {"tpr_at_1pct_fpr_low": 0.01, "tpr_at_1pct_fpr_high": 0.02, "note": ""}
    halves = [half] if half else [SELECT, REPORT]
    return [written_row(attack, slice_, half_name, **numbers | cells) for half_name in halves]


@pytest.fixture
def rows():
    """A function that makes one row of each half (or of one), with cells by name."""
    return made


@pytest.fixture
def no_epsilon():
    return None
