"""The probe refuses models through which one example reaches another, and no others; it leaves no trace."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_report.errors import UserError
from privacy_report.training import private_gradient as private

L = keras.layers
SHAPE = (6, 6, 2)


def stack(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([L.Input(SHAPE), *layers, L.Flatten(), L.Dense(3)])


def centred(x):
    return x - keras.ops.mean(x, axis=0, keepdims=True)


class InTraining(L.Layer):
    """Applies a function in training mode only."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x, training=False):
        return self.function(x) if training else x


class RunningMean(L.Layer):
    """Subtracts an average that the forward pass keeps."""

    def build(self, shape):
        self.average = self.add_weight(shape=(), initializer="zeros", trainable=False, name="average")

    def call(self, x):
        out = x - self.average
        self.average.assign(0.9 * self.average + 0.1 * keras.ops.mean(x))
        return out


class Largest(RunningMean):
    """Keeps the largest value so far, which a probe in [0, 1] does not raise."""

    def call(self, x):
        self.average.assign(keras.ops.maximum(keras.ops.max(x), self.average + 1e6))
        return x


class Hidden(L.Layer):
    """Keeps what it saw in a variable that Keras does not know of."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = tf.Variable(0.0, trainable=False)

    def call(self, x):
        self.total.assign_add(tf.reduce_sum(x))
        return x + 0 * self.total


class Unseeded(L.Layer):
    def call(self, x):
        return x + tf.random.normal(tf.shape(x)[1:])


@tf.custom_gradient
def backward_mixer(x):
    return tf.identity(x), lambda slope: slope + tf.reduce_mean(slope, 0, keepdims=True)


MIXERS = {
    "activation": lambda: [L.Conv2D(3, 3), L.Activation(centred, name="culprit")],
    "softmax": lambda: [L.Conv2D(3, 3), L.Softmax(axis=0, name="culprit")],
    "dense": lambda: [L.Conv2D(3, 3), L.Dense(4, activation=centred, name="culprit")],
    "convolution": lambda: [L.Conv2D(3, 3, activation=centred, name="culprit"), L.ReLU()],
    "after dropout": lambda: [L.Dropout(0.5), L.Activation(centred, name="culprit")],
    "in training only": lambda: [InTraining(centred, name="culprit"), L.Conv2D(3, 3)],
    "in training, with dropout": lambda: [L.Dropout(0.3), InTraining(centred, name="culprit")],
    "faintly": lambda: [
        L.Activation(lambda x: x + 1e-12 * keras.ops.mean(x, axis=0, keepdims=True), name="culprit")
    ],
    "from the row before": lambda: [L.Activation(lambda x: keras.ops.cumsum(x, axis=0), name="culprit")],
    "reversed": lambda: [L.Activation(lambda x: keras.ops.flip(x, axis=0), name="culprit")],
    "by size": lambda: [
        L.Activation(lambda x: x / keras.ops.cast(keras.ops.shape(x)[0], "float32"), name="culprit")
    ],
}


@pytest.mark.parametrize("name", MIXERS)
def test_a_layer_that_mixes_examples_is_refused_by_name(name):
    with pytest.raises(UserError, match=r"^layer culprit mixes the examples of a batch \(.*\), so [^\n]*$"):
        private.accept(stack(*MIXERS[name]()))


def test_mixing_in_the_backward_pass_alone_is_seen_where_one_pass_has_all_gradients():
    with pytest.raises(UserError, match="mixes the examples"):
        private.accept(stack(L.Conv2D(3, 3), L.Activation(backward_mixer)))


def test_a_model_that_is_no_stack_is_refused_as_a_whole():
    inputs = L.Input(SHAPE)
    outputs = L.Dense(3)(L.Flatten()(L.Activation(centred)(inputs)))
    with pytest.raises(UserError, match=r"^model whole mixes the examples"):
        private.accept(keras.Model(inputs, outputs, name="whole"))


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (RunningMean, r"^variable .*/average: the forward pass writes it"),
        (Largest, r"^variable .*/average: the forward pass writes it"),
        (Hidden, r"uses a variable \(or a seed generator\) that none of its layers holds"),
        (Unseeded, r"draws random numbers from no keras.random.SeedGenerator"),
    ],
)
@pytest.mark.parametrize("trainable", [True, False])
def test_a_state_that_the_data_write_is_refused(layer, found, trainable):
    model = stack(layer(), L.Conv2D(3, 3))
    model.layers[0].trainable = trainable
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(UserError, match=found):
        private.accept(model)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_frozen_batch_normalization_applies_what_it_came_with_and_keeps_it():
    norm = L.BatchNormalization()
    model = stack(L.Conv2D(3, 3), norm)
    norm.trainable = False
    norm.moving_mean.assign([1.0, 2.0, 3.0])
    assert "is a BatchNormalization" in private.accept(model)
    images = tf.constant(np.random.default_rng(0).random((5, *SHAPE)), tf.float32)
    private.clipped_sum(model, images, tf.zeros(5, tf.int32), 1.0)
    np.testing.assert_array_equal(norm.moving_mean, [1, 2, 3])
    np.testing.assert_array_equal(norm.moving_variance, [1, 1, 1])


ALONE = {
    "dropouts": lambda: [L.Dropout(0.5), L.SpatialDropout2D(0.2), L.Conv2D(3, 3)],
    "one mask for the batch": lambda: [L.Dropout(0.5, noise_shape=(1, *SHAPE))],
    "noise": lambda: [L.GaussianNoise(0.3), L.GaussianDropout(0.3)],
    "normalised": lambda: [L.Conv2D(4, 3), L.GroupNormalization(2), L.LayerNormalization()],
    "standardised": lambda: [L.Normalization(mean=0.5, variance=0.1), L.Conv2D(4, 3)],
    "over channels": lambda: [L.Conv2D(4, 3), L.Softmax(), L.Activation("gelu")],
    "attention": lambda: [L.Reshape((36, 2)), L.Dense(8), L.Softmax(axis=1)],
    "adapted": lambda: [L.Dense(4), adapted(L.Dense(4))],
}


def adapted(layer):
    layer.build((None, 6, 6, 4))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize("name", ALONE)
def test_a_layer_that_treats_every_example_alone_passes(name):
    private.accept(stack(*ALONE[name]()))


def test_the_probe_leaves_weights_and_generators_as_they_were():
    model = stack(L.Dropout(0.5), L.Conv2D(3, 3), L.GaussianNoise(0.1))

    def state():
        python, arrays = random.getstate(), np.random.get_state()[1]  # noqa: NPY002 - it must not move
        return python, arrays.tolist(), [v.numpy().tolist() for v in model.variables]

    def following():
        return tf.random.normal([3]).numpy().tolist(), keras.random.normal([3]).numpy().tolist()

    keras.utils.set_random_seed(3)
    expected_state, expected = state(), following()
    keras.utils.set_random_seed(3)
    private.accept(model)
    assert (state(), following()) == (expected_state, expected)
