"""A private step: the sum of clipped gradients, its noise and its scale."""

import keras
import numpy as np
import tensorflow as tf
from stacks import batch, flat, stack

from privacy_report.training import private_gradient as private
from privacy_report.training import sampling

L = keras.layers


def layers():
    return [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(), L.Conv2D(5, 2, activation="tanh")]


def test_without_noise_and_clipping_a_step_equals_a_plain_adam_step():
    models = [stack(*layers()) for _ in range(2)]
    models[1].set_weights(models[0].get_weights())
    optimizers = [keras.optimizers.Adam(0.01) for _ in models]
    private_gradient = private.gradient(models[1], float("inf"), 0.0, 20)
    for step in range(3):
        images, labels = batch(20, seed=step)
        with tf.GradientTape() as tape:
            logits = models[0](images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        plain = tape.gradient(loss, models[0].trainable_variables)
        ours, _, _ = private_gradient(images, labels, tf.constant([1, 2], tf.int64))
        assert np.linalg.norm(flat(ours) - flat(plain)) <= 1e-5 * np.linalg.norm(flat(plain))
        for model, optimizer, gradients in zip(models, optimizers, (plain, ours), strict=True):
            optimizer.apply(gradients, model.trainable_variables)
    np.testing.assert_allclose(*(flat(model.trainable_variables) for model in models), rtol=1e-3, atol=1e-5)


def test_a_step_divides_by_the_expected_batch_size_and_noises_by_the_clip():
    model = stack(L.ReLU())
    seed = tf.constant([3, 4], tf.int64)
    ours, _, _ = private.gradient(model, 0.5, 3.0, 8)(*batch(2), seed)
    sums, *_ = private.clipped_sum(model, *batch(2), 0.5)
    noises = private.noise(model.trainable_variables, 1.5, seed)
    np.testing.assert_allclose(flat(ours), (flat(sums) + flat(noises)) / 8, rtol=1e-6)


def test_the_standard_deviation_of_the_noise_is_as_stated():
    seeds = sampling.step_seeds(5, epoch=1, steps=10_000)
    variables = [tf.zeros(1), tf.zeros((2, 3))]
    scalars, matrices = tf.function(
        lambda: tf.map_fn(
            lambda seed: private.noise(variables, 0.7, seed), seeds, fn_output_signature=[tf.float32] * 2
        )
    )()
    values = np.concatenate([scalars, np.reshape(matrices, (10_000, 6))], axis=1)
    np.testing.assert_allclose(values.std(axis=0), 0.7, rtol=0.03)  # 4 standard errors each of the seven
    np.testing.assert_allclose(values.std(), 0.7, rtol=0.02)
    assert abs(values.mean()) < 4 * 0.7 / np.sqrt(values.size)
    correlations = np.corrcoef(values.T)[~np.eye(7, dtype=bool)]
    assert np.abs(correlations).max() < 5 / np.sqrt(10_000)


def test_steps_epochs_runs_and_variables_never_share_noise():
    variables = [tf.zeros(50), tf.zeros(50), tf.zeros((5, 10))]
    drawn = []
    for entropy, epoch in [(1, 0), (1, 1), (2, 1)]:
        for seed in sampling.step_seeds(entropy, epoch, 3):
            drawn += [np.ravel(noise) for noise in private.noise(variables, 1.0, tf.constant(seed))]
    assert len(np.unique(np.concatenate(drawn))) == 3 * 3 * 3 * 50
    again = private.noise(variables, 1.0, tf.constant(sampling.step_seeds(1, 0, 9)[0]))
    np.testing.assert_array_equal(drawn[0], again[0])  # a longer epoch or a resume changes nothing
