"""Persons: their scores and statistics; no half, block or slice parts one."""

import csv
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from privacy_report.attack import findings, trained
from privacy_report.attack.checkpoint import attack_outputs, plan, planned
from privacy_report.attack.exposure import membership_probability
from privacy_report.attack.intervals import auc_interval
from privacy_report.attack.job import of_examples
from privacy_report.attack.persons import by_person, mean
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.attack.signals import negative_loss, pool
from privacy_report.audits.attacks import audit_params
from privacy_report.errors import UserError
from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.rules import worst
from privacy_report.pipeline.digests import digest
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.measured import ENTIRE, PERSON_SCORES, ROWS
from privacy_report.pipeline.outputs import output_arrays
from stages.attack import main

HOW = {"max": max, "mean": lambda values: sum(values) / len(values), "sum": sum}
ROW = st.tuples(st.integers(-4, 4), st.integers(0, 6))


@given(st.lists(ROW, min_size=1, max_size=30), st.sampled_from(PERSON_SCORES))
def test_a_persons_score_is_that_of_a_loop_over_its_rows(rows, how):
    scores = np.array([score for score, _ in rows], float)
    heads = np.array([[other for _, other in rows].index(person) for _, person in rows])
    at = np.argsort(-scores)
    unique_heads, together = by_person(at, scores[at], heads, how)
    expected = {}
    for score, head in zip(scores, heads, strict=True):
        expected.setdefault(head, []).append(score)
    assert dict(zip(unique_heads, together, strict=True)) == {
        head: pytest.approx(HOW[how](values)) for head, values in expected.items()
    }
    assert (np.diff(together) <= 0).all()


def world(outputs, rows=3, **settings):
    """Outputs of 40 members and 20 non-members of so many rows each, and the persons, in no order."""
    some = outputs(n_member=40 * rows, n_nonmember=20 * rows, **settings)
    rng = np.random.default_rng(5)
    names = [rng.permutation(np.repeat(np.arange(n), rows)) for n in (40, 20)]
    return some, np.concatenate([names[0], 100 + names[1]])


@pytest.mark.parametrize("how", PERSON_SCORES)
def test_statistics_are_those_of_an_audit_of_persons_scores(outputs, how):
    """Score each person by hand, and audit these scores: the same numbers, from counts of persons."""
    some, persons = world(outputs, shift=1.0)
    params = replace(audit_params(["threshold"], ["entire"]), person_score=how)
    (row, _), curve = findings.attack_examples(
        replace(pool(some), persons=persons), plan("threshold", params, None, persons=persons)
    )
    scores = negative_loss(pool(some))
    sides = [
        np.array([HOW[how](scores[persons == person]) for person in np.unique(side)])
        for side in np.split(persons, [120])
    ]
    expected = roc_curve(*sides)
    assert (row["n_member"], row["n_nonmember"]) == (40, 20)
    assert row["auc"] == pytest.approx(auc(expected))
    assert (row["auc_low"], row["auc_high"]) == pytest.approx(auc_interval(expected))
    assert curve[1][-1] == 1.0


def test_a_row_on_rows_has_the_auc_with_its_clustered_interval_and_no_leak(outputs):
    some, persons = world(outputs, shift=1.0)
    audited = attack_outputs(
        some, audit_params(["threshold", "threshold_entropy"], ["entire"]), persons=persons
    )
    assert [row["slice"] for row in audited.rows] == [ENTIRE, ROWS] * 2
    row = audited.rows[1]
    alone = attack_outputs(some, audit_params(["threshold"], ["entire"])).rows[0]
    assert row["auc"] == pytest.approx(alone["auc"])
    assert (row["n_member"], row["n_nonmember"]) == (120, 60)
    assert row["advantage_p"] is None
    assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_accuracies_are_means_over_persons_and_in_the_row_on_rows_over_rows(outputs):
    some = outputs(n_member=300, n_nonmember=240, shift=1.0)
    rng = np.random.default_rng(6)
    persons = rng.integers(0, 90, 540) + np.repeat([0, 100], [300, 240])
    params = audit_params(["threshold", "logistic"], ["entire"])
    of_persons, of_rows, *others = attack_outputs(some, params, persons=persons, with_halves=False).rows
    for same, other in zip((of_persons, of_rows), others, strict=True):  # logistic scores two thirds
        assert [other[name] for name in ("accuracy", "val_accuracy")] == [
            same["accuracy"],
            same["val_accuracy"],
        ]
    sides = [(some.member_logits, some.member_labels), (some.nonmember_logits, some.nonmember_labels)]
    for name, (logits, labels), whose in zip(
        ("accuracy", "val_accuracy"), sides, np.split(persons, [300]), strict=True
    ):
        right = logits.argmax(axis=1) == labels
        each = [right[whose == person].mean() for person in set(whose.tolist())]
        assert of_persons[name] == pytest.approx(np.mean(each))
        assert of_rows[name] == pytest.approx(right.mean())
        assert of_rows[name] != pytest.approx(of_persons[name])


