"""Small Keras models for private training."""

import keras
import numpy as np
import tensorflow as tf

L = keras.layers


def stack(*layers, shape=(9, 8, 3)):
    """A model of 3 classes with initial weights, and biases that are not all zero."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([L.Input(shape), *layers, L.Flatten(), L.Dense(3)])
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.1, variable.shape))
    return model


def frozen(*layers):
    """These layers as one, without anything to learn."""
    front = keras.Sequential(layers)
    front.trainable = False
    return front


def batch(size, shape=(9, 8, 3), seed=0):
    """Random images and labels for them."""
    rng = np.random.default_rng(seed)
    return (
        tf.constant(rng.random((size, *shape)), tf.float32),
        tf.constant(rng.integers(0, 3, size), tf.int32),
    )


def flat(tensors):
    """All numbers of some tensors, float64."""
    return np.concatenate([np.ravel(tensor) for tensor in tensors]).astype(np.float64)
