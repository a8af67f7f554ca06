"""Models and optimizers as users write them, good and bad."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers


class Scale(layers.Layer):
    """A layer of one's own with a weight."""

    def __init__(self, start=1.0, **options):
        super().__init__(**options)
        self.start = start

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(self.start))

    def call(self, x):
        return x * self.scale

    def get_config(self):
        return {**super().get_config(), "start": self.start}


def with_own_layer(shape, n_classes, *, width):
    inputs = keras.Input(shape)
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.BatchNormalization()(layers.Conv2D(width, 3, strides=2)(x))
    x = layers.Dropout(0.3)(Scale(2.0)(layers.Flatten()(layers.ReLU()(x))))
    return keras.Model(inputs, layers.Dense(n_classes)(x))


class Subclassed(keras.Model):
    """Without symbolic inputs, and without a get_config of its own."""

    def __init__(self, shape, n_classes, width=4):
        super().__init__()
        self.flat, self.drop = layers.Flatten(), layers.Dropout(0.3)
        self.hidden, self.norm = layers.Dense(width, activation="relu"), layers.BatchNormalization()
        self.out = layers.Dense(n_classes)

    def call(self, x, training=None):
        x = self.norm(self.hidden(self.flat(x)), training=training)
        return self.out(self.drop(x, training=training))


def with_dropout(shape, n_classes):
    hidden = [layers.Flatten(), layers.Dense(8, activation="tanh"), layers.Dropout(0.3)]
    return keras.Sequential([keras.Input(shape), *hidden, layers.Dense(n_classes)])


def without_input(shape, n_classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(n_classes)])


def alone(shape, n_classes):
    """No layer mixes the examples of a batch."""
    inputs = keras.Input(shape)
    x = layers.GroupNormalization(2)(layers.Conv2D(4, 3, strides=3)(inputs))
    return keras.Model(inputs, layers.Dense(n_classes)(layers.Flatten()(x)))


def frozen(shape, n_classes):
    model = without_input(shape, n_classes)
    model.trainable = False
    return model


def probabilities(shape, n_classes):
    stack = [keras.Input(shape), layers.Flatten(), layers.Dense(n_classes, activation="softmax")]
    return keras.Sequential(stack)


def narrow(shape, n_classes):
    return without_input(shape, n_classes - 1)


def two_outputs(shape, n_classes):
    inputs = keras.Input(shape)
    x = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(n_classes)(x), layers.Dense(n_classes)(x)])


def of_vectors(shape, n_classes):
    return keras.Sequential([keras.Input((7,)), layers.Dense(n_classes)])


def of_bytes(shape, n_classes):
    inputs = keras.Input(shape, dtype="uint8")
    return keras.Model(inputs, layers.Dense(n_classes)(layers.Flatten()(layers.Rescaling(1 / 255)(inputs))))


def nan_weights(shape, n_classes):
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(n_classes)])
    model.set_weights([weight * np.nan for weight in model.get_weights()])
    return model


def no_model(shape, n_classes):
    return [shape, n_classes]


def raises(shape, n_classes):
    raise KeyError("a bug\nof two lines")


def raises_later(shape, n_classes):
    class Bad(keras.Model):
        def call(self, x):
            return x.no_such_thing

    return Bad()


def takes_one(shape):
    return without_input(shape, 3)


NUMBER = 3
