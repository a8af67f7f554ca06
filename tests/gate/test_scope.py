"""How far a verdict reaches: power where the truth is known, colours, and words."""

import math

import numpy as np
import pytest

from privacy_report.attack.intervals import advantage_p
from privacy_report.attack.roc import roc_curve
from privacy_report.gate.scope import power, scope_of
from privacy_report.gate.words import BAD, BREAKS, FAIR, GOOD, KEEPS, UNJUDGED, breaches, colour, line
from privacy_report.pipeline.contract import ENTIRE, LEVEL

TESTED = 40


def whole(made, **cells):
    """Rows of one attack in 40 tested slices, in one half."""
    rows = made(half="select", **cells)
    return rows + [row | {"slice": f"class={i}"} for i in range(TESTED - 1) for row in rows]


def test_an_attack_of_that_advantage_is_detected_with_95_percent(rows):
    n, m = 3000, 1000
    reach = math.sqrt(math.log(40) / 2 * (1 / n + 1 / m))
    row, *others = whole(rows, n_member=n, n_nonmember=m, advantage=0.05, advantage_high=0.05 + reach)
    least = power(row, [row, *others])
    rng, seen = np.random.default_rng(0), []
    for _ in range(400):  # members score 1 more often by `least`: one threshold, the least favourable case
        member, nonmember = rng.random(n) < 0.5 + least / 2, rng.random(m) < 0.5 - least / 2
        curve = roc_curve(member.astype(float), nonmember.astype(float))
        seen.append(advantage_p(curve) <= LEVEL / TESTED)
    assert 0.93 <= np.mean(seen) <= 0.985


def test_power_falls_with_tests_and_rises_with_examples(rows):
    (row,) = rows(half="select", n_member=50_000.0, n_nonmember=10_000.0, advantage_high=0.0501)
    more = whole(rows, n_member=50_000.0, n_nonmember=10_000.0, advantage_high=0.0501)
    few = rows(half="select", n_member=500.0, n_nonmember=100.0, advantage_high=0.0501)
    assert power(row, [row]) < power(more[0], more) < power(few[0], few)
    (trained,) = rows(half="select", n_member=50_000.0, n_nonmember=10_000.0, advantage_high=0.08)
    assert power(trained, [trained]) > power(row, [row])  # it scored fewer
    (refused,) = rows(half="select", n_member=2.0, n_nonmember=2.0, advantage_high=1.0)
    assert power(refused, [refused]) == 1.0


def test_power_counts_the_family_of_holm(rows):
    """All attacks, slices and checkpoints; rows that were not tested do not count, nor does the placebo."""
    table = [
        row | {"slice": name}
        for epoch in (2, 4, 6)
        for attack in ("threshold", "logistic")
        for name in (ENTIRE, "class=0")
        for row in rows(epoch, attack, half="select", n_member=3000.0, n_nonmember=1000.0, advantage_high=1.0)
    ]
    untested = [row | {"advantage_p": math.nan, "auc": math.nan, "slice": "class=1"} for row in table]
    placebo = [row | {"attack": "placebo"} for row in table]
    v = 1 / 3000 + 1 / 1000
    expected = math.sqrt(v * math.log(12 / LEVEL) / 2) + 1.6449 * math.sqrt(v) / 2
    assert power(table[0], [*table, *untested]) == pytest.approx(expected, abs=1e-4)
    assert scope_of([*table, *untested, *placebo], 4)["power"] == pytest.approx(expected, abs=1e-4)


def test_scope_names_who_tried_and_what_was_found(rows):
    table = [
        *rows(attack="threshold", half="select", leaks="no"),
        *rows(attack="rmia", auc=0.6, half="select", leaks="yes"),
        *rows(attack="rmia", auc=0.6, slice_="class=1", half="select", leaks="yes"),
        *[row | {"attack": "placebo"} for row in rows(attack="threshold", half="select", leaks="yes")],
        *rows(epoch=4, attack="threshold", half="select", leaks="yes"),
        *[row | {"slice": "canaries"} for row in rows(attack="rmia", auc=0.6, half="select", leaks="no")],
        *rows(attack="trajectory", half="select", auc=math.nan),
    ]
    scope = scope_of(table, 2)
    assert scope["tried"] == {
        "outputs": ["threshold"], "early": [], "references": ["rmia"], "canaries": ["rmia"],
    }  # fmt: skip
    assert scope["leaks"] == [
        {"attack": "rmia", "slice": ENTIRE},
        {"attack": "rmia", "slice": "class=1"},
    ]
    assert scope_of(table, 3)["power"] is None


def test_a_twins_placebo_on_canaries_is_no_attack_either(rows):
    (row,) = rows(attack="rmia", auc=0.6, half="select", leaks="no")
    coins = [row | {"slice": "canaries", "attack": name, "leaks": leaks}
             for name, leaks in (("rmia", "no"), ("placebo", "yes"))]  # fmt: skip
    scope = scope_of([row], 2, coins)
    assert (scope["tried"]["canaries"], scope["leaks"]) == (["rmia"], [])


def verdict(said=KEEPS, references=("rmia",), leaks=(), confirmed="yes"):
    tried = {"outputs": ["threshold"], "early": [], "references": list(references), "canaries": []}
    scope = {"tried": tried, "leaks": list(leaks), "power": 0.04, "epoch": 2}
    return {
        "verdict": said,
        "scope": scope,
        "recommended_epoch": 2,
        "confirmed": confirmed,
        "checkpoints": 3,
        "passing": 1,
        "reference_models": 8,
        "against": [{"rule": "max_advantage", "judged": "yes", "epoch": 2, "excess": 0.0812}],
    }


LEAK = {"attack": "rmia", "slice": ENTIRE}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, GOOD),
        ({"leaks": [LEAK]}, FAIR),
        ({"references": []}, FAIR),
        ({"said": UNJUDGED}, FAIR),
        ({"said": BREAKS}, BAD),
        ({"said": BREAKS, "leaks": [LEAK]}, BAD),
    ],
)
def test_green_only_where_nothing_leaks_and_reference_models_tried(settings, expected):
    assert colour(verdict(**settings)) == expected


def test_a_broken_rule_says_by_how_much_and_at_how_many_checkpoints():
    rule, judged = {"rule": "max_class_advantage", "judged": "yes"}, {"rule": "max_advantage", "judged": "no"}
    findings = [rule | {"epoch": 2, "excess": 0.1}, rule | {"epoch": 2, "excess": 0.3}]
    findings += [rule | {"epoch": 4, "excess": 0.2}, judged | {"epoch": 2, "excess": None}]
    findings += [{"rule": "min_reference_models", "judged": "yes", "epoch": 2, "excess": None}]
    assert breaches(findings) == (
        "max_class_advantage is broken by up to 0.3 at 2 checkpoints, "
        "max_advantage cannot be judged at 1 checkpoint, min_reference_models is broken at 1 checkpoint"
    )


def test_a_line_says_the_verdict_and_its_scope():
    scope = "tried: outputs, 8 reference models; not tried: canaries"
    assert line("a", verdict()) == (
        "a: passes at epoch 2; "
        "no leak detected at epoch 2 (detectable: an advantage of 0.040); "
        f"1 of 3 checkpoints passes; {scope}"
    )
    said = line("a", verdict(said=BREAKS, leaks=[LEAK], confirmed="no"))
    assert said == (
        "a: fails at epoch 2, NOT CONFIRMED; leak detected at epoch 2 by rmia (in 1 row); "
        f"on the other half of the examples max_advantage is broken by 0.0812 at 1 checkpoint; {scope}; "
        "what helps: docs/remedies.md"
    )
