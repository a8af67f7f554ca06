"""Rows of halves.csv made by hand."""

from __future__ import annotations

import math

import pytest


def made(epoch=2, attack="threshold", slice_="entire dataset", advantage=0.05, half=None, **cells):
    row = {"variant": "cnn2", "epoch": float(epoch), "attack": attack, "slice": slice_, "note": ""}
    row |= {"n_member": 50_000.0, "n_nonmember": 5_000.0, "accuracy": 0.8, "val_accuracy": 0.7}
    row |= {"auc": 0.55, "auc_low": 0.54, "auc_high": 0.56, "advantage": advantage, "epsilon_low": 0.1}
    row |= {"advantage_low": max(0.0, advantage - 0.03), "advantage_high": advantage + 0.02}
    row |= {"tpr_at_fpr_0.01": 0.015, "tpr_at_fpr_0.01_low": 0.01, "tpr_at_fpr_0.01_high": 0.02}
    row |= {name.replace("__", "."): value for name, value in cells.items()}
    halves = [half] if half else ["select", "report"]
    return [{**row, "half": half} for half in halves]


@pytest.fixture
def rows():
    """A function that makes one row of each half (or of one); cells by name, "__" for a dot."""
    return made


@pytest.fixture
def no_epsilon():
    return dict.fromkeys(range(100), math.nan)
