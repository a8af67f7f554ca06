import math
import re

import pytest
from claims import claimed

from privacy_report.errors import UserError
from privacy_report.gate import policy
from privacy_report.gate.policy import Evidence, in_words, policy_in_rows
from privacy_report.gate.rules import RULES
from privacy_report.gate.schema import GateParams
from privacy_report.gate.words import BREAKS, KEEPS, UNJUDGED
from privacy_report.pipeline.params import check

LOOSE = {"max_advantage": 1.0}


def limits(variant="cnn2", **rules):
    """The policy on a variant: these rules, and none on accuracy unless it is among them."""
    bound = {} if any(rule.startswith("max_") for rule in rules) else LOOSE
    return check("gate", {"min_val_accuracy": None, **bound, **rules}, GateParams).policy(variant)


def verdict_on(variant, table, rules, epsilon, **more):
    whole = [row for row in table if row["half"] == "select"]
    return policy.verdict_on(variant, rules, Evidence(table, whole, claimed(epsilon), **more))


def test_best_accuracy_among_those_that_pass(rows, no_epsilon):
    table = rows(2, val_accuracy=0.6) + rows(4, val_accuracy=0.65) + rows(6, advantage=0.3, val_accuracy=0.7)
    verdict = verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)
    assert (verdict["verdict"], verdict["recommended_epoch"], verdict["passing"]) == (KEEPS, 4, 2)
    assert verdict["confirmed"] == "yes"
    (finding,) = verdict["failing"]
    assert (finding["epoch"], finding["rule"]) == (6, "max_advantage")
    assert finding["excess"] == pytest.approx(finding["value"] - 0.1)


def test_the_interval_end_decides_not_the_estimate(rows, no_epsilon):
    table = rows(2, advantage=0.09)  # its upper end is 0.11
    assert verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)["verdict"] == BREAKS
    assert verdict_on("cnn2", table, limits(max_advantage=0.12), no_epsilon)["verdict"] == KEEPS
    accurate = rows(2, val_accuracy=0.7)
    assert verdict_on("cnn2", accurate, limits(min_val_accuracy=0.69), no_epsilon)["verdict"] == BREAKS
    assert verdict_on("cnn2", accurate, limits(min_val_accuracy=0.68), no_epsilon)["verdict"] == KEEPS


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
    assert verdict_on("cnn2", table, limits(**{name: 0.02}), no_epsilon)["verdict"] == KEEPS
    assert verdict_on("cnn2", table, limits(**{name: 0.019}), no_epsilon)["verdict"] == BREAKS


def test_numbers_come_from_the_other_half(rows, no_epsilon):
    table = rows(2, advantage=0.05, half="select") + rows(2, advantage=0.3, half="report")
    verdict = verdict_on("cnn2", table, limits(max_advantage=0.1), no_epsilon)
    assert (verdict["verdict"], verdict["confirmed"]) == (BREAKS, "no")
    assert verdict["on_report_half"]["advantage"] == 0.3
    assert verdict["against"][0]["rule"] == "max_advantage"


def test_of_equals_the_earlier_wins(rows, no_epsilon):
    table = rows(8) + rows(4) + rows(6)
    assert verdict_on("cnn2", table, limits(), no_epsilon)["recommended_epoch"] == 4


def test_no_checkpoint_passes(rows, no_epsilon):
    verdict = verdict_on("cnn2", rows(2) + rows(4), limits(max_advantage=0.0), no_epsilon)
    assert (verdict["verdict"], verdict["passing"], len(verdict["failing"])) == (BREAKS, 0, 2)
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
    assert verdict_on("cnn2", table, limits(max_epsilon=8), 3.0)["verdict"] == KEEPS
    assert verdict_on("cnn2", table, limits(max_epsilon=8), 9.0)["failing"][0]["excess"] == 1.0
    without = verdict_on("cnn2", table, limits(max_epsilon=8), no_epsilon)
    assert "no epsilon is claimed" in without["failing"][0]["reason"]
    assert without["verdict"] == BREAKS


def test_the_claim_is_the_same_for_whichever_checkpoint_is_chosen(rows):
    table = rows(2, val_accuracy=0.7) + rows(
        4, val_accuracy=0.6
    )  # of 2 epochs alone epsilon would be smaller
    verdict = verdict_on("cnn2", table, limits(max_epsilon=8), 8.0)
    assert (verdict["recommended_epoch"], verdict["on_report_half"]["epsilon"]) == (2, 8.0)
    failing = verdict_on("cnn2", table, limits(max_epsilon=7.9), 8.0)["failing"]
    assert [(failure["epoch"], failure["value"]) for failure in failing] == [(2, 8.0), (4, 8.0)]


WANTED = {"min_reference_models": 8, "max_advantage": 1.0}


def judged_references(table, counts):
    verdict = verdict_on("cnn2", table, limits(**WANTED), None, references=counts)
    return verdict["verdict"], verdict.get("recommended_epoch"), verdict["reference_models"]


