"""The private regime trains with the mechanism that it accounts for."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_cnn

from privacy_report.training import accounting, models
from privacy_report.training import private_gradient as private
from privacy_report.training.epochs import epoch_runner
from privacy_report.training.objective import cross_entropy
from privacy_report.training.private import Private
from privacy_report.training.schema import Privacy, Variant

N, BATCH, CLIP, NOISE = 2000, 100, 0.01, 1.5
CONFIG = Variant(
    label="V",
    model=small_cnn(num_conv=1, filters=2, dense_units=4),
    batch_size=BATCH,
    privacy=Privacy(noise_multiplier=NOISE, l2_norm_clip=CLIP),
)


def test_a_step_has_the_noise_the_clip_and_the_expected_batch_size_of_the_config():
    keras.utils.set_random_seed(1)
    model = models.build(CONFIG.model, (8, 8, 1), 10, 1)
    rng = np.random.default_rng(0)
    images, labels = (
        tf.constant(rng.random((7, 8, 8, 1), np.float32)),
        tf.constant(np.arange(7, dtype=np.int32)),
    )
    seed = tf.constant([5, 7 << 16], tf.int64)
    got, *_ = Private("v", CONFIG, N).gradient(model, cross_entropy)(images, labels, seed)
    sums, *_ = private.clipped_sum(model, images, labels, CLIP)
    noises = private.noise(model.trainable_variables, NOISE * CLIP, seed)
    assert max(float(tf.reduce_max(tf.abs(total))) for total in sums) > 0
    for gradient, total, extra in zip(got, sums, noises, strict=True):
        np.testing.assert_allclose(gradient, (total + extra) / BATCH, rtol=1e-5, atol=1e-9)


def test_batches_are_drawn_as_often_and_as_large_as_epsilon_assumes():
    private_regime = Private("v", CONFIG, N)
    batches = [private_regime.batches(epoch) for epoch in range(1, 11)]
    steps = sum(len(batch.sizes) for batch in batches)
    sizes = np.concatenate([batch.sizes for batch in batches])
    # the mean of 200 binomial sizes has a standard error of 0.69
    assert sizes.mean() == pytest.approx(BATCH, abs=3)
    expected = accounting.spent_epsilon(NOISE, BATCH / N, steps, CONFIG.privacy.delta)
    assert private_regime.spent(10) == (expected.pld, expected.rdp, NOISE)


# What the private epochs below gave when they were written down: nothing may change them unseen.
GOLDEN_LOSSES = [1.2806854, 1.1888663]
GOLDEN_SUMS = [0.29994524, 1.1057584, -0.10097718, -1.5067112, -1.1399026, -0.78246522]
GOLDEN_BIAS = [-0.49491048, -0.54059291, 0.2530382]


def test_every_epoch_has_batches_and_noise_of_its_own():
    private_regime = Private("v", CONFIG, N)
    epochs = [private_regime.batches(epoch) for epoch in (1, 2, 3, 10)]
    seeds = np.concatenate([batches.seeds for batches in epochs])
    assert len(np.unique(seeds, axis=0)) == len(epochs) * N // BATCH
    drawn = {batches.rows.tobytes() for batches in epochs}
    assert len(drawn) == len(epochs)
    again = Private("v", CONFIG, N).batches(2)
    for ours, theirs in zip(epochs[1], again, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_private_epoch_gives_the_recorded_weights():
    config = dataclasses.replace(CONFIG, batch_size=8)
    tanh = small_cnn(num_conv=1, filters=2, dense_units=4, activation="tanh")
    model = models.build(tanh, (6, 6, 1), 3, 0)
    for i, variable in enumerate(model.trainable_variables):
        size = int(np.prod(variable.shape))
        variable.assign(np.reshape(np.sin(np.arange(size) + i) / 2, variable.shape))
    images = (np.arange(32 * 36) * 37 % 256).astype(np.uint8).reshape(32, 6, 6, 1)
    labels = np.arange(32) % 3
    private_regime = Private("v", config, 32)
    run = epoch_runner(
        model,
        keras.optimizers.SGD(100.0),
        images,
        labels,
        np.arange(len(labels)),
        private_regime.gradient(model, cross_entropy),
    )
    losses = [run(private_regime.batches(epoch)).loss for epoch in (1, 2)]
    sums = [float(tf.reduce_sum(variable)) for variable in model.trainable_variables]
    np.testing.assert_allclose(losses, GOLDEN_LOSSES, rtol=1e-5)
    np.testing.assert_allclose(sums, GOLDEN_SUMS, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.trainable_variables[-1], GOLDEN_BIAS, rtol=1e-5, atol=1e-6)
