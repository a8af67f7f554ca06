"""Small Keras models for private training."""

import keras
import numpy as np

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
