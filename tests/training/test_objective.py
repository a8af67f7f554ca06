"""A variant's loss by its import path: tried before training, taken by every way of training, or refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import make_trainer, small_cnn

from privacy_report.errors import UserError
from privacy_report.pipeline.component import Component
from privacy_report.training import isolation, objective, per_example
from privacy_report.training import private_gradient as private
from privacy_report.training.data import Data
from privacy_report.training.epochs import mean_gradient
from privacy_report.training.private import Private
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.watch import Watch

LIBRARY = "privacy_report.training.losses"
OWN = Component("own_losses.squared", {"scale": 3.0})
LOSSES = [
    *(Component(f"{LIBRARY}.{name}") for name in ("label_smoothing", "confidence_penalty", "focal_loss")),
    Component(f"{LIBRARY}.relax_loss", {"alpha": 1.2}),
    Component("keras.losses.sparse_categorical_crossentropy", {"from_logits": True}),
    OWN,
]
MIXING = ["less_the_mean", "shared", "slopes_of_others", "by_its_neighbour"]
SHAPE, CLASSES = (9, 8, 3), 3


def of_path(component):
    return component.path


@pytest.mark.parametrize("chosen", LOSSES, ids=of_path)
@pytest.mark.parametrize("n_classes", [2, 10])
def test_losses_of_each_example_are_taken(chosen, n_classes):
    isolation.require_isolated_loss(objective.build(chosen, n_classes), n_classes)
    isolation.require_isolated_loss(objective.build(None, n_classes), n_classes)


def test_without_a_loss_it_is_tensorflows_operation_and_none_other():
    loss = objective.build(None, CLASSES)

    @tf.function
    def graph(labels, logits):
        return loss(labels, logits)

    made = graph.get_concrete_function(tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, CLASSES)))
    kinds = {operation.type for operation in made.graph.get_operations()} - {
        "Placeholder",
        "Identity",
        "Shape",
        "Const",
    }
    assert kinds == {"SparseSoftmaxCrossEntropyWithLogits"}


@pytest.mark.parametrize(
    ("path", "settings", "words"),
    [
        ("no_such_losses.f", {}, r"loss\.path: cannot import no_such_losses\.f: ModuleNotFoundError"),
        ("own_losses.f", {}, r"loss\.path: own_losses has no 'f'"),
        ("own_losses.NUMBER", {}, r"loss\.path: own_losses\.NUMBER is no function or class"),
        ("own_losses.squared", {"scales": 2}, r"loss\.settings: got 'scales', allowed: scale"),
        (
            "own_losses.of_the_batch",
            {},
            r"of_the_batch gives a tensor of shape \(\), allowed: a float32 tensor",
        ),
        ("own_losses.of_each_class", {}, r"of_each_class gives a tensor of shape \(8, 3\)"),
        ("own_losses.in_float64", {}, r"in_float64 gives a tensor of float64"),
        ("own_losses.of_numpy", {}, r"of_numpy gives a ndarray"),
        ("own_losses.nan_where_equal", {}, r"nan_where_equal gives losses that are NaN"),
        ("own_losses.nan_slopes", {}, r"nan_slopes gives slopes that are NaN"),
        ("own_losses.of_no_logit", {}, r"of_no_logit gives a loss that no logit moves"),
        ("own_losses.noisy", {}, r"noisy draws random numbers"),
        ("own_losses.noisy_in_python", {}, r"noisy_in_python draws random numbers"),
        ("own_losses.with_a_variable", {}, r"has a variable, which no checkpoint holds"),
        ("own_losses.raises", {}, r"own_losses\.raises raises KeyError: 'a bug"),
        ("own_losses.raises_in_a_graph", {}, r"cannot be used in a TensorFlow graph \(AttributeError"),
        (f"{LIBRARY}.label_smoothing", {"smoothing": 2}, r"loss\.settings: smoothing: got 2, allowed: 0 <= "),
        ("keras.losses.MeanSquaredError", {}, r"loss\."),
    ],
)
def test_a_mistake_in_a_loss_is_one_line(path, settings, words):
    with pytest.raises(UserError, match=words) as error:
        objective.build(Component(path, settings), CLASSES)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("loss.")


@pytest.mark.parametrize("name", MIXING)
def test_a_loss_that_mixes_examples_is_refused_for_private_variants_alone(name):
    loss = objective.build(Component(f"own_losses.{name}"), CLASSES)
    with pytest.raises(UserError, match=r"^loss\.path: the loss mixes the examples of a batch") as error:
        private.accept(model_of(), loss)
    assert "\n" not in str(error.value)


def model_of(*more):
    keras.utils.set_random_seed(0)
    L = keras.layers
    stack = [L.Input(SHAPE), L.Conv2D(4, 3, activation="relu"), *more, L.Flatten(), L.Dense(CLASSES)]
    model = keras.Sequential(stack)
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.1, variable.shape))
    return model


def batch(size):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((size, *SHAPE)), tf.float32)
    return images, tf.constant(rng.integers(0, CLASSES, size), tf.int32)


def flat(tensors):
    return np.concatenate([np.ravel(tensor) for tensor in tensors]).astype(np.float64)


def one_by_one(model, loss, images, labels):
    """The oracle: a tape per example, rows of flat gradients."""
    rows = []
    for i in range(len(labels)):
        with tf.GradientTape() as tape:
            value = loss(labels[i : i + 1], model(images[i : i + 1], training=True))[0]
        rows.append(flat(tape.gradient(value, model.trainable_variables)))
    return np.stack(rows)


@pytest.mark.parametrize("chosen", LOSSES, ids=of_path)
def test_gradients_are_of_the_loss_in_every_way_of_training(chosen):
    loss, model, (images, labels) = objective.build(chosen, CLASSES), model_of(), batch(9)
    rows = one_by_one(model, loss, images, labels)
    plain = one_by_one(model, objective.cross_entropy, images, labels)
    if chosen.path != "keras.losses.sparse_categorical_crossentropy":
        assert np.abs(rows - plain).max() > 0.01  # else this would show nothing
    ordinary, losses, _ = mean_gradient(model, loss)(images, labels, None)
    np.testing.assert_allclose(flat(ordinary), rows.mean(0), atol=1e-6)
    np.testing.assert_allclose(losses, loss(labels, model(images)), rtol=1e-5)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    expected = (rows * np.minimum(1, clip / np.linalg.norm(rows, axis=1))[:, None]).sum(0)
    for work in (per_example.explicit, per_example.generic):
        gradients, example_losses, _ = work(model, images, labels, loss)
        sums, _ = private.clip(gradients, clip)
        np.testing.assert_allclose(flat(sums), expected, atol=2e-6)
        np.testing.assert_allclose(example_losses, losses, rtol=1e-5)
    means, _, _ = private.gradient(model, clip, 0.0, 9, loss=loss)(images, labels, tf.zeros(2, tf.int64))
    np.testing.assert_allclose(9 * flat(means), expected, atol=2e-6)


@pytest.mark.parametrize("more", [[], [keras.layers.GroupNormalization(2)]], ids=["explicit", "generic"])
def test_the_self_check_recomputes_a_step_with_the_loss(more):
    loss, model, (images, labels) = objective.build(OWN, CLASSES), model_of(*more), batch(6)
    watch = Watch(model, 1, 1.0, 0.5, 6, False, loss=loss)
    watch.begin(1)
    private.gradient(model, 0.5, 1.0, 6, watch=watch.see, loss=loss)(images, labels, tf.zeros(2, tf.int64))
    assert watch.seen().recomputed < 1e-5
    other = Watch(model, 1, 1.0, 0.5, 6, False)
    other.begin(1)
    private.gradient(model, 0.5, 1.0, 6, watch=other.see, loss=loss)(images, labels, tf.zeros(2, tf.int64))
    assert other.seen().recomputed > 0.01


def digits(n=200):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=n).astype(np.int32)
    images = rng.integers(0, 100, (n, 10, 10, 1)) + 60 * labels[:, None, None, None]
    return Data(images.astype(np.uint8), labels, np.arange(n // 2), np.arange(n // 2, n), 3)


@pytest.mark.parametrize("privacy", [None, Privacy(noise_multiplier=0.5)], ids=["ordinary", "private"])
def test_a_variant_trains_with_its_loss_and_is_measured_by_cross_entropy(privacy):
    """The running loss is the variant's own, the validation loss everybody's."""
    data = digits()
    config = Variant(
        "V", small_cnn(num_conv=1, filters=4), batch_size=20, privacy=privacy, loss=OWN, epochs_per_report=1
    )
    if privacy:
        privacy.keep_running = True
    trainer = make_trainer("v", config, data)
    state = trainer.run(1)
    logits = trainer.predict(data.images, data.validation)
    labels = data.labels[data.validation]
    expected = objective.cross_entropy(tf.constant(labels), tf.constant(logits)).numpy().mean()
    assert float(state["history/val_loss"]) == pytest.approx(float(expected), rel=1e-5)
    plain = make_trainer("v", Variant("V", config.model, batch_size=20, privacy=privacy), data).run(1)
    assert state["history/running_loss"] > plain["history/running_loss"]
    assert not np.array_equal(state["weights/000"], plain["weights/000"])
    if privacy:
        regime = trainer.regime
        assert isinstance(regime, Private)
        assert regime._watch.seen().recomputed < 0.01


def test_a_loss_in_nets_is_declared_and_a_mistake_in_it_ends_training_before_it_begins():
    config = Variant("V", small_cnn(num_conv=1), loss=Component("own_losses.of_the_batch"))
    with pytest.raises(
        UserError, match=r"^loss\.path: own_losses\.of_the_batch gives a tensor of shape \(\)"
    ):
        make_trainer("v", config, digits())
