import math

import pytest

from privacy_report.errors import UserError
from privacy_report.gate.policy import verdict_on
from privacy_report.gate.rules import RULES
from privacy_report.gate.schema import GateParams
from privacy_report.pipeline.params import check


def limits(**rules):
    return check("gate", rules, GateParams).limits


def test_best_accuracy_among_those_that_pass(rows, no_epsilon):
    table = rows(2, val_accuracy=0.6) + rows(4, val_accuracy=0.65) + rows(6, advantage=0.3, val_accuracy=0.7)
    verdict = verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)
    assert (verdict["verdict"], verdict["recommended_epoch"], verdict["passing"]) == ("pass", 4, 2)
    assert verdict["confirmed"] == "yes"
    (finding,) = verdict["failing"]
    assert (finding["epoch"], finding["rule"]) == (6, "max_advantage")
    assert finding["excess"] == pytest.approx(finding["value"] - 0.1)


def test_the_interval_end_decides_not_the_estimate(rows, no_epsilon):
    table = rows(2, advantage=0.09)  # its upper end is 0.11
    assert verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)["verdict"] == "fail"
    assert verdict_on("cnn2", table, limits(max_advantage=0.12), no_epsilon)["verdict"] == "pass"
    accurate = rows(2, val_accuracy=0.7)
    assert verdict_on("cnn2", accurate, limits(min_val_accuracy=0.69), no_epsilon)["verdict"] == "fail"
    assert verdict_on("cnn2", accurate, limits(min_val_accuracy=0.68), no_epsilon)["verdict"] == "pass"


def test_the_worst_attack_decides(rows, no_epsilon):
    table = rows(2, "threshold", advantage=0.01) + rows(2, "logistic", advantage=0.2)
    verdict = verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)
    assert verdict["failing"][0]["attack"] == "logistic"


def test_the_worst_class_decides(rows, no_epsilon):
    table = rows(2) + rows(2, slice_="class=1", advantage=0.1) + rows(2, slice_="class=7", advantage=0.4)
    verdict = verdict_on("cnn2", table, limits(max_class_advantage=0.3), no_epsilon)
    assert verdict["failing"][0]["slice"] == "class=7"


def test_tpr_is_judged_by_its_upper_end(rows, no_epsilon):
    table = rows(2)
    name = "max_tpr_at_1pct_fpr"
    assert verdict_on("cnn2", table, limits(**{name: 0.02}), no_epsilon)["verdict"] == "pass"
    assert verdict_on("cnn2", table, limits(**{name: 0.019}), no_epsilon)["verdict"] == "fail"


def test_numbers_come_from_the_other_half(rows, no_epsilon):
    table = rows(2, advantage=0.05, half="select") + rows(2, advantage=0.3, half="report")
    verdict = verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)
    assert (verdict["verdict"], verdict["confirmed"], verdict["advantage"]) == ("pass", "no", 0.3)
    assert verdict["against"][0]["rule"] == "max_advantage"


def test_of_equals_the_earlier_wins(rows, no_epsilon):
    table = rows(8) + rows(4) + rows(6)
    assert verdict_on("cnn2", table, {}, no_epsilon)["recommended_epoch"] == 4


def test_no_checkpoint_passes(rows, no_epsilon):
    verdict = verdict_on("cnn2", rows(2) + rows(4), limits(max_advantage=0.0), no_epsilon)
    assert (verdict["verdict"], verdict["passing"], len(verdict["failing"])) == ("fail", 0, 2)
    assert "recommended_epoch" not in verdict


def test_what_was_not_measured_breaks_its_rule(rows, no_epsilon):
    refused = rows(2, tpr_at_1pct_fpr_high=math.nan, note="too few non-members")
    (finding,) = verdict_on("cnn2", refused, limits(max_tpr_at_1pct_fpr=1.0), no_epsilon)["failing"]
    assert finding["value"] is None
    assert finding["reason"] == "cannot be judged: too few non-members"
    (finding,) = verdict_on("cnn2", rows(2), limits(max_class_advantage=1.0), no_epsilon)["failing"]
    assert "wrote no such rows" in finding["reason"]


def test_epsilon_rule_wants_a_claim(rows, no_epsilon):
    table = rows(2)
    assert verdict_on("cnn2", table, limits(max_epsilon=8), {2: 3.0})["verdict"] == "pass"
    assert verdict_on("cnn2", table, limits(max_epsilon=8), {2: 9.0})["failing"][0]["excess"] == 1.0
    (finding,) = verdict_on("cnn2", table, limits(max_epsilon=8), no_epsilon)["failing"]
    assert "not trained with differential privacy" in finding["reason"]


def test_halves_must_match(rows, no_epsilon):
    with pytest.raises(UserError, match="must hold the same checkpoints"):
        verdict_on("cnn2", rows(2) + rows(4, half="select"), {}, no_epsilon)


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        ("max_advantage", -0.1),
        ("min_val_accuracy", 1.2),
        ("max_epsilon", -1),
        ("max_class_advantage", math.nan),
    ],
)
def test_contradictory_policy_is_one_line(rule, limit):
    with pytest.raises(UserError, match=rf"^gate\.{rule}: got .*, allowed: a number [^\n]*$"):
        limits(**{rule: limit})


def test_unknown_rule_lists_the_known():
    with pytest.raises(UserError, match=r"unknown key, allowed: max_advantage, max_tpr_at_1pct_fpr"):
        limits(max_advantge=0.1)


def test_every_rule_is_optional():
    assert limits(**dict.fromkeys(RULES)) == {}


def test_one_class_not_measured_is_not_hidden_by_the_others(rows, no_epsilon):
    table = [row for label in range(4) for row in rows(2, slice_=f"class={label}")] + rows(2)
    for row in table:
        if row["slice"] == "class=2":
            row["advantage_high"] = math.nan
    (finding,) = verdict_on("cnn2", table, limits(max_class_advantage=1.0), no_epsilon)["failing"]
    assert (finding["slice"], finding["value"]) == ("class=2", None)
