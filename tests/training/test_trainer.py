"""The trainer: exact resume in every regime, and the same learning curve as Model.fit."""

import math

import keras
import numpy as np
import pytest
from small import make_trainer, small_cnn

from privacy_report.datasets import digits
from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.contract import HISTORY
from privacy_report.pipeline.files import read_arrays, write_arrays
from privacy_report.training.data import Data
from privacy_report.training.epochs import Epoch
from privacy_report.training.schema import Privacy, Variant

SMALL = small_cnn(filters=4, dense_units=8)


@pytest.fixture(scope="module")
def data() -> Data:
    """The digits, two thirds of them members."""
    examples = digits.load()
    return Data(examples.images, examples.labels, np.arange(1200), np.arange(1200, 1797), 10)


def variant(**changes) -> Variant:
    return Variant(**({"label": "V", "model": SMALL, "epochs": 4, "epochs_per_report": 2} | changes))


def private(**changes) -> Privacy:
    return Privacy(**({"noise_multiplier": 1.0, "delta": 1e-5} | changes))


def weights(arrays) -> list[np.ndarray]:
    return [value for key, value in arrays.items() if key.startswith(("weights/", "optimizer/"))]


@pytest.mark.parametrize("privacy", [None, private()], ids=["ordinary", "private"])
def test_resumed_epochs_are_bit_identical(privacy, data, tmp_path):
    config = variant(privacy=privacy)
    straight = make_trainer("v", config, data)
    straight.run(1)
    expected = [straight.run(epoch) for epoch in (2, 3)]
    first = make_trainer("v", config, data)
    write_arrays(tmp_path / "1.npz", first.run(1))
    resumed = make_trainer("v", config, data)
    resumed.restore(read_arrays(tmp_path / "1.npz"))
    got = [resumed.run(epoch) for epoch in (2, 3)]
    for a, b in zip(expected, got, strict=True):
        assert len(weights(a)) > 10
        for x, y in zip(weights(a), weights(b), strict=True):
            np.testing.assert_array_equal(x, y)
        for key in HISTORY[:4]:
            np.testing.assert_array_equal(a[f"history/{key}"], b[f"history/{key}"])


def test_variants_and_seeds_start_from_other_weights_and_go_other_ways(data):
    makers = [make_trainer(name, variant(seed=seed), data) for name, seed in (("a", 0), ("b", 0), ("a", 1))]
    starts = [np.array(trainer.model.get_weights()[0]) for trainer in makers]
    orders = [trainer.regime.batches(1).rows for trainer in makers]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(starts[i], starts[j])
        assert not np.array_equal(orders[i], orders[j])
    again = make_trainer("a", variant(seed=1), data).model.get_weights()[0]
    np.testing.assert_array_equal(starts[2], again)


RUNNING = ("history/running_loss", "history/running_accuracy")


def test_running_measurements_of_private_examples_are_kept_only_where_asked_for(data):
    silent, said = (
        make_trainer("v", variant(privacy=private(keep_running=keep)), data).run(1) for keep in (False, True)
    )
    assert all(math.isnan(float(silent[key])) for key in RUNNING)
    assert all(0 < float(said[key]) < 5 for key in RUNNING)
    for key in said.keys() - set(RUNNING):  # weights, generators, and what other data measure
        np.testing.assert_array_equal(silent[key], said[key])


def diverged(what: str) -> str:
    return rf"^v: diverged in epoch 1, its {what} is NaN or infinite; a smaller learning_rate may help$"


@pytest.mark.parametrize("privacy", [None, private(noise_multiplier=1e3)], ids=["ordinary", "private"])
def test_a_model_whose_weights_overflow_ends_at_that_epoch(privacy, data):
    """Plain gradient descent with steps of 1e38, without other examples that would show it."""
    alone = Data(data.images, data.labels, data.train, np.empty(0, np.int64), data.n_classes)
    config = variant(optimizer=Component("keras.optimizers.SGD"), learning_rate=1e38, privacy=privacy)
    with pytest.raises(UserError, match=diverged(r"(training loss|weight \S+)")):
        make_trainer("v", config, alone).run(1)


