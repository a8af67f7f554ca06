import math

import pytest
from scipy.stats import beta, binom
from written import written_row

from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.rules import RULES, finding, rate_low, worst
from privacy_report.pipeline.contract import CANARIES, ENTIRE, PRIVACY_COLUMNS, SELECT


def test_accuracy_bound_is_exact():
    low = rate_low(140, 200, 0.025)
    assert binom.sf(139, 200, low) == pytest.approx(0.025)  # P(at least 140 right | low)
    assert rate_low(0, 50, 0.025) == 0.0
    assert 0.9 < rate_low(50, 50, 0.025) < 1.0


def test_accuracy_times_n_is_the_whole_number_that_it_was():
    """29 / 100 * 100 is 28.999999999999996."""
    row = written_row("threshold", ENTIRE, SELECT)
    for n in (50, 100, 1000):
        for right in range(1, n):
            of_n = Checkpoint(2, [row | {"val_accuracy": right / n, "n_nonmember": float(n)}])
            low = worst("min_val_accuracy", of_n).value
            assert low == pytest.approx(beta.ppf(0.025, right, n - right + 1))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_reads_what_the_attack_stage_writes(rule):
    rows = [written_row("threshold", name, SELECT) for name in (ENTIRE, "class=3")]
    rows.append(rows[0] | {"slice": CANARIES, "tpr_at_1pct_fpr_high": 0.33})
    rows.append(rows[0] | {"attack": "rmia", "advantage_high": 0.0, "tpr_at_1pct_fpr_high": 0.0})
    rows[0] |= {"named_at_10pct_fdr": 240.0}
    reading = worst(rule, Checkpoint(2, rows, epsilon=3.0, references=8, exposed=(0.01, 0.02)))
    expected = {
        "max_exposed_beyond_noise": 0.02,
        "max_named_at_10pct_fdr": 240.0 / rows[0]["n_member"],
        "max_advantage": rows[0]["advantage_high"],
        "max_tpr_at_1pct_fpr": rows[0]["tpr_at_1pct_fpr_high"],
        "max_class_advantage": rows[1]["advantage_high"],
        "max_canary_tpr_at_1pct_fpr": 0.33,
        "max_epsilon": 3.0,
        "min_reference_models": 8.0,
        "min_val_accuracy": rate_low(
            round(rows[0]["val_accuracy"] * rows[0]["n_nonmember"]), rows[0]["n_nonmember"], 0.025
        ),
    }
    assert reading.value == expected[rule]
    assert set(rows[0]) == {*PRIVACY_COLUMNS, "half"}


def named(value, floor=60.0, **cells):
    numbers = {"n_member": 6000.0, "n_nonmember": 3000.0, "named_at_10pct_fdr": value}
    return written_row("threshold", ENTIRE, SELECT, **numbers, named_at_10pct_fdr_floor=floor, **cells)


@pytest.mark.parametrize(
    ("value", "limit", "judged"),
    [
        (120.0, 0.02, None),
        (121.0, 0.02, "yes"),
        (240.0, 240, None),  # a count is of all members: of both halves
        (121.0, 240, "yes"),
        (0.0, 0.01, None),
        (0.0, 0.009, "no"),  # 59 of 6,000 would not be seen
        (0.0, 117, "no"),
        (0.0, 118, None),
        (0.0, 0, "no"),
        (0.5, 0, "yes"),
        (math.nan, 0.5, "no"),
    ],
)
def test_names_are_held_against_a_share_or_a_count_and_what_is_not_seen_is_open(value, limit, judged):
    value = value / 2 if limit == 240 and judged is None else value
    failure = finding("max_named_at_10pct_fdr", limit, Checkpoint(2, [named(value)]))
    assert (failure["judged"] if failure else None) == judged
    if judged == "no":
        assert "cannot be judged" in failure["reason"]


def test_too_few_nonmembers_for_any_name_say_so():
    breach = finding("max_named_at_10pct_fdr", 0.5, Checkpoint(2, [named(math.nan, 9000.0)]))
    assert "with 3000 non-members names are seen from 9000 on, and there are 6000 members" in breach["reason"]


def test_a_slice_that_was_not_attacked_says_why():
    rows = [written_row("threshold", "class=3", SELECT, refused=True)]
    reading = worst("max_class_advantage", Checkpoint(2, rows))
    assert math.isnan(reading.value)
    assert reading.why_missing == "not attacked: 3 members and 1 non-members, at least 10 of each are needed"


def test_the_placebo_is_no_attack_and_missing_evidence_is_none():
    nothing = {
        "auc": math.nan,
        "advantage_high": math.nan,
        "note": "not attacked: there are no reference models",
    }
    rows = [
        written_row("threshold", ENTIRE, SELECT, advantage_high=0.1),
        written_row("threshold", ENTIRE, SELECT, advantage_high=0.9) | {"attack": "placebo"},
        written_row("threshold", ENTIRE, SELECT, **nothing) | {"attack": "rmia"},
    ]
    assert worst("max_advantage", Checkpoint(2, rows)).value == 0.1
    stronger = [*rows, written_row("threshold", ENTIRE, SELECT, advantage_high=0.3) | {"attack": "rmia"}]
    assert worst("max_advantage", Checkpoint(2, stronger)).attack == "rmia"
    unmeasured = [*rows, written_row("threshold", ENTIRE, SELECT, **nothing)]
    assert math.isnan(worst("max_advantage", Checkpoint(2, unmeasured)).value)


def test_a_release_decides_which_attackers_count():
    rows = [
        written_row("threshold", ENTIRE, SELECT, advantage_high=0.9)
        | {"attack": attack, "advantage_high": high}
        for attack, high in (("rmia", 0.9), ("rmia_top", 0.5), ("gap", 0.3), ("placebo", 0.99))
    ]
    read = {
        released: worst("max_advantage", Checkpoint(2, rows, released=released)).value
        for released in (None, "logits", "rounded_2", "top", "label")
    }
    assert read == {None: 0.9, "logits": 0.9, "rounded_2": 0.5, "top": 0.5, "label": 0.3}


def test_references_count_only_where_their_attack_does():
    rows = [written_row("threshold", ENTIRE, SELECT) | {"attack": attack} for attack in ("rmia", "gap")]
    models = {
        released: worst("min_reference_models", Checkpoint(2, rows, references=8, released=released)).value
        for released in (None, "label")
    }
    assert models == {None: 8.0, "label": 0.0}


def test_canaries_that_no_attack_on_the_release_was_made_on_say_so():
    row = written_row("threshold", ENTIRE, SELECT) | {"slice": CANARIES, "epoch": 2.0}
    reading = worst("max_canary_tpr_at_1pct_fpr", Checkpoint(2, [row], released="label"))
    assert reading.why_missing == "no attack on label was made on canaries (attack.attacks)"
