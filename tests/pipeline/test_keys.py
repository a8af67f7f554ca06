"""What of parameters and data is in which key. Nothing is computed."""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import numpy as np
from planned_keys import DEFAULT, ORDINARY, PARITY, PRIVATE, STATE, attack, reference, score, train

from privacy_report.attack import checkpoint, variant
from privacy_report.attack.schema import Estimator
from privacy_report.attack.slices import Group
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.digests import digest
from privacy_report.training import plan
from privacy_report.training.job import Source
from privacy_report.training.schema import ADAM, SMALL_CNN, Privacy, Queries, Variant

OTHER = {
    "model": Component(SMALL_CNN, {"filters": 16}),
    "optimizer": Component(ADAM, {"beta_1": 0.8}),
    "schedule": Component("keras.optimizers.schedules.CosineDecay", {"decay_steps": 10}),
    "loss": Component("privacy_report.training.losses.focal_loss"),
    "batch_size": 25,
    "learning_rate": 0.01,
    "seed": 1,
    "privacy": Privacy(noise_multiplier=2.0),
}
NO_PART = {
    "label": "Other",
    "epochs": 60,
    "epochs_per_report": 5,
    "canaries": CanaryParams(count=10),
    "repeats": "cnn3",
    "remedy_of": "cnn3",
    "queries": Queries(mirror=True),
}
"""A change of these changes no epoch; canaries are data, and queries come after training."""
OTHER_PRIVACY = {"noise_multiplier": 2.0, "l2_norm_clip": 0.5, "delta": 1e-6, "seed": "secret"}


def test_every_parameter_of_a_variant_is_in_the_keys_of_training_or_changes_no_epoch():
    assert {field.name for field in fields(Variant)} == {*OTHER, *NO_PART}
    for name, value in OTHER.items():
        assert train(replace(ORDINARY, **{name: value})) != train(), name
    for name, value in NO_PART.items():
        assert train(replace(ORDINARY, **{name: value})) == train(), name
        assert train(replace(PRIVATE, **{name: value})) == train(PRIVATE), name


def test_every_parameter_of_private_training_is_in_its_keys():
    for name, value in OTHER_PRIVACY.items():
        changed = replace(PRIVATE, privacy=replace(PRIVATE.privacy, **{name: value}))
        assert train(changed) != train(PRIVATE), name
    solved = [{"noise_multiplier": None, "target_epsilon": epsilon} for epsilon in (4.0, 8.0)]
    keys = {train(replace(PRIVATE, privacy=Privacy(**budget))) for budget in solved}
    assert len(keys | {train(PRIVATE)}) == 3
    left = set(asdict(PRIVATE.privacy)) - {*OTHER_PRIVACY, "target_epsilon"}
    for name in left:
        value = not getattr(PRIVATE.privacy, name)
        assert train(replace(PRIVATE, privacy=replace(PRIVATE.privacy, **{name: value}))) != train(PRIVATE)


def test_the_number_of_epochs_counts_where_the_noise_is_solved_from_a_target_epsilon():
    solved = replace(PRIVATE, privacy=Privacy(target_epsilon=8.0))
    assert train(replace(solved, epochs=60)) != train(solved)
    assert train(replace(solved, label="Other", epochs_per_report=5)) == train(solved)


def test_an_epochs_key_has_its_number_and_the_state_after_the_epoch_before():
    first, other = {"weights/000": np.zeros(3)}, {"weights/000": np.ones(3)}
    after = {train(states=[state], epoch=2) for state in (first, other)}
    assert len({train(), *after, train(states=[first, first], epoch=3)}) == 4
    assert train(states=[first], epoch=2) in after


def test_name_data_and_kind_are_in_the_keys():
    keys = [train(), train(name="cnn3"), train(data="other"), train(PRIVATE), score(), score(data="other")]
    keys += [reference(), reference(data="other"), reference(PRIVATE)]
    assert len(set(keys)) == len(keys)


def test_where_the_examples_lie_is_in_no_key():
    here, there = (plan.target("a", ORDINARY, Source(at, at, "data")).inputs for at in "xy")
    assert here == there


