"""Non-members that take no part: the rows are those of a file without them, and nothing else moves."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from planted import planted
from sandbox import ROOT

from privacy_report.attack.checkpoint import plan
from privacy_report.attack.example_exposure import of_members
from privacy_report.attack.exposure import risks
from privacy_report.attack.job import of_examples
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.references import References
from privacy_report.attack.signals import pool
from privacy_report.attack.slices import Group, load_excluded
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.errors import UserError
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import Outputs, output_arrays
from stages.attack import main

OUT = (0, 3, 17, 59)


@pytest.mark.parametrize("name", ["threshold", "logistic", "trajectory", "rmia", "rmia_top"])
def test_rows_are_those_of_outputs_without_the_excluded(name):
    world = planted()
    params = audit_params([name], ["entire", "class", "percentile"])
    early = world.phi(world.checkpoints[2][None])
    examples = replace(pool(world.outputs(6)), references=world.as_references, early_phi=early)
    findings = of_examples(examples, plan(name, params, None, OUT))
    kept = np.delete(np.arange(120), 60 + np.array(OUT))
    logits, labels = world.checkpoints[6][kept], world.labels[kept]
    less = pool(Outputs(logits[:60], labels[:60], logits[60:], labels[60:]))
    references = References(world.phi(world.references)[:, kept], world.trains[:, kept])
    less = replace(less, references=references, early_phi=early[:, kept])
    expected = of_examples(less, plan(name, params, None))
    assert findings.rows == expected.rows
    assert findings.halves == expected.halves
    assert findings.rows[0]["n_nonmember"] == 56


def test_groups_count_all_non_members():
    world = planted()
    groups = {"mine": Group(tuple(range(60)), tuple(range(20, 60)))}
    params = audit_params(["threshold"], ["entire", "group"], groups="mine.json")
    findings = of_examples(pool(world.outputs(6)), plan("threshold", params, groups, OUT))
    row = next(row for row in findings.rows if row["slice"] == "group=mine")
    assert (row["n_member"], row["n_nonmember"]) == (60, 39)  # of 20 to 59, 59 is left out


def test_where_each_member_is_found_is_told_without_the_excluded(tmp_path):
    world = planted()
    write_arrays(tmp_path / "outputs.npz", output_arrays(world.outputs(6)))
    np.save(tmp_path / "trains.npy", world.trains)
    np.save(tmp_path / "phi.npy", world.phi(world.references).astype(np.float32))
    files = [tmp_path / name for name in ("outputs.npz", "trains.npy", "phi.npy")]
    everybody, some = of_members(*files)["found_at_fpr"], of_members(*files, OUT)["found_at_fpr"]
    scores = rmia(pool(world.outputs(6)).phi, world.as_references)
    kept = np.delete(scores[60:], OUT)
    for fpr, others in ((everybody, scores[60:]), (some, kept)):
        assert fpr == pytest.approx([np.mean(others >= score) for score in scores[:60]])
    assert (everybody != some).any()


def test_the_excluded_have_no_vote_on_how_likely_a_member_others_are(outputs):
    some, out = outputs(200, 200, shift=1.0, n_classes=2), np.arange(0, 200, 3)
    logits = some.nonmember_logits.copy()
    logits[out] += 20.0 * np.eye(logits.shape[1])[some.nonmember_labels[out]]  # now like members
    changed = replace(some, nonmember_logits=logits)
    kept = np.delete(np.arange(400), 200 + out)
    for excluded, same in ((tuple(out), True), ((), False)):
        before, after = (risks(pool(each), 0, excluded)["probability"][kept] for each in (some, changed))
        assert (before == after).all() == same


@pytest.fixture
def folder(tmp_path, monkeypatch, outputs):
    """A repository with a checkpoint of cnn2: images 200 to 399 are non-members, in another order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("data/prepare", "data/reference/cnn2", "conf/groups"):
        Path(name).mkdir(parents=True)
    np.save("data/prepare/member.npy", np.arange(200, dtype=np.int32))
    np.save("data/prepare/nonmember.npy", np.arange(200, 400, dtype=np.int32)[::-1])
    write_arrays("data/canaries/cnn2.npz", {"index": np.empty(0, np.int32)})
    np.save("data/reference/cnn2/trains.npy", np.zeros((0, 400), bool))
    write_arrays("data/score/cnn2/epoch_0002.npz", output_arrays(outputs(200, 200, shift=1.0, n_classes=2)))
    Path("conf/groups/mine.csv").write_text("# a comment\nindex,note\n399,a\n3,a member\n201,b\n")
    return tmp_path


def exposed():
    with open("data/attack/cnn2/exposed.csv", newline="") as file:
        return {int(row["index"]): float(row["probability"]) for row in csv.DictReader(file)}


def run(**changes):
    section = {"attacks": ["threshold"], "slices": ["entire"], "estimators": default_estimators()} | changes
    Path("params.yaml").write_text(yaml.safe_dump({"attack": section}))
    main(["cnn2"])
    with open("data/attack/cnn2/privacy.csv", newline="") as file:
        return next(csv.DictReader(file))


def test_the_stage_leaves_out_the_non_members_that_a_file_names(folder, outputs):
    everybody, all_vote = run(), exposed()
    fewer, fewer_vote = run(exclude="conf/groups/mine.csv"), exposed()
    assert (everybody["n_nonmember"], fewer["n_nonmember"]) == ("200", "198")
    some = outputs(200, 200, shift=1.0, n_classes=2)
    kept = np.delete(np.arange(200), [0, 198])  # images 399 and 201
    less = Outputs(
        some.member_logits, some.member_labels, some.nonmember_logits[kept], some.nonmember_labels[kept]
    )
    expected = of_examples(
        pool(less), plan("threshold", audit_params(["threshold"], ["entire"]), None), False
    )
    assert float(fewer["auc"]) == expected.rows[0]["auc"]
    for excluded, found in (((), all_vote), ((0, 198), fewer_vote)):
        expected = risks(pool(some), 0, excluded)["probability"]
        assert found == pytest.approx({index: expected[index] for index in found}, rel=1e-5)
    assert everybody == run()
    assert json.loads(Path("data/attack/cnn2/references.json").read_text()) == {"models": 0}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("index\n3\n3\n", "has a position twice"),
        ("index\n-3\n", "must be a CSV"),
        ("number\n3\n", "must be a CSV"),
        ("index\n99999999999999999999\n", "must be a CSV"),
        ("", "must be a CSV"),
        ("index\n400\n", "position 400, allowed: 0 to 399"),
        ("index\n" + "\n".join(map(str, range(200, 400))), "has all non-members"),
    ],
)
def test_a_file_of_another_form_is_refused(folder, text, why):
    Path("conf/groups/mine.csv").write_text(text)
    with pytest.raises(UserError, match=why):
        run(exclude="conf/groups/mine.csv")


def test_the_file_lies_where_dvc_sees_it(folder):
    with pytest.raises(UserError, match=r"attack\.exclude: got 'mine\.csv', allowed: null or a file in conf"):
        run(exclude="mine.csv")
    with pytest.raises(UserError, match="no such file of excluded positions"):
        run(exclude="conf/groups/other.csv")


def test_the_list_of_cifar10_is_complete():
    positions = load_excluded(ROOT / "conf/groups/cifar10_near_duplicates.csv")
    assert len(positions) == 286
    assert positions.min() >= 50_000
    assert positions.max() < 60_000
