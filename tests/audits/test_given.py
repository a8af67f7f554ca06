"""privacy-report audit of predicted labels, and of scores of one's own, instead of outputs."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted

from privacy_report.attack.signals import negative_loss, pool
from privacy_report.audits.audit_file import audit_file
from privacy_report.commands import audit
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE, METRICS
from privacy_report.pipeline.outputs import output_arrays


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return planted()


def rows(folder="audit"):
    with open(f"{folder}/privacy.csv", newline="") as file:
        return list(csv.DictReader(file))


def entire(folder="audit"):
    return {row["attack"]: row for row in rows(folder) if row["slice"] == ENTIRE}


def predictions(outputs):
    return {
        "member_predictions": outputs.member_logits.argmax(axis=1),
        "member_labels": outputs.member_labels,
        "nonmember_predictions": outputs.nonmember_logits.argmax(axis=1),
        "nonmember_labels": outputs.nonmember_labels,
    }


def test_predictions_give_the_rows_that_logits_give_of_attacks_on_labels(world, capsys):
    outputs = world.outputs(6)
    evidence = {"reference_logits": world.references, "reference_is_member": world.trains}
    np.savez("logits.npz", **output_arrays(outputs), **evidence)
    phi = {"reference_phi": world.phi(world.references), "reference_is_member": world.trains}
    np.savez("labels.npz", **predictions(outputs), **phi)
    names = ["gap", "label_reference", "label_reference_offline"]
    audit.main(["logits.npz", "--attacks", ",".join(names), "--out", "logits"])
    audit.main(["labels.npz", "--out", "labels"])
    assert list(entire("labels")) == names
    assert [row | {"variant": ""} for row in rows("labels")] == [
        row | {"variant": ""} for row in rows("logits")
    ]
    said = capsys.readouterr().out
    assert "labels, reference models" in said
    with open("labels/examples.csv", newline="") as file:
        example = next(csv.DictReader(file))
    assert (example["loss"], example["label"]) == ("", str(outputs.member_labels[0]))


def test_scores_give_the_rows_of_the_attack_that_they_come_from_to_the_digit(world, capsys):
    outputs = world.outputs(6)
    scores = negative_loss(pool(outputs))
    n = len(outputs.member_labels)
    np.savez("logits.npz", **output_arrays(outputs))
    np.savez("scores.npz", member_scores=scores[:n], nonmember_scores=scores[n:])
    audit.main(["logits.npz", "--attacks", "threshold", "--slices", "entire", "--out", "logits"])
    audit.main(["scores.npz", "--out", "scores"])
    (row,), expected = rows("scores"), entire("logits")["threshold"]
    assert row["attack"] == "own_score"
    assert {name: row[name] for name in METRICS} == {name: expected[name] for name in METRICS}
    assert (row["accuracy"], row["val_accuracy"]) == ("", "")
    said = json.loads(Path("scores/summary.json").read_text())["input"]
    assert said["members"] == {"n": n, "constant": False}
    assert f"members:     {n} scores" in capsys.readouterr().out


def test_scores_of_any_size_keep_their_order_and_ties():
    scores = np.array([-1e99, -1e-300, 0.0, 0.0, 1e-300, 745.2, 1e30])
    file = audit_file({"member_scores": scores, "nonmember_scores": scores[1:4].astype(np.float32)}, "mine")
    assert (pool(file.outputs).phi[:7] == scores).all()


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"member_scores": [1.0]}, "lacks nonmember_scores"),
        ({"member_scores": [1.0], "nonmember_scores": [np.nan]}, "nonmember_scores must be finite"),
        ({"member_scores": [[1.0, 2.0]], "nonmember_scores": [1.0]}, r"must be numbers \(n,\)"),
        (
            {"member_scores": [1.0], "nonmember_scores": [1.0], "member_labels": [1]},
            "scores and member_labels",
        ),
        ({"member_predictions": [1], "nonmember_predictions": [1]}, "lacks member_labels"),
        (
            {name: [1] for name in ("member_predictions", "nonmember_predictions", "member_labels")}
            | {"nonmember_labels": [1, 1]},
            "nonmember_predictions must be",
        ),
        (
            {name: [0] for name in ("member_predictions", "nonmember_predictions", "member_labels")}
            | {"nonmember_labels": [-1]},
            "of at least 0",
        ),
        (
            {"member_scores": [1.0], "nonmember_scores": [1.0], "reference_phi": [[1.0, 2.0]]},
            "scores and reference_phi",
        ),
        (
            {name: [1] for name in ("member_predictions", "nonmember_predictions", "member_labels")}
            | {"nonmember_labels": [2], "classes": ["a", "b"]},
            "got class 2, allowed: 0..1",
        ),
        (
            {name: [0] for name in ("member_predictions", "nonmember_predictions", "member_labels")}
            | {"nonmember_labels": [0], "member_logits": [[1.0, 2.0]]},
            "predictions and member_logits",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(arrays, why, tmp_path):
    np.savez(tmp_path / "mine.npz", **{name: np.array(value) for name, value in arrays.items()})
    with pytest.raises(UserError, match=why):
        audit.main([str(tmp_path / "mine.npz"), "--out", str(tmp_path / "out")])


def test_attacks_that_need_more_are_refused(world):
    np.savez("labels.npz", **predictions(world.outputs(6)))
    with pytest.raises(UserError, match=r"got threshold, allowed: gap, since the file has predictions"):
        audit.main(["labels.npz", "--attacks", "threshold"])


def test_tables_of_predictions_and_of_scores(world):
    outputs = world.outputs(6)
    lines = ["side,label,prediction"]
    for side in ("member", "nonmember"):
        labels, logits = (getattr(outputs, f"{side}_{kind}") for kind in ("labels", "logits"))
        lines += [f"{side},{a},{b}" for a, b in zip(labels, logits.argmax(axis=1), strict=True)]
    Path("labels.csv").write_text("\n".join(lines))
    np.savez("labels.npz", **predictions(outputs))
    for name in ("labels.csv", "labels.npz"):
        audit.main([name, "--out", name.replace(".", "_")])
    assert rows("labels_csv") == rows("labels_npz")
    members, nonmembers = range(20), range(-5, 15)
    lines = [f"member,{i}" for i in members] + [f"nonmember,{i}" for i in nonmembers]
    Path("scores.csv").write_text("\n".join(["side,score", *lines]))
    audit.main(["scores.csv", "--out", "scores"])
    assert float(entire("scores")["own_score"]["auc"]) == pytest.approx(
        np.mean([(i > j) + (i == j) / 2 for i in members for j in nonmembers])
    )


@pytest.mark.parametrize("given", ["predictions", "scores"])
def test_a_policy_judges_them_and_the_page_shows_them(world, given, capsys):
    outputs = world.outputs(6)
    scores = negative_loss(pool(outputs))
    n = len(outputs.member_labels)
    arrays = {"member_scores": scores[:n], "nonmember_scores": scores[n:]}
    np.savez("mine.npz", **(predictions(outputs) if given == "predictions" else arrays))
    for limit, code in ((1.0, 0), (0.0, 1)):
        policy = {"max_advantage": limit, "min_val_accuracy": None}
        Path("policy.yaml").write_text(yaml.safe_dump(policy))
        arguments = ["mine.npz", "--gate", "policy.yaml", "--html", "page.html"]
        if code:
            with pytest.raises(SystemExit, match="1"):
                audit.main(arguments)
        else:
            audit.main(arguments)
        assert ("checkpoint passes" if not code else "mine: fails") in capsys.readouterr().out
    page = Path("page.html").read_text()
    assert ("gap" if given == "predictions" else "own_score") in page
    for of_the_pipeline in ("section privacy", "data/gate", "plots/", "attack.slices", "1 attacks"):
        assert of_the_pipeline not in page
