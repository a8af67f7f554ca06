"""The rule on exposed members: broken by a leak of few, and by chance as rarely as its error allows."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from benchmarks.record_auc import drawn
from privacy_report.attack.record_auc import by_noise, record_auc
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.attack.tables import record_auc_rows
from privacy_report.gate import policy
from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.inputs import read_exposed
from privacy_report.gate.policy import Evidence
from privacy_report.gate.rates import exposed_beyond_noise
from privacy_report.gate.rules import finding
from privacy_report.gate.schema import GateParams
from privacy_report.gate.words import BREAKS, KEEPS, UNJUDGED, line
from privacy_report.pipeline.contract import ENTIRE, RECORD_AUC_COLUMNS
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import write_table

RULE = "max_exposed_beyond_noise"


def measured(members, models, exposed, seed=0):
    """Rows of record_auc.csv where a share of the members is exposed."""
    references = drawn(members, models, seed, exposed)
    aucs = {"record_auc": record_auc(references), "by_noise": by_noise(references)}
    return record_auc_rows("cnn2", 20, aucs, {ENTIRE: np.arange(members)})


def counted(reach, n, noise):
    row = {"slice": ENTIRE, "record_auc": 0.9, "n_member": float(n), "share": reach / n, "noise": noise}
    others = [row | {"record_auc": 0.8, "share": 1.0}, row | {"slice": "class=1", "share": 1.0}]
    return [*others, row]


@pytest.mark.parametrize(("reach", "n"), [(0, 50), (7, 400), (29, 100), (400, 400)])
def test_the_ends_are_clopper_pearsons_less_noise(reach, n):
    known = binomtest(reach, n).proportion_ci(0.95)
    assert exposed_beyond_noise(counted(reach, n, 0.01)) == pytest.approx(
        (known.low - 0.01, known.high - 0.01)
    )


def test_beyond_noise_is_what_noise_exceeds_in_at_most_2_percent_and_a_half():
    n, noise = 2_000, 0.013
    least = next(reach for reach in range(n) if exposed_beyond_noise(counted(reach, n, noise))[0] > 0)
    assert binom.sf(least - 1, n, noise) <= 0.025 < binom.sf(least - 2, n, noise)


@pytest.mark.parametrize(
    ("ends", "limit", "judged"),
    [
        ((0.012, 0.018), 0.02, None),
        ((0.012, 0.018), 0.018, None),
        ((0.012, 0.018), 0.015, "yes"),  # it may be below the limit: the unfavourable end counts
        ((0.012, 0.018), 0.0, "yes"),
        ((-0.002, 0.004), 0.01, None),
        ((-0.002, 0.004), 0.003, "no"),  # noise alone, and too little of it to be seen so
        ((-0.002, 0.004), 0.0, "no"),
        ((-0.004, -0.001), 0.0, None),
        ((math.nan, math.nan), 1.0, "no"),
    ],
)
def test_a_share_within_noise_breaks_nothing_and_its_upper_end_keeps_the_limit(ends, limit, judged):
    failure = finding(RULE, limit, Checkpoint(2, [], exposed=ends))
    assert (failure["judged"] if failure else None) == judged
    if judged == "no":
        assert failure["value"] is None
        assert "cannot be judged" in failure["reason"]


def test_own_aucs_count_where_what_they_are_made_of_is_released():
    judged = {
        released: finding(RULE, 0.01, Checkpoint(2, [], released=released, exposed=(0.1, 0.2)))
        for released in (None, "logits", "probabilities", "rounded_2", "top", "label")
    }
    assert [failure["judged"] for failure in judged.values()] == ["yes", "yes", "yes", "no", "no", "no"]
    assert "own AUCs are of logits, and label is released" in judged["label"]["reason"]


def verdict_on(rows, exposed, limit=0.01):
    rules = check("gate", {RULE: limit, "min_val_accuracy": None}, GateParams).policy("cnn2")
    table = rows(2) + rows(4)
    return policy.verdict_on("cnn2", rules, Evidence(table, table[:1], exposed=exposed))


@pytest.mark.parametrize("models", [4, 8, 16])
def test_a_leak_of_two_members_in_a_hundred_breaks_the_rule(models, rows):
    """Whoever attacks a target with it has an AUC below 0.52."""
    target = drawn(12_000, models, 3, 0.02)
    is_member, phi = target.is_member[0], target.phi[0]
    assert auc(roc_curve(phi[is_member], phi[~is_member])) < 0.52
    verdict = verdict_on(rows, measured(12_000, models, 0.02, 3))
    assert verdict["verdict"] == BREAKS
    assert {(failure["rule"], failure["epoch"]) for failure in verdict["failing"]} == {(RULE, 2), (RULE, 4)}
    assert "what helps: docs/remedies.md" in line("cnn2", verdict)


def test_where_nothing_leaks_it_is_kept_and_where_nothing_was_measured_it_is_open(rows):
    verdict = verdict_on(rows, measured(12_000, 8, 0.0))
    assert (verdict["verdict"], verdict["passing"]) == (KEEPS, 2)
    missing = verdict_on(rows, [])
    assert missing["verdict"] == UNJUDGED
    assert "cannot be judged: own AUCs need reference models" in missing["failing"][0]["reason"]


def test_the_rows_are_those_that_stage_attack_wrote(tmp_path):
    assert read_exposed("cnn2", tmp_path) == []
    written = measured(500, 4, 0.1)
    write_table(tmp_path / "data/attack/cnn2/record_auc.csv", written, RECORD_AUC_COLUMNS)
    assert exposed_beyond_noise(read_exposed("cnn2", tmp_path)) == exposed_beyond_noise(written)
