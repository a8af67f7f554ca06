"""Clipped gradients against an oracle that differentiates one example at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from stacks import batch, flat, frozen, stack

from privacy_report.training import per_example
from privacy_report.training import private_gradient as private

L = keras.layers


def examples_gradients(model, images, labels):
    """The oracle: a tape per example over the Keras model itself, one flat float64 row each."""
    rows = []
    for image, label in zip(images, labels, strict=True):
        with tf.GradientTape() as tape:
            logits = model(image[None], training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(label[None], logits)
        rows.append(flat(tape.gradient(loss, model.trainable_variables)))
    return np.stack(rows)


def clipped(rows, clip):
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.minimum(1, clip / norms)).sum(axis=0)


def graph_sum(model, clip):
    """clipped_sum as the loop has it: in a graph, the batch size unknown."""
    shape = model.input_shape[1:]
    run = tf.function(lambda images, labels: private.clipped_sum(model, images, labels, clip))
    return run.get_concrete_function(
        tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int32)
    )


FAST = {
    "codelab": lambda: [
        L.Conv2D(4, 3, activation="relu"),
        L.MaxPooling2D(),
        L.Conv2D(5, 2, activation="tanh"),
    ],
    "no bias, same": lambda: [L.Conv2D(4, 3, padding="same", use_bias=False), L.ReLU()],
    "strides": lambda: [
        L.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="elu"),
        L.Conv2D(3, 3, strides=2, padding="same", use_bias=False),
    ],
    "even kernel, strides, same": lambda: [L.Conv2D(4, 4, strides=3, padding="same"), L.AveragePooling2D(2)],
    "dilation": lambda: [
        L.Conv2D(4, 3, dilation_rate=2, padding="same"),
        L.Conv2D(2, 2, dilation_rate=(3, 2)),
    ],
    "three": lambda: [
        L.Conv2D(3, 2, activation="relu"),
        L.Conv2D(3, 2, padding="same", activation="relu"),
        L.Conv2D(4, 3, strides=2, use_bias=False, activation="tanh"),
    ],
    "frozen front": lambda: [frozen(L.SeparableConv2D(6, 3), L.GroupNormalization(2)), L.Conv2D(3, 2)],
    "one place": lambda: [L.Conv2D(4, (9, 8))],
    "dense on places": lambda: [L.Dense(4, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(5)],
}
GENERIC = {
    "groups": lambda: [L.Conv2D(6, 3, groups=3, activation="relu")],
    "separable": lambda: [L.SeparableConv2D(4, 3), L.ReLU()],
    "normalised": lambda: [L.Conv2D(4, 3), L.GroupNormalization(2)],
}


@pytest.mark.parametrize("name", [*FAST, *GENERIC])
def test_clipped_sum_equals_the_sum_of_clipped_single_gradients(name, monkeypatch):
    monkeypatch.setattr(private, "CHUNK", 4)  # three chunks, the last smaller
    model = stack(*(FAST | GENERIC)[name]())
    assert (private.accept(model) is None) == (name in FAST)
    images, labels = batch(11)
    rows = examples_gradients(model, images, labels)
    clip = float(np.median(np.linalg.norm(rows, axis=1)))
    expected = clipped(rows, clip)
    sums, losses, logits, _ = graph_sum(model, clip)(images, labels)
    assert [s.shape for s in sums] == [v.shape for v in model.trainable_variables]
    assert np.linalg.norm(flat(sums) - expected) <= 1e-5 * np.linalg.norm(expected)
    np.testing.assert_allclose(logits, model(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        losses, tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", FAST)
def test_explicit_gradients_equal_those_of_vectorized_map(name):
    model, (images, labels) = stack(*FAST[name]()), batch(7)
    explicit, generic = (
        work(model, images, labels)[0] for work in (per_example.explicit, per_example.generic)
    )
    for (ours, our_sum), (theirs, their_sum) in zip(explicit, generic, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        for chosen in tf.eye(7):  # picks a single example's gradient
            wanted = their_sum(chosen)
            assert np.linalg.norm(our_sum(chosen) - wanted) <= 1e-5 * np.linalg.norm(wanted) + 1e-12


FROZEN = {
    "a layer": {"second": False},
    "a kernel": {"first.kernel": False},
    "a bias": {"second.bias": False},
    "all kernels": {"first.kernel": False, "second.kernel": False, "last.kernel": False},
    "a kernel and a layer": {"first.kernel": False, "last": False},
    "a layer except for its bias": {"second": False, "second.bias": True},
    "a layer's weights, and in name alone a layer of the same shapes": {
        "first": False,
        "first.kernel": True,
        "first.bias": True,
        "second.kernel": False,
        "second.bias": False,
    },
}
"""What becomes of `trainable` in two equal convolutions and the last layer, one after the other."""


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_frozen_has_no_gradient_and_counts_nothing(name):
    """A layer's own `trainable` does not say which of its weights learn."""
    model = stack(L.Conv2D(3, 3, activation="relu"), L.Conv2D(3, 3, activation="tanh"))
    layers = dict(zip(("first", "second", "last"), (x for x in model.layers if x.weights), strict=True))
    for place, trainable in FROZEN[name].items():
        layer, _, weight = place.partition(".")
        (getattr(layers[layer], weight) if weight else layers[layer]).trainable = trainable
    assert 0 < len(model.trainable_variables) < 6
    assert private.accept(model) is None
    images, labels = batch(5)
    rows = examples_gradients(model, images, labels)
    for work in (per_example.explicit, per_example.generic):
        gradients, *_ = work(model, images, labels)
        np.testing.assert_allclose(sum(squares for squares, _ in gradients), (rows**2).sum(1), rtol=1e-4)
    sums, *_ = graph_sum(model, 0.1)(images, labels)
    assert [s.shape for s in sums] == [v.shape for v in model.trainable_variables]
    np.testing.assert_allclose(flat(sums), clipped(rows, 0.1), rtol=1e-4, atol=1e-7)


