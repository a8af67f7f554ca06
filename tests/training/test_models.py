"""The target models: the codelab's CNN, less the pixels that no output depends on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import small_cnn

from privacy_report.errors import UserError
from privacy_report.training import models

RNG = np.random.default_rng(0)


def codelab(num_conv: int, shape: tuple[int, int, int]) -> keras.Model:
    """The same CNN with nothing cropped."""
    layers = [keras.layers.Input(shape)]
    for _ in range(num_conv):
        layers += [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)]
    return keras.Sequential(layers)


@pytest.mark.parametrize(
    ("num_conv", "shape", "cropped"),
    [
        (1, (8, 8, 1), None),
        (1, (9, 8, 1), (1, 0)),
        (2, (32, 32, 3), (2, 2)),
        (3, (32, 32, 3), (2, 2)),
        (3, (28, 37, 3), (6, 7)),
    ],
)
def test_logits_and_gradients_are_those_of_the_uncropped_model(num_conv, shape, cropped):
    ours = models.build(small_cnn(num_conv=num_conv), shape, 10, 1)
    crops = [layer.cropping for layer in ours.layers if isinstance(layer, keras.layers.Cropping2D)]
    assert crops == ([] if cropped is None else [tuple((0, pixels) for pixels in cropped)])
    theirs = codelab(num_conv, shape)
    theirs.set_weights(ours.get_weights())
    images, labels = RNG.random((20, *shape), np.float32), RNG.integers(0, 10, 20)
    results = []
    for model in (ours, theirs):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        results.append([logits, *tape.gradient(loss, model.trainable_variables)])
    assert ours.input_shape == theirs.input_shape
    for a, b in zip(*results, strict=True):
        assert np.linalg.norm(a - b) <= 1e-6 * np.linalg.norm(b)
    assert np.linalg.norm(results[0][1]) > 0


def test_no_pixel_that_matters_is_cropped():
    model = models.build(small_cnn(activation="tanh"), (32, 32, 3), 10, 1)
    image = tf.Variable(RNG.random((1, 32, 32, 3), np.float32))
    with tf.GradientTape() as tape:
        logits = model(image)
    moves = np.abs(tape.gradient(logits, image).numpy()).sum(axis=(0, 3))
    assert moves[29].any()
    assert moves[:, 29].any()
    assert not moves[30:].any()


def test_too_deep_for_the_image_is_refused():
    with pytest.raises(UserError, match=r"num_conv: got 2, allowed: 1\.\.1 for images of 8 x 8"):
        models.build(small_cnn(num_conv=2), (8, 8, 1), 10, 1)