def test_a_references_key_has_its_name_members_and_epoch():
    keys = [reference(), reference(i=1), reference(epoch=4), reference(seed=1), reference(fraction=2 / 3)]
    assert len(set(keys)) == len(keys)
    assert reference(epochs=10) == reference(), "fewer epochs are the first of many"
    secret = replace(PRIVATE, privacy=replace(PRIVATE.privacy, seed="secret"))
    assert reference(secret) == reference(PRIVATE), "the attacker's own noise is no secret"


def test_a_score_depends_on_the_model_of_the_checkpoint_and_on_whom_it_scores():
    extra = {"optimizer/000": np.ones(3), "history/val_loss": np.ones(()), "epoch": np.array(7)}
    assert score(state=STATE | extra) == score()
    changes = [{"weights/000": np.ones(3)}, {"architecture": np.array("[]")}, {"weights/001": np.zeros(1)}]
    keys = [score(state=STATE | change) for change in changes]
    keys += [score(), score(canaries=True), score(model=Component(SMALL_CNN, {"filters": 16}))]
    assert len(set(keys)) == len(keys)


def test_what_is_asked_is_in_the_keys_of_scores_and_references():
    asked = [None, Queries(mirror=True), Queries(shift=3), Queries(mirror=True, shift=3), Queries(shift=2)]
    scored = {score(queries=queries) for queries in asked}
    trained = {reference(replace(ORDINARY, queries=queries)) for queries in asked}
    assert len(scored) == len(trained) == len(asked)


def test_each_parameter_of_an_attack_is_in_the_keys_of_those_that_read_it():
    names = ("threshold", "logistic", "trajectory", "lira", "")
    before = {name: attack(name) for name in names}
    swapped = {"estimators": DEFAULT.estimators | {"logistic": DEFAULT.estimators["knn"]}}
    settings = replace(DEFAULT.estimators["logistic"], settings={"C": 2.0})
    for changes, expected in (
        ({"slices": ["entire"]}, {*names} - {""}),
        ({"delta": 1e-6}, {*names} - {""}),
        ({"seed": 1}, {*names}),
        ({"folds": 4}, {"logistic"}),
        (swapped, {"logistic"}),
        ({"estimators": DEFAULT.estimators | {"logistic": settings}}, {"logistic"}),
        ({"estimators": DEFAULT.estimators | {"mine": Estimator("sklearn.naive_bayes.GaussianNB")}}, set()),
    ):
        after = {name: attack(name, replace(DEFAULT, **changes)) for name in names}
        assert {name for name in names if after[name] != before[name]} == expected, changes
    assert attack("threshold", PARITY) != before["threshold"]


def test_groups_are_in_the_keys_of_attacks_by_name_positions_and_order():
    first, second = {"a": Group((1,))}, {"a": Group((2,))}
    both = first | {"b": Group((2,))}
    turned = dict(reversed(both.items()))
    keys = [attack("threshold", groups=groups) for groups in (None, first, second, both, turned)]
    assert len(set(keys)) == len(keys)


def test_an_attack_that_is_added_leaves_the_others_alone():
    more = replace(DEFAULT, attacks=["threshold_entropy", *DEFAULT.attacks, "knn"])
    before, after = (checkpoint.planned(params, None).inputs for params in (DEFAULT, more))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"threshold_entropy", "knn"}


OF_TWO = (("logits", (2, 3), float), ("labels", 2, int))


def test_facts_of_references_have_keys_of_their_own(tmp_path):
    sides = {
        f"{side}_{what}": np.zeros(shape, kind)
        for side in ("member", "nonmember")
        for what, shape, kind in OF_TWO
    }
    np.savez(tmp_path / "epoch_0002.npz", **sides)
    np.save(tmp_path / "trains.npy", np.zeros((0, 3), bool))
    facts = variant.read_inputs(DEFAULT, None, tmp_path, tmp_path).facts
    assert len({digest(inputs) for inputs in facts.values()}) == len(facts) == 4
