"""The spread of training runs with several seeds: of each measure by what is worst in each run, or none."""

import math

import pytest

from privacy_report.gate.seeds import spread
from privacy_report.pipeline.contract import ENTIRE, REPORT

EPOCH = 4


@pytest.fixture
def run(rows):
    """A function of attacks and their advantages that makes a run's rows."""

    def made(val_accuracy=0.7, **advantages):
        return [
            row
            for attack, advantage in advantages.items()
            for row in rows(EPOCH, attack, ENTIRE, advantage, REPORT, val_accuracy=val_accuracy, auc=0.55)
        ]

    return made


def test_the_least_and_the_largest_are_of_each_runs_worst_attack(run):
    runs = [
        run(0.70, threshold=0.05, rmia=0.08),
        run(0.72, threshold=0.06, rmia=0.04),
        run(0.71, threshold=0.02, rmia=0.07),
    ]
    ranges = spread(runs, EPOCH)
    assert [ranges[f"advantage_{end}"] for end in ("min", "mid", "max")] == [0.06, 0.07, 0.08]
    assert (ranges["val_acc_min"], ranges["val_acc_max"]) == (0.70, 0.72)


def test_there_is_none_where_one_run_was_attacked_in_another_way(run):
    both, single = run(threshold=0.05, rmia=0.08), run(threshold=0.06)
    assert spread([both, single], EPOCH) == spread([single, both], EPOCH) == {}
    refused = [row | {"auc": math.nan} if row["attack"] == "rmia" else row for row in both]
    assert spread([both, refused], EPOCH) == {}
    assert spread([single, refused], EPOCH)["advantage_min"] == 0.05


def test_there_is_none_of_one_run_or_without_a_checkpoint_of_each_at_that_epoch(run):
    single = run(threshold=0.05)
    assert spread([single], EPOCH) == {}
    assert spread([single, []], EPOCH) == {}
    assert spread([single, single], EPOCH + 2) == {}
