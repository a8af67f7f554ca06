"""A table whose rows have persons, through the whole pipeline."""

import json

import numpy as np
import pytest
from sandbox import Sandbox, make_sandbox

from privacy_report.datasets import prepared
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.measured import ROWS
from privacy_report.pipeline.tables import read_rows

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

PERSONS = 120
VARIANT = """# @package variants.visits
label: Visits
model: {path: nets.perceptron.perceptron, settings: {units: [16]}}
epochs: 2
epochs_per_report: 1
"""
EXPERIMENT = """# @package _global_
defaults:
  - override /dataset: table
dataset: {path: own_data/visits.csv, label: ill, person: who, drop: [part], groups: [sex]}
reference: {models: 4}
attack:
  {attacks: [threshold, logistic, trajectory, rmia, placebo], slices: [entire, class, group], groups: columns}
gate: {max_exposed_beyond_noise: 0.5}
"""


def visits() -> str:
    """A CSV of four to six visits of each person; the column part has two persons on both sides."""
    rng = np.random.default_rng(0)
    lines = ["who,age,sex,pulse,ill,part"]
    for person in range(PERSONS):
        for visit in range(rng.integers(4, 7)):
            old = person < 60 or (visit == 0 and person in (77, 88))
            age, pulse = rng.normal(50, 12), rng.normal(70, 9)
            ill = int(age + rng.normal(0, 12) > 50)
            split = "old" if old else "new"
            lines.append(f"patient {person:03},{age:.1f},{'fm'[person % 2]},{pulse:.1f},{ill},{split}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def audited(tmp_path_factory) -> Sandbox:
    sandbox = make_sandbox(tmp_path_factory.mktemp("persons") / "repository", EXPERIMENT, ["visits"])
    (sandbox.root / "conf/variant/visits.yaml").write_text(VARIANT)
    (sandbox.root / "own_data/visits.csv").write_text(visits())
    ran = sandbox.repro()
    assert ran[:3] == ["compose", "prepare", "canaries@visits"]
    assert {name.partition("@")[0] for name in ran[3:]} == {
        *("fit", "train", "score", "reference", "attack", "gate", "ship", "report")
    }
    return sandbox


def test_persons_are_counted_by_all_stages(audited):
    data = audited.root / "data"
    about = json.loads((data / "prepare/dataset.json").read_text())
    persons, examples = np.load(data / "prepare/person.npy"), prepared.read(data / "prepare")
    member, nonmember = (set(persons[side].tolist()) for side in (examples.member, examples.nonmember))
    assert not member & nonmember
    assert len(member | nonmember) == PERSONS
    assert (about["n_member_person"], about["n_nonmember_person"]) == (len(member), len(nonmember))
    trains = np.load(data / "reference/visits/trains.npy")
    order = persons[np.concatenate([examples.member, examples.nonmember])]
    assert all(len(set(map(tuple, trains[:, order == person].T))) == 1 for person in member | nonmember)
    rows = read_rows(data / "attack/visits/privacy.csv")
    counts = {(row["n_member"], row["n_nonmember"]) for row in rows if row["slice"] == ENTIRE}
    assert counts == {(len(member), len(nonmember))}
    groups = {row["slice"]: row["n_member"] for row in rows if row["slice"].startswith("group=")}
    assert groups == {f"group=sex={sex}": sum(who % 2 == i for who in member) for i, sex in enumerate("fm")}
    of_rows = [row for row in rows if row["slice"] == ROWS]
    assert {row["attack"] for row in of_rows} >= {"threshold", "rmia", "placebo"}
    assert {row["n_member"] for row in of_rows} == {len(examples.member)}
    for row in of_rows:
        assert row["auc_low"] < row["auc"] < row["auc_high"]


def test_the_verdict_the_card_and_the_page_are_written(audited):
    verdict = json.loads((audited.root / "data/gate/visits.json").read_text())
    assert verdict["reference_models"] == 4
    assert (audited.root / "models/visits/visits.md").is_file()
    page = (audited.root / "plots/report.html").read_text()
    assert "persons" in page
    said = audited.python("-m", "privacy_report", "watch", "--once").stdout
    assert "1 of 1 variants finished" in said


def test_a_rerun_computes_nothing(audited):
    store = {path: path.stat().st_mtime_ns for path in (audited.root / ".store").rglob("*.npz")}
    table = (audited.root / "data/attack/visits/privacy.csv").read_bytes()
    assert audited.repro() == []
    audited.append("privacy_report/datasets/persons.py", "# a comment")
    assert {"prepare", "fit", "reference@visits"} <= set(audited.repro())
    assert set((audited.root / ".store").rglob("*.npz")) == set(store)
    assert (audited.root / "data/attack/visits/privacy.csv").read_bytes() == table


def test_a_person_on_both_sides_is_refused_by_name(audited):
    of_splits = "split: part, member_split: old, nonmember_split: new, member_fraction: null"
    audited.edit("conf/experiment/smallest.yaml", "drop: [part]", of_splits)
    done = audited.dvc("repro", "prepare", check=False)
    assert done.returncode
    assert "error: dataset: person 'patient 077' (and 1 more) is a member and a non-member" in done.stderr
