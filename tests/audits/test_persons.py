"""privacy-report audit of files whose rows have persons."""

import csv
import json

import numpy as np
import pytest
from planted import planted

import privacy_report as pr
from privacy_report.attack.canaries import audit_coins
from privacy_report.audits.audit_file import audit_file
from privacy_report.audits.checks import InputCheck, Side
from privacy_report.commands import audit
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import ROWS
from privacy_report.pipeline.outputs import output_arrays

WORLD = planted()
BASE = output_arrays(WORLD.outputs(6))
NAMES = np.array([f"p{i // 3:02}" for i in range(120)])
PERSONS = {"member_person": NAMES[:60], "nonmember_person": NAMES[60:]}


def rows(folder):
    with open(f"{folder}/privacy.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.filterwarnings("ignore:audit. the accuracy of non-members")
def test_npz_csv_and_arrays_in_memory_give_the_same_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("mine.npz", **BASE, **PERSONS)
    with open("mine.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "side", "label", "logit_0", "logit_1", "logit_2"])
        for side in ("member", "nonmember"):
            for who, label, logits in zip(
                PERSONS[f"{side}_person"], BASE[f"{side}_labels"], BASE[f"{side}_logits"], strict=True
            ):
                writer.writerow([who, side, label, *logits.tolist()])
    for name in ("npz", "csv"):
        options = ["--attacks", "threshold", "--person-score", "mean", "--out", name]
        audit.main([f"mine.{name}", *options])
    assert rows("npz") == rows("csv")
    assert [row["slice"] for row in rows("npz")[:2]] == [ENTIRE, ROWS]
    assert (rows("npz")[0]["n_member"], rows("npz")[1]["n_member"]) == ("20", "60")
    sides = (BASE[f"{side}_{kind}"] for side in ("member", "nonmember") for kind in ("logits", "labels"))
    audited = pr.audit(*sides, attacks=["threshold"], person_score="mean", **PERSONS)
    assert [row["auc"] for row in audited.records] == [float(row["auc"] or "nan") for row in rows("npz")]
    said = capsys.readouterr().out
    assert "members:     60 rows of 20 persons, accuracy" in said
    assert "of 20 persons (" in said or "can name none of 20 persons" in said or "too few non-members" in said
    assert "Of rows instead of persons: AUC" in said
    checked = json.loads((tmp_path / "npz/summary.json").read_text())["input"]
    assert checked["members"]["persons"] == 20
    assert "accuracy_low" not in checked["members"]


@pytest.mark.parametrize("how", ["max", "sum"])
def test_scores_of_your_own_have_persons_too(how):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=120)
    scores[:60] += 1
    arrays = {"member_scores": scores[:60], "nonmember_scores": scores[60:]}
    file = audit_file(arrays | PERSONS, "mine")
    assert file.persons.tolist() == np.repeat(np.arange(40), 3).tolist()
    reduced = getattr(np, how)(scores.reshape(40, 3), axis=1)
    records = [
        pr.audits.api._audited(pr.audits.models.Model("mine", {1: src}), None, ["entire"], 0, how).records[0]
        for src in (file, audit_file({"member_scores": reduced[:20], "nonmember_scores": reduced[20:]}, "x"))
    ]
    assert [row["n_member"] for row in records] == [20, 20]
    assert records[0]["auc"] == pytest.approx(records[1]["auc"])


@pytest.mark.parametrize(
    ("persons", "message"),
    [
        ({"member_person": NAMES[:60]}, "member_person goes with nonmember_person, has only member_person"),
        ({"member_person": NAMES[:60], "nonmember_person": NAMES[59:119]}, "person 'p19' is a member and a"),
        (
            {"member_person": NAMES[:60], "nonmember_person": NAMES[30:90]},
            r"person 'p10' \(and 9 more\) is a member and a non-member, allowed: one of them",
        ),
        (
            {"member_person": np.arange(60), "nonmember_person": NAMES[60:]},
            "must be both integers or both text",
        ),
        (PERSONS | {"member_person": NAMES[:59]}, r"must be integers or text \(60,\), got <U3 \(59,\)"),
        (
            {"member_person": np.arange(60.0), "nonmember_person": np.arange(60.0)},
            r"must be integers or text \(60,\), got float64",
        ),
        (PERSONS | {"nonmember_person": np.array(["a"] * 59 + [" "])}, "nobody is named in row 59"),
        (
            {"member_person": -np.arange(60) - 1, "nonmember_person": np.full(60, 2**64 - 1, np.uint64)},
            "nonmember_person must be at most 9223372036854775807, got 18446744073709551615",
        ),
    ],
)
def test_what_names_no_persons_is_refused(persons, message):
    with pytest.raises(UserError, match=f"mine: .*{message}"):
        audit_file(BASE | persons, "mine")


def test_integers_and_python_objects_name_persons():
    texts = audit_file(BASE | {name: who.astype(object) for name, who in PERSONS.items()}, "mine").persons
    numbers = {"member_person": np.repeat(np.arange(20), 3), "nonmember_person": np.repeat(range(30, 50), 3)}
    np.testing.assert_array_equal(texts, audit_file(BASE | numbers, "mine").persons)


def test_canaries_are_persons_by_their_highest_score():
    """Whoever is a canary is one with all rows: as many coins as persons."""
    canary = {"member_is_canary": np.repeat(True, 60), "nonmember_is_canary": np.repeat(True, 60)}
    coins = audit_coins(audit_file(BASE | PERSONS | canary, "mine").canaries, 0.0)
    assert coins.canaries == 40
    canary["member_is_canary"] = np.arange(60) != 0
    with pytest.raises(UserError, match="have some rows of 1 persons and lack others"):
        audit_file(BASE | PERSONS | canary, "mine")


def test_checkpoints_have_the_same_persons(tmp_path):
    for epoch, persons in (
        (1, PERSONS),
        (2, {"member_person": NAMES[:60], "nonmember_person": NAMES[:60] + "x"}),
    ):
        np.savez(tmp_path / f"epoch_{epoch:04}.npz", **BASE, **persons)
    with pytest.raises(UserError, match=r"epoch_0002\.npz: other persons than in the first file"):
        pr.audit_file(tmp_path, attacks=["threshold"])


def unequal(rng, shift):
    counts = tuple(1 + rng.poisson(4 + extra, 100) for extra in (shift, 0))
    side = Side(500, 400, 0.5, 9.0, 9.0, False)
    return "rows of persons" in InputCheck(side, side, 0, 1.0, persons=counts).warnings()


def test_persons_of_more_rows_on_one_side_are_a_warning():
    rng = np.random.default_rng(0)
    assert sum(unequal(rng, 2) for _ in range(50)) > 45
    assert sum(unequal(rng, 0) for _ in range(1000)) < 40  # 2.5% of sound ones
    side = Side(100, 80, 0.5, 9.0, 9.0, False)
    equal = InputCheck(side, side, 0, 1.0, persons=(np.full(10, 5), np.full(10, 5)))
    assert "rows of persons" not in equal.warnings()


def test_a_page_says_persons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    scores = rng.normal(size=1200) + np.repeat([6.0, 0.0], 600)
    who = np.arange(1200) // 3
    np.savez(
        "mine.npz",
        member_scores=scores[:600],
        nonmember_scores=scores[600:],
        member_person=who[:600],
        nonmember_person=who[600:],
    )
    with pytest.raises(SystemExit):
        audit.main(["mine.npz", "--gate", "default", "--html", "page.html"])
    page = (tmp_path / "page.html").read_text()
    assert "of 200 persons" in page
    assert "persons who are no members" in page
