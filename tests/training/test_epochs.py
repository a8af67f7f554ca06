"""The epoch loop against plain Keras: same gradients, same steps, any kind of layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_cnn

from privacy_report.datasets import digits
from privacy_report.training import backend, models
from privacy_report.training.epochs import Batches, epoch_runner, mean_gradient

RNG = np.random.default_rng(0)
SHAPE, CLASSES = (12, 12, 2), 4


def cnn() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(SHAPE),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def mixed() -> keras.Model:
    """Batch statistics, dropout and a regulariser: state and losses next to the weights."""
    layers = keras.layers
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling2D()(layers.Dropout(0.3)(x))
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def data(n: int, tied: bool = False):
    images = RNG.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
    if tied:  # flat images: every pooling window is a tie
        images[:] = images[:, :1, :1]
    return images, RNG.integers(0, CLASSES, n)


def batches(n: int, size: int) -> Batches:
    order = RNG.permutation(n).astype(np.int32)
    steps = -(-n // size)
    rows = np.zeros((steps, size), np.int32)
    rows.flat[:n] = order
    sizes = np.full(steps, size, np.int32)
    sizes[-1] = n - size * (steps - 1)
    return Batches(rows, sizes, np.zeros((steps, 2), np.int32))


@pytest.mark.parametrize("real", [True, False], ids=["digits", "tied maxima"])
def test_gradient_equals_gradient_tape_on_plain_keras(real):
    keras.utils.set_random_seed(1)
    if real:
        examples = digits.load()
        images, labels = examples.images, examples.labels
        model = models.build(small_cnn(), images.shape[1:], 10, 1)
    else:
        images, labels = data(20 * 8, tied=True)
        model = cnn()
    classes = model.output_shape[-1]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    gradient = tf.function(mean_gradient(model))
    for i in range(20):
        x, y = images[i * 8 : i * 8 + 8], labels[i * 8 : i * 8 + 8]
        with tf.GradientTape() as tape:
            value = loss(y, model(x.astype(np.float32) / 255, training=True))
        expected = tape.gradient(value, model.trainable_variables)
        got, losses, logits = gradient(backend.to_input(tf.constant(x)), tf.constant(y), None)
        for a, b in zip(got, expected, strict=True):
            assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(b)
        assert float(tf.reduce_mean(losses)) == pytest.approx(float(value), rel=1e-6)
        assert logits.shape == (8, classes)


def test_one_epoch_equals_train_on_batch_with_a_partial_last_batch():
    keras.utils.set_random_seed(2)
    ours = cnn()
    theirs = keras.models.clone_model(ours)
    theirs.set_weights(ours.get_weights())
    images, labels = data(53)
    plan = batches(53, 10)
    run = epoch_runner(
        ours, keras.optimizers.Adam(0.01), images, labels, np.arange(len(labels)), mean_gradient(ours)
    )
    epoch = run(plan)
    theirs.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    theirs.optimizer.learning_rate = 0.01
    sums = np.zeros(2)
    for row, size in zip(plan.rows, plan.sizes, strict=True):
        index = row[:size]
        theirs.reset_metrics()
        sums += size * np.array(theirs.train_on_batch(images[index] / 255.0, labels[index]))
    assert (epoch.loss, epoch.accuracy) == pytest.approx(tuple(sums / 53), rel=1e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_loop_updates_batch_statistics_and_adds_regularisers():
    keras.utils.set_random_seed(3)
    model = mixed()
    before = [v.numpy() for v in model.non_trainable_variables]
    images, labels = data(40)
    _, losses, _ = mean_gradient(model)(backend.to_input(tf.constant(images)), tf.constant(labels), None)
    assert losses.shape == (40,)
    epoch_runner(
        model, keras.optimizers.Adam(), images, labels, np.arange(len(labels)), mean_gradient(model)
    )(batches(40, 10))
    after = [v.numpy() for v in model.non_trainable_variables]
    assert len(before) >= 2
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_predictor_equals_keras_predict_in_the_order_of_the_indices():
    keras.utils.set_random_seed(4)
    model = mixed()
    images, _ = data(backend.CHUNK + 37)
    index = RNG.permutation(len(images))
    got = backend.predictor(model)(images, index)
    expected = model.predict(images[index].astype(np.float32) / 255, verbose=0)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)
