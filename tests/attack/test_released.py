"""Attackers who see less than logits: what they see, their scores one example at a time, and their rows."""

import numpy as np
import pytest
from planted import planted

from privacy_report.attack import released
from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.attack.references import References
from privacy_report.attack.registry import RELEASED
from privacy_report.attack.signals import pool
from privacy_report.attack.tables import privacy_rows
from privacy_report.audits.attacks import audit_params
from privacy_report.errors import UserError
from privacy_report.pipeline import contract
from privacy_report.pipeline.contract import ENTIRE, EPSILON_JOINT, RELEASES
from privacy_report.pipeline.outputs import Outputs
from privacy_report.training.memberships import halves


def softmax(row):
    powers = [np.exp(value - max(row)) for value in np.asarray(row, float)]
    return [np.float64(np.float32(power / sum(powers))) for power in powers]


def slow_log_p(row, label, release):
    """log p of the label as a careful reader of one answer would put it."""
    p = softmax(row)
    if release == "probabilities":
        return np.log(p[label]) if p[label] <= 0.5 else np.log1p(-sum(np.delete(p, label)))
    if release == "top":
        right = int(np.argmax(row)) == label
        return np.log(max(p)) if right else np.log((1 - max(p)) / (len(p) - 1))
    digits = int(release[-1])
    return np.log(np.clip(round(p[label], digits), 10**-digits / 4, 1 - 10**-digits / 4))


@pytest.mark.parametrize("release", RELEASES[1:-1])
def test_what_is_seen_one_row_at_a_time(outputs, release):
    examples = pool(outputs(60, 40, shift=2.0))
    seen = getattr(released, release)(examples)
    rows = zip(examples.logits[:], examples.labels, strict=True)
    assert seen == pytest.approx([slow_log_p(row, label, release) for row, label in rows], rel=1e-6)


def test_probabilities_keep_the_digits_that_one_minus_p_has():
    logits = np.array([[0.0, 20.0], [0.0, 25.0], [0.0, 5.0]], np.float32)
    seen = released.probabilities(pool(Outputs(logits, np.ones(3, int), logits, np.zeros(3, int))))
    assert seen[:3] == pytest.approx([-np.exp(-20), -np.exp(-25), -np.log1p(np.exp(-5))], rel=1e-5)
    assert np.isfinite(seen).all()


def test_the_label_is_right_or_wrong(outputs):
    some = outputs(60, 40)
    logits = np.concatenate([some.member_logits, some.nonmember_logits])
    labels = np.concatenate([some.member_labels, some.nonmember_labels])
    assert (released.label(pool(some)) == (logits.argmax(axis=1) == labels)).all()


def labels_and_references(n=300, k=8, seed=0):
    rng = np.random.default_rng(seed)
    sides = halves(n, k, seed)
    phi = rng.normal(1, 2, n) + 2.0 * sides + rng.normal(size=(k, n))
    return (rng.random(n) < 0.6).astype(float), References(phi.astype(np.float32), sides)


def test_scores_of_labels_one_example_at_a_time():
    right, references = labels_and_references()
    ratio = released.label_reference(right, references)
    one_sided = released.label_reference_offline(right, references)
    for i, is_right in enumerate(right):
        p = 1 / (1 + np.exp(-references.phi[:, i].astype(float)))
        inside = references.is_member[:, i]
        q_in, q_out = p[inside].mean(), p[~inside].mean()
        assert ratio[i] == pytest.approx(np.log(q_in / q_out if is_right else (1 - q_in) / (1 - q_out)))
        assert one_sided[i] == pytest.approx((1 - q_out) if is_right else 0.0)


def test_an_example_that_lacks_a_side_says_nothing_or_is_refused():
    right, references = labels_and_references(k=4)
    sides = references.is_member.copy()
    sides[:, 0], sides[:, 1] = True, False
    lacking = References(references.phi, sides)
    assert (released.label_reference(right, lacking)[:2] == 0).all()
    with pytest.raises(UserError, match=r"example 0 .* is in every reference's training set"):
        released.label_reference_offline(right, lacking)
    for side in (True, False):
        with pytest.raises(UserError, match="of one side"):
            released.label_reference(right, References(references.phi, np.full(sides.shape, side)))
    with pytest.raises(UserError, match=r"labels: got shape \(3,\)"):
        released.label_reference(right[:3], references)


def test_what_attacks_see_is_said_once():
    assert set(RELEASED) == set(contract.SEES)
    for name, attack in RELEASED.items():
        assert attack.seen.rpartition(".")[2] == contract.released_to(name)
        assert (attack.needs == "reference models") == (contract.kind_of(name) == contract.REFERENCES)


def rows_of(outputs, references, released=()):
    params = audit_params(["threshold", "rmia"], released=released)
    findings = attack_outputs(outputs, params, references=references)
    return privacy_rows("v", {1: findings}), privacy_rows("v", {1: findings}, halves=True)


def test_rows_of_releases_change_no_other_row_except_for_the_family_and_are_of_the_entire_dataset():
    world = planted()
    without, more = (rows_of(world.outputs(6), world.as_references, r) for r in ((), RELEASES[1:]))
    for rows, alone in zip(more, without, strict=True):
        for other, row in zip(alone, (row for row in rows if row["attack"] not in RELEASED), strict=True):
            assert {name for name in row if row[name] != other[name]} <= {"leaks", EPSILON_JOINT}
        extra = [row for row in rows if row["attack"] in RELEASED]
        assert [row["attack"] for row in extra][: len(RELEASED)] == list(RELEASED)
        assert len(extra) == len(RELEASED) * (2 if "half" in rows[0] else 1)
        assert {row["slice"] for row in extra} == {ENTIRE}


def test_where_everything_is_seen_probabilities_say_what_logits_say(outputs):
    rows, _ = rows_of(outputs(600, 500, shift=1.0), None, ["probabilities", "label"])
    by_attack = {row["attack"]: row for row in rows if row["slice"] == ENTIRE}
    assert by_attack["threshold_probabilities"]["auc"] == pytest.approx(
        by_attack["threshold"]["auc"], abs=1e-4
    )
    gap = by_attack["gap"]
    assert gap["auc"] == pytest.approx(0.5 + (gap["accuracy"] - gap["val_accuracy"]) / 2)
    assert gap["advantage"] == pytest.approx(gap["accuracy"] - gap["val_accuracy"])


@pytest.mark.parametrize(
    ("released_", "counting"),
    [
        (None, {"threshold", "rmia"}),
        ("logits", {"threshold", "rmia", "rmia_top", "gap"}),
        ("probabilities", {"threshold", "rmia", "rmia_top", "gap"}),
        ("rounded_1", {"rmia_top", "gap"}),
        ("label", {"gap"}),
    ],
)
def test_which_attackers_count_for_a_release(released_, counting):
    names = ("threshold", "rmia", "rmia_top", "gap")
    assert {name for name in names if contract.counts(name, released_)} == counting