def test_a_nested_stack_that_is_frozen_in_part_takes_the_generic_path():
    inner = keras.Sequential([L.Conv2D(3, 3, activation="relu"), L.Conv2D(3, 3)])
    model = stack(inner)
    inner.trainable = False
    inner.layers[1].trainable = True
    assert len(model.trainable_variables) == 4
    assert "is a Sequential" in private.accept(model)
    images, labels = batch(5)
    sums, *_ = graph_sum(model, 0.1)(images, labels)
    expected = clipped(examples_gradients(model, images, labels), 0.1)
    np.testing.assert_allclose(flat(sums), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("clip", [1e-3, 0.3, 2.0])
def test_no_example_and_no_sum_exceeds_its_bound(clip):
    model = stack(L.Conv2D(4, 3, activation="relu"))
    run = graph_sum(model, clip)
    images, labels = batch(12)
    images *= tf.constant(10.0 ** np.arange(-4, 8, dtype=np.float32))[:, None, None, None]
    for i in range(12):
        assert np.linalg.norm(flat(run(images[i : i + 1], labels[i : i + 1])[0])) <= clip * (1 + 1e-5)
    assert np.linalg.norm(flat(run(images, labels)[0])) <= 12 * clip * (1 + 1e-5)


def test_an_example_without_a_gradient_leaves_the_others_alone():
    model = stack(L.ReLU())
    model.layers[-1].kernel.assign(tf.zeros_like(model.layers[-1].kernel))
    model.layers[-1].bias.assign([200.0, 0.0, 0.0])  # class 0 has probability 1 in float32
    images, _ = batch(2)
    run = graph_sum(model, 1.0)
    alone = flat(run(images[1:], tf.constant([1]))[0])
    assert np.isclose(np.linalg.norm(alone), 1)
    np.testing.assert_array_equal(flat(run(images, tf.constant([0, 1]))[0]), alone)


@pytest.mark.parametrize("clip", [0.3, 1.0, 7.0, float("inf")])
def test_clipping_factors_are_rounded_alike_on_every_processor(clip):
    squares = np.random.default_rng(0).lognormal(0, 5, 1000).astype(np.float32)
    squares[:3] = 0, 1e-44, 3e38
    run = tf.function(lambda values: private.clip([(values, lambda factors, keep=None: factors)], clip)[0])
    factors = run(squares)[0]
    with np.errstate(divide="ignore"):
        expected = np.minimum(np.float32(1), np.float32(clip) / np.sqrt(squares))  # each correctly rounded
    np.testing.assert_array_equal(factors, expected)


@pytest.mark.parametrize("name", ["codelab", "one place", "dense on places", "groups", "normalised"])
def test_an_example_whose_gradient_is_not_finite_adds_nothing(name, monkeypatch):
    monkeypatch.setattr(private, "CHUNK", 8)  # once among sound ones, once in a chunk of its own
    model, clip = stack(*(FAST | GENERIC)[name]()), 0.1
    run = graph_sum(model, clip)
    images, labels = (tensor.numpy() for tensor in batch(9))
    for place in (2, 8):
        rest = [i for i in range(9) if i != place]
        others = flat(run(images[rest], labels[rest])[0])
        for value in (np.nan, np.inf, -np.inf, 3e38, 1e25):  # the last two overflow a gradient, a norm
            images[place] = value
            moved = np.linalg.norm(flat(run(images, labels)[0]) - others)
            assert moved <= clip * (1 + 1e-4), value
            assert np.isfinite(value) or moved <= 1e-5 * np.linalg.norm(others), value


def test_one_pixel_that_is_not_finite_reaches_no_other_example():
    model = stack(*FAST["codelab"]())
    images, labels = batch(6)
    rows = images.numpy()
    rows[3, 4, 4, 1] = np.inf
    sums = flat(graph_sum(model, 0.1)(rows, labels)[0])
    rest = [0, 1, 2, 4, 5]
    expected = clipped(examples_gradients(model, images.numpy()[rest], labels.numpy()[rest]), 0.1)
    np.testing.assert_allclose(sums, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["codelab", "groups"])
def test_an_empty_batch_gives_zeros(name):
    model = stack(*(FAST | GENERIC)[name]())
    sums, losses, logits, _ = graph_sum(model, 1.0)(*batch(0))
    assert not flat(sums).any()
    assert losses.shape == (0,)
    assert logits.shape == (0, 3)


def test_dropout_draws_for_each_example_and_step():
    model = stack(L.Dropout(0.5))
    images, labels = tf.ones((4, 9, 8, 3)), tf.zeros(4, tf.int32)
    run = graph_sum(model, 1.0)
    losses = np.concatenate([run(images, labels)[1] for _ in range(2)])
    assert len(set(losses)) == 8


def test_models_that_are_no_plain_stack_fall_back_and_say_so():
    inputs = L.Input((9, 8, 3))
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(inputs)), name="functional")
    assert private.accept(model) == (
        "model functional is no plain keras.Sequential: its per-example gradients come from "
        "tf.vectorized_map, which may be slower"
    )
    images, labels = batch(4)
    sums, *_ = graph_sum(model, 0.2)(images, labels)
    np.testing.assert_allclose(
        flat(sums), clipped(examples_gradients(model, images, labels), 0.2), rtol=1e-4, atol=1e-7
    )