@pytest.mark.parametrize(
    ("privacy", "ends"),
    [(None, True), (private(keep_running=True), True), (private(), False)],
    ids=["ordinary", "private, kept", "private"],
)
@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_training_loss_ends_the_run_where_it_is_kept_and_decides_nothing_else(loss, privacy, ends, data):
    trainer = make_trainer("v", variant(privacy=privacy), data)
    trainer._train = lambda batches: Epoch(loss, 0.5)
    if not ends:
        assert math.isnan(float(trainer.run(1)["history/running_loss"]))
        return
    with pytest.raises(UserError, match=diverged("training loss")):
        trainer.run(1)


@pytest.mark.parametrize("logit", [math.nan, math.inf])
def test_a_validation_loss_that_is_not_finite_ends_the_run(logit, data):
    trainer = make_trainer("v", variant(privacy=private()), data)
    trainer.predict = lambda images, rows: np.full((len(rows), 10), logit, np.float32)
    with pytest.raises(UserError, match=diverged("validation loss")):
        trainer.run(1)


def test_private_history_has_the_budget_of_the_steps_taken_and_ordinary_has_none(data):
    budget = [
        float(make_trainer("v", variant(privacy=private()), data).run(epoch)["history/epsilon"])
        for epoch in (1, 2)
    ]
    assert 0 < budget[0] < budget[1]
    assert math.isnan(float(make_trainer("v", variant(), data).run(1)["history/epsilon"]))


def test_target_epsilon_is_met_at_the_last_epoch(data):
    trainer = make_trainer("v", variant(privacy=Privacy(target_epsilon=5.0), epochs=3), data)
    spent = trainer.regime.spent(3)
    assert 4.9 < spent.epsilon <= 5.0
    assert trainer.regime.spent(2).epsilon < spent.epsilon


@pytest.mark.slow
def test_secret_seed_never_repeats(data):
    config = variant(privacy=private(seed="secret"))
    first, second = (make_trainer("v", config, data).run(1) for _ in range(2))
    assert not np.array_equal(first["weights/000"], second["weights/000"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"privacy": private(delta=0.01)}, "privacy.delta: got 0.01"),
        ({"privacy": private(), "batch_size": 5000}, "batch_size: got 5000"),
        ({"model": small_cnn(num_conv=4)}, r"num_conv: got 4, allowed: 1\.\.3 for images of 32 x 32"),
        ({"model": Component("own_nets.frozen")}, r"own_nets\.frozen gives a model whose weights are all"),
    ],
)
def test_impossible_values_are_refused(changes, words, data):
    with pytest.raises(UserError, match=words):
        make_trainer("v", variant(**changes), data)


def test_checkpoint_of_another_model_is_refused(data):
    saved = make_trainer("v", variant(), data).run(1)
    with pytest.raises(UserError, match="does not fit"):
        make_trainer("v", variant(model=small_cnn(filters=5, dense_units=8)), data).restore(saved)


def test_same_learning_curve_as_keras_from_the_same_weights_in_the_same_order(data):
    trainer = make_trainer("v", variant(), data)
    model = keras.models.clone_model(trainer.model)
    model.set_weights(trainer.model.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(variant().learning_rate), loss, metrics=["accuracy"])
    x, y = data.images.astype(np.float32) / 255, data.labels
    for epoch in (1, 2, 3):
        ours, batches = trainer.run(epoch), trainer.regime.batches(epoch)
        for row, size in zip(batches.rows, batches.sizes, strict=True):
            index = data.train[row[:size]]
            model.train_on_batch(x[index], y[index])
        val_loss, val_accuracy = model.evaluate(x[data.validation], y[data.validation], verbose=0)
        assert float(ours["history/val_loss"]) == pytest.approx(val_loss, rel=1e-4)
        assert float(ours["history/val_accuracy"]) == pytest.approx(val_accuracy, abs=1e-6)


def test_without_validation_examples_training_goes_on_and_says_that_nothing_was_measured(data):
    alone = Data(data.images, data.labels, data.train, np.empty(0, np.int64), data.n_classes)
    with_them, without = (make_trainer("v", variant(), given).run(1) for given in (data, alone))
    for a, b in zip(weights(with_them), weights(without), strict=True):
        np.testing.assert_array_equal(a, b)
    assert math.isnan(float(without["history/val_loss"]))
    assert math.isnan(float(without["history/val_accuracy"]))
