"""The private regime trains with the mechanism that it accounts for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_report.training import accounting, models
from privacy_report.training import private_gradient as private
from privacy_report.training.private import Private
from privacy_report.training.schema import Privacy, Variant

N, BATCH, CLIP, NOISE = 2000, 100, 0.01, 1.5
CONFIG = Variant(
    label="V",
    num_conv=1,
    filters=2,
    dense_units=4,
    batch_size=BATCH,
    privacy=Privacy(noise_multiplier=NOISE, l2_norm_clip=CLIP),
)


def test_a_step_has_the_noise_the_clip_and_the_expected_batch_size_of_the_config():
    keras.utils.set_random_seed(1)
    model = models.build(models.small_cnn, (8, 8, 1), 10, CONFIG, 1)
    rng = np.random.default_rng(0)
    images, labels = (
        tf.constant(rng.random((7, 8, 8, 1), np.float32)),
        tf.constant(np.arange(7, dtype=np.int32)),
    )
    seed = tf.constant([5, 7 << 16], tf.int64)
    got, *_ = Private("v", CONFIG, N).gradient(model)(images, labels, seed)
    sums, *_ = private.clipped_sum(model, images, labels, CLIP)
    noises = private.noise(model.trainable_variables, NOISE * CLIP, seed)
    assert max(float(tf.reduce_max(tf.abs(one))) for one in sums) > 0
    for gradient, one, extra in zip(got, sums, noises, strict=True):
        np.testing.assert_allclose(gradient, (one + extra) / BATCH, rtol=1e-5, atol=1e-9)


def test_batches_are_drawn_as_often_and_as_large_as_epsilon_assumes():
    private_regime = Private("v", CONFIG, N)
    batches = [private_regime.batches(epoch) for epoch in range(1, 11)]
    steps = sum(len(batch.sizes) for batch in batches)
    sizes = np.concatenate([batch.sizes for batch in batches])
    # the mean of 200 binomial sizes has a standard error of 0.69
    assert sizes.mean() == pytest.approx(BATCH, abs=3)
    expected = accounting.spent_epsilon(NOISE, BATCH / N, steps, CONFIG.privacy.delta)
    assert private_regime.spent(10) == (expected.pld, expected.rdp, NOISE)