def test_reference_models_count_at_the_checkpoint_that_they_attacked(rows):
    table = [row for epoch in (2, 4) for name in ("threshold", "rmia") for row in rows(epoch, name, auc=0.6)]
    assert judged_references(table, {2: 8, 4: 8}) == (KEEPS, 2, 8)
    assert judged_references(table, {4: 8}) == (KEEPS, 4, 8)  # the first has none, and is no better
    assert judged_references(table, {2: 8}) == (KEEPS, 2, 8)
    assert judged_references(table, {2: 4, 4: 7})[0] == BREAKS
    assert judged_references(table, {})[0] == BREAKS


def test_reference_models_that_no_attack_used_do_not_count(rows):
    assert judged_references(rows(2), {2: 8})[0] == BREAKS
    unmeasured = rows(2) + rows(2, "rmia", auc=math.nan, advantage_high=math.nan)
    assert judged_references(unmeasured, {2: 8})[0] == BREAKS
    assert judged_references(rows(2) + rows(2, "rmia", auc=0.6), {2: 8}) == (KEEPS, 2, 8)


@pytest.mark.parametrize("attack", ["threshold", "rmia", "trajectory"])
@pytest.mark.parametrize("rule", ["max_class_advantage", "per_slice"])
def test_a_class_too_small_for_any_attack_cannot_be_judged(rows, attack, rule):
    small = {"auc": math.nan, "advantage_high": math.nan, "note": "not attacked: 3 members"}
    table = rows(2, attack, auc=0.6) + rows(2, attack, slice_="class=0", auc=0.6)
    table += rows(2, attack, slice_="class=1", **small)
    rules = {"max_class_advantage": 1.0}
    if rule == "per_slice":
        rules = {"max_advantage": 1.0, "per_slice": {"class=1": {"max_advantage": 1.0}}}
    verdict = verdict_on("cnn2", table, limits(**rules), None)
    (finding,) = verdict["failing"]
    assert (verdict["verdict"], finding["slice"]) == (UNJUDGED, "class=1")
    assert finding["reason"] == "cannot be judged: not attacked: 3 members"


def test_a_limit_of_one_class_is_not_held_against_classes_whose_names_begin_alike(rows):
    table = rows(2) + rows(2, slice_="class=1")
    table += [row | {"slice": "class=10"} for row in rows(2, slice_="class=1", advantage=0.4)]
    rules = {"max_advantage": 1.0, "per_slice": {"class=1": {"max_advantage": 0.2}}}
    assert verdict_on("cnn2", table, limits(**rules), None)["verdict"] == KEEPS


def test_halves_must_match(rows, no_epsilon):
    with pytest.raises(UserError, match="must hold the same checkpoints"):
        verdict_on("cnn2", rows(2) + rows(4, half="select"), limits(), no_epsilon)


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


@pytest.mark.parametrize("rules", [{}, dict.fromkeys(RULES), {"min_reference_models": 4}])
def test_a_policy_that_bounds_no_leak_is_none(rules):
    with pytest.raises(UserError, match=r"^gate\.max_advantage: got None, allowed: .*; there is no policy$"):
        check("gate", rules, GateParams)
    with pytest.raises(UserError, match=r"^gate\.per_variant\.cnn3: got None, .*; there is no policy$"):
        check("gate", {**LOOSE, "per_variant": {"cnn3": dict.fromkeys(RULES)}}, GateParams)


def test_accuracy_has_to_be_above_that_of_naming_the_largest_class(rows, no_epsilon):
    sizes = {"class=0": 3500.0, "class=1": 1500.0}
    classes = [row for name, n in sizes.items() for row in rows(2, slice_=name, n_nonmember=n)]
    policy_ = check("gate", LOOSE, GateParams).policy("cnn2")
    (finding,) = verdict_on("cnn2", rows(2, val_accuracy=0.71) + classes, policy_, no_epsilon)["failing"]
    assert finding["reason"].endswith("below 0.714, what naming the largest class alone would give")
    assert verdict_on("cnn2", rows(2, val_accuracy=0.73) + classes, policy_, no_epsilon)["verdict"] == KEEPS
    unknown = verdict_on("cnn2", rows(2), policy_, no_epsilon)
    assert unknown["verdict"] == UNJUDGED
    assert "no attack was made by class" in unknown["failing"][0]["reason"]
    shared = [row | {"n_nonmember": 4000.0} for row in classes]  # 8,000 in two classes, of 5,000 persons
    (finding,) = verdict_on("cnn2", rows(2, val_accuracy=0.73) + shared, policy_, no_epsilon)["failing"]
    assert (finding["judged"], "persons have rows of several classes" in finding["reason"]) == ("no", True)


