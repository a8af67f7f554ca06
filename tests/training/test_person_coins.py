"""References where rows have persons: coins by person, and none of it without persons."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from small import small_cnn

from privacy_report.datasets import canaries, digits, preparation, prepared, splits
from privacy_report.datasets.labelled import LabelledImages
from privacy_report.datasets.schema import DatasetParams
from privacy_report.errors import UserError
from privacy_report.pipeline import params as sections
from privacy_report.pipeline import store
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.training import engine, person_coins, references
from privacy_report.training.job import NOWHERE
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.reached import Reached, reached
from privacy_report.training.schema import Variant
from stages import canaries as canaries_stage
from stages import fit, reference

CONFIG = Variant("V", small_cnn(), epochs=2)


def test_with_persons_a_reference_trains_on_all_rows_of_one_or_none():
    """Row by row the coins are those of the persons, of whom only the number counts; the key has the rows."""
    persons = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 4))
    params = ReferenceParams(models=4, epochs=2)
    alone = references.planned("v", CONFIG, params, 10, NOWHERE)
    by_rows = person_coins.planned("v", CONFIG, params, 40, NOWHERE, persons)
    for single, other in zip(alone, by_rows, strict=True):
        np.testing.assert_array_equal(other.trains, single.trains[persons])
        assert other.inputs["members"] == arrays_digest({"": other.trains})
        assert other.key(1) != single.key(1)
    trains = np.array([model.trains for model in by_rows])
    assert (trains[0::2] != trains[1::2]).all()


def test_without_persons_references_are_planned_as_ever():
    params = ReferenceParams(models=2, epochs=2)
    planned = person_coins.planned("v", CONFIG, params, 10, NOWHERE)
    assert [model.inputs for model in planned] == [
        model.inputs for model in references.planned("v", CONFIG, params, 10, NOWHERE)
    ]


def prepare():
    """240 digits of 60 persons, prepared with parameters for one variant; who and (member, nonmember)."""
    whole, who = digits.load(), np.random.default_rng(1).permutation(np.repeat(np.arange(60), 4))
    examples = LabelledImages(
        whole.images[:240], whole.labels[:240], whole.class_names, {"all": range(240)}, who
    )
    asked = DatasetParams("digits", "all", "all", member_fraction=0.6)
    both = splits.membership(asked, examples.splits, examples.labels, who)
    preparation.write(prepared.FOLDER, "digits", examples, both)
    model = {"path": small_cnn().path, "settings": small_cnn().settings}
    config = {"label": "V", "model": model, "epochs": 2, "epochs_per_report": 2, "canaries": {"count": 30}}
    params = {
        "variants": {"v": config},
        "reference": {"models": 4, "epochs": 2},
        "backend": {"device": "cpu"},
    }
    Path("params.yaml").write_text(yaml.safe_dump(params))
    canaries_stage.main(["v"])
    return who, both


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)


def test_stages_throw_the_coins_of_canaries_and_references_by_person(monkeypatch):
    """Of 60 persons 30 are canaries with a row each; training itself is left out."""
    who, both = prepare()
    drawn = canaries.read(canaries.path_of("v"))
    assert len(set(who[drawn.index])) == len(drawn.index) == 30
    monkeypatch.setattr(engine, "train", lambda *_: None)
    monkeypatch.setattr(reference, "phi_of", lambda _, some: {2: np.zeros((len(some), 240), np.float32)})
    reference.main(["v"])
    others = np.setdiff1d(both.member, drawn.index)
    places = {
        "": np.concatenate([others, both.nonmember]),
        "canaries": np.concatenate([drawn.index[drawn.is_member], drawn.index[~drawn.is_member]]),
    }
    seen = {}
    for subfolder, rows in places.items():
        trains = np.load(reference.OUTPUTS / "v" / subfolder / "trains.npy")
        assert trains.shape == (4, len(rows))
        assert (trains[0::2] != trains[1::2]).all()
        for person, coins in zip(who[rows], trains.T, strict=True):
            assert seen.setdefault(person, tuple(coins)) == tuple(coins)
    assert len(seen) == 60
    assert len(set(seen.values())) == 4


def test_more_canaries_than_persons_are_refused():
    who, both = prepare()
    text = Path("params.yaml").read_text().replace("count: 30", "count: 38")
    Path("params.yaml").write_text(text)
    assert len(set(who[both.member])) == 37
    words = r"canaries\.count: got 38, allowed: at most 37, the persons who are members"
    with pytest.raises(UserError, match=words):
        canaries_stage.main(["v"])


def test_watch_counts_the_epochs_of_the_references_that_the_engine_trains():
    prepare()
    config, params = sections.load("variants.v", Variant), sections.load("reference", ReferenceParams)
    assert reached("v", config, params, Reached()).references == (0, 8)
    phi = store.Entry({references.PHI: np.zeros(240, np.float32)}, 0.0, "")
    for model in fit.asked()["v"].references[:3]:
        store.put(references.KIND, model.key(2), phi)
    assert reached("v", config, params, Reached()).references == (6, 8)