def test_the_bound_of_accuracy_holds_where_persons_have_unequal_numbers_of_rows():
    """Persons are right as often as they are, half of all variance being between them; the mean is 0.7."""
    rng, sizes = np.random.default_rng(0), np.maximum(1, 100 // np.arange(1, 201))
    person, above = np.repeat(np.arange(200), sizes), 0
    for _ in range(2000):
        right = rng.random(len(person)) < rng.beta(0.7, 0.3, 200)[person]
        row = {"attack": "threshold", "slice": ENTIRE, "epoch": 2, "n_nonmember": 200.0}
        above += (
            worst("min_val_accuracy", Checkpoint(2, [row | {"val_accuracy": mean(right, person)}])).value
            > 0.7
        )
    assert above / 2000 < 0.025 + 3 * np.sqrt(0.025 * 0.975 / 2000)


def test_without_persons_nothing_is_said_of_rows(outputs):
    audited = attack_outputs(outputs(), audit_params(["threshold"], ["entire"]))
    assert [row["slice"] for row in audited.rows] == [ENTIRE]


def test_a_person_of_one_row_each_changes_no_number(outputs):
    some = outputs(n_member=90, n_nonmember=60, shift=0.5)
    params = audit_params(["threshold", "logistic"], ["entire", "class"])
    alone, with_persons = (
        attack_outputs(some, params, persons=persons) for persons in (None, np.arange(150))
    )
    assert [row for row in with_persons.rows if row["slice"] != ROWS] == alone.rows
    assert [row for row in with_persons.halves if row["slice"] != ROWS] == alone.halves
    np.testing.assert_array_equal(with_persons.probability, alone.probability)


def test_halves_have_whole_persons(outputs, monkeypatch):
    some, persons = world(outputs)
    seen = []
    monkeypatch.setattr(findings, "attack_examples", lambda half, *more: seen.append(half) or ([], None))
    examples = replace(pool(some), persons=persons)
    findings.attack_halves(examples, plan("threshold", audit_params(), None, persons=persons))
    parts = [set(half.persons.tolist()) for half in seen]
    assert len(parts) == 2
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(persons.tolist())
    assert [len(half.labels) for half in seen] == [90, 90]
    assert [int(half.is_member.sum()) for half in seen] == [60, 60]


def test_blocks_have_whole_persons_and_as_many_of_each_side():
    rng = np.random.default_rng(0)
    person = rng.permutation(np.repeat(np.arange(30), 4))
    is_member = person < 18
    block = trained.blocks(is_member, 3, rng, person)
    assert all(len(set(block[person == number])) == 1 for number in range(30))
    for side, per_block in ((True, 6), (False, 4)):
        assert [len(set(person[(block == k) & (is_member == side)])) for k in range(3)] == [per_block] * 3


def test_nobody_votes_for_himself(outputs):
    """Where each person is of a class of its own, there is nobody else to compare with."""
    some, persons = world(outputs, rows=2, n_classes=60)
    examples = replace(pool(some), persons=persons, labels=np.unique(persons, return_inverse=True)[1])
    assert (membership_probability(examples, 0) == 0.5).all()


def test_a_slice_has_the_persons_with_rows_in_it_scored_by_these(outputs):
    some, persons = world(outputs)
    params = audit_params(["threshold"], ["entire", "class"])
    attack_plan = plan("threshold", params, None, persons=persons)
    row = next(row for row in of_examples(pool(some), attack_plan).rows if row["slice"] == "class=2")
    examples = pool(some)
    scores = negative_loss(examples)
    here = examples.labels == 2
    sides = [here & (examples.is_member == side) for side in (True, False)]
    assert (row["n_member"], row["n_nonmember"]) == tuple(len(set(persons[side])) for side in sides)
    best = [np.array([scores[side & (persons == i)].max() for i in set(persons[side])]) for side in sides]
    assert row["auc"] == pytest.approx(auc(roc_curve(*best)))


def test_what_is_too_small_is_counted_in_persons(outputs):
    some, persons = outputs(n_member=60, n_nonmember=60), np.repeat(np.arange(12), 10)
    row = attack_outputs(some, audit_params(["threshold"], ["entire"]), persons=persons).rows[0]
    assert row["note"] == "not attacked: 6 members and 6 non-members, at least 10 of each are needed"


def test_persons_and_their_score_are_in_the_key():
    params = audit_params(["threshold"])
    persons = np.arange(5)
    keys = {
        digest(planned(*asked).inputs["threshold"])
        for asked in (
            (params, None),
            (params, None, (), 1, persons),
            (params, None, (), 1, persons[::-1].copy()),
            (replace(params, person_score="sum"), None, (), 1, persons),
        )
    }
    assert len(keys) == 4


def test_without_persons_how_they_are_scored_is_in_no_key():
    params = audit_params(["threshold"])
    keys = [planned(replace(params, person_score=how), None).inputs for how in PERSON_SCORES]
    assert keys[0] == keys[1] == keys[2]


def test_the_references_semantics_know_no_persons():
    with pytest.raises(UserError, match="mode: got 'parity', allowed: default where rows have persons"):
        plan("threshold", audit_params(["threshold"], mode="parity"), None, persons=np.arange(3))


def test_an_unknown_person_score_is_refused():
    with pytest.raises(UserError, match="person_score"):
        audit_params(person_score="median")


def test_the_stage_takes_persons_from_where_prepare_leaves_them(tmp_path, monkeypatch, outputs):
    """Image 7 is a canary and in no score file; non-members are in another order than the images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("data/prepare", "data/reference/cnn2"):
        Path(name).mkdir(parents=True)
    member, nonmember = np.arange(200, dtype=np.int32), np.arange(200, 400, dtype=np.int32)[::-1]
    person = np.random.default_rng(2).permutation(200)[:, None] // 4 + [0, 100]  # 50 on each side
    person = person.T.ravel().astype(np.int32)
    for name, array in (("member", member), ("nonmember", nonmember), ("person", person)):
        np.save(f"data/prepare/{name}.npy", array)
    write_arrays("data/canaries/cnn2.npz", {"index": np.array([7], np.int32)})
    np.save("data/reference/cnn2/trains.npy", np.zeros((0, 399), bool))
    some = outputs(199, 200, shift=1.0)
    write_arrays("data/score/cnn2/epoch_0002.npz", output_arrays(some))
    params = replace(audit_params(["threshold", "logistic"], ["entire", "class"]), person_score="mean")
    Path("params.yaml").write_text(yaml.safe_dump({"attack": asdict(params)}))
    main(["cnn2"])
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    persons = person[np.concatenate([np.delete(member, 7), nonmember])]
    expected = attack_outputs(some, params, persons=persons)
    assert rows[0]["n_member"] == "50"
    assert [row["slice"] for row in rows] == [row["slice"] for row in expected.rows]
    assert [float(row["auc"] or "nan") for row in rows] == pytest.approx(
        [np.nan if row["auc"] is None else row["auc"] for row in expected.rows], nan_ok=True
    )
    assert [float(row["auc_low"]) for row in rows if row["slice"] == ROWS] == [
        row["auc_low"] for row in expected.rows if row["slice"] == ROWS
    ]