def test_an_epsilon_with_a_public_seed_cannot_be_judged_unless_it_is_allowed(rows):
    table, claimed = rows(2), 3.0
    verdict = verdict_on("cnn2", table, limits(max_epsilon=8), claimed, public_seed=True)
    assert (verdict["verdict"], verdict["public_seed"]) == (UNJUDGED, "yes")
    assert verdict["failing"][0]["reason"].startswith("cannot be judged: the seed is public")
    allowed = limits(max_epsilon=8, allow_committed_seed=True)
    assert verdict_on("cnn2", table, allowed, claimed, public_seed=True)["verdict"] == KEEPS
    assert verdict_on("cnn2", table, limits(max_epsilon=8), claimed)["verdict"] == KEEPS


def test_one_broken_rule_outweighs_what_cannot_be_judged(rows, no_epsilon):
    table = rows(2, tpr_at_1pct_fpr_high=math.nan, advantage=0.3)
    both = limits(max_tpr_at_1pct_fpr=1.0, max_advantage=0.1)
    assert verdict_on("cnn2", table, both, no_epsilon)["verdict"] == BREAKS
    open_ = table + rows(4, tpr_at_1pct_fpr_high=math.nan)  # might be kept there
    assert verdict_on("cnn2", open_, both, no_epsilon)["verdict"] == UNJUDGED


def test_limits_differ_by_variant(rows, no_epsilon):
    rules = {"max_advantage": 0.1, "per_variant": {"cnn3": {"max_advantage": 0.01}}}
    assert verdict_on("cnn2", rows(2), limits("cnn2", **rules), no_epsilon)["verdict"] == KEEPS
    assert verdict_on("cnn3", rows(2), limits("cnn3", **rules), no_epsilon)["verdict"] == BREAKS


def test_limits_differ_by_class(rows, no_epsilon):
    table = rows(2) + rows(2, slice_="class=1", advantage=0.1) + rows(2, slice_="class=7", advantage=0.4)
    kept = limits(max_class_advantage=0.2, per_slice={"class=7": {"max_advantage": 0.5}})
    assert verdict_on("cnn2", table, kept, no_epsilon)["verdict"] == KEEPS
    strict = limits(max_class_advantage=0.5, per_slice={"class=1": {"max_advantage": 0.1}})
    (finding,) = verdict_on("cnn2", table, strict, no_epsilon)["failing"]
    assert (finding["rule"], finding["slice"], finding["limit"]) == ("max_advantage", "class=1", 0.1)
    assert in_words(policy_in_rows(strict)) == [
        "advantage on the worst class at most 0.5",
        "advantage at most (on class=1) 0.1",
    ]
    missing = limits(max_advantage=1.0, per_slice={"class=9": {"max_advantage": 0.5}})
    assert verdict_on("cnn2", table, missing, no_epsilon)["verdict"] == UNJUDGED


def test_null_takes_a_class_s_limit_back(rows, no_epsilon):
    """What `-S gate.per_slice.class=7.max_advantage=null` leaves: the class counts like the others again."""
    rules = limits(max_class_advantage=0.2, per_slice={"class=7": {"max_advantage": None}})
    assert not any(rules.slices.values())
    table = rows(2) + rows(2, slice_="class=1") + rows(2, slice_="class=7", advantage=0.4)
    (finding,) = verdict_on("cnn2", table, rules, no_epsilon)["failing"]
    assert (finding["rule"], finding["slice"]) == ("max_class_advantage", "class=7")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"per_variant": {"cnn2": {"max_advantge": 0.1}}}, "per_variant.cnn2: got 'max_advantge', allowed: "),
        ({"per_variant": {"cnn2": {"max_advantage": 2}}}, "per_variant.cnn2.max_advantage: got 2, allowed: "),
        ({"per_variant": {"cnn2": 0.1}}, "per_variant.cnn2: got 0.1, allowed: a mapping"),
        ({"per_slice": {"cat": {"max_advantage": 0.1}}}, "per_slice: got 'cat', allowed: classes by number"),
        ({"per_slice": {"class=03": {"max_advantage": 0.1}}}, "per_slice: got 'class=03', allowed: classes"),
        ({"per_slice": {"class=1": {"max_epsilon": 1}}}, "per_slice.class=1: got 'max_epsilon', allowed: "),
        (
            {"min_val_accuracy": "half"},
            "min_val_accuracy: got 'half', allowed: a number from 0 to 1, majority",
        ),
        ({"max_epsilon": "eight"}, "max_epsilon: got 'eight', allowed: a number of at least 0, or null"),
    ],
)
def test_impossible_settings_are_one_line(settings, said):
    with pytest.raises(UserError, match=f"^gate\\.{re.escape(said)}[^\n]*$"):
        check("gate", {**LOOSE, **settings}, GateParams)


def test_one_class_not_measured_is_not_hidden_by_the_others(rows, no_epsilon):
    table = [row for label in range(4) for row in rows(2, slice_=f"class={label}")] + rows(2)
    for row in table:
        if row["slice"] == "class=2":
            row["advantage_high"] = math.nan
    (finding,) = verdict_on("cnn2", table, limits(max_class_advantage=1.0), no_epsilon)["failing"]
    assert (finding["slice"], finding["value"]) == ("class=2", None)
