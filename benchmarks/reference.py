"""The codelab's own way of training and scoring: Keras `fit`, then `predict` of everything, at batch 50."""

from __future__ import annotations

import time

import keras
import numpy as np

BATCH = 50


def small_cnn(num_conv: int, shape: tuple[int, int, int], n_classes: int) -> keras.Model:
    """The codelab's model, compiled as there."""
    layers: list[keras.layers.Layer] = [keras.layers.Input(shape)]
    for _ in range(num_conv):
        layers += [keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D()]
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(n_classes),
    ]
    model = keras.Sequential(layers)
    model.compile(
        loss=keras.losses.CategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.Adam(0.001),
        metrics=["accuracy"],
    )
    return model


def prepare(images: np.ndarray, labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 images in [0, 1] and one-hot labels."""
    return images.astype(np.float32) / 255.0, np.eye(n_classes, dtype=np.float32)[labels]


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, validation included."""

    def on_train_begin(self, logs=None):
        self.times = [time.monotonic()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.monotonic())


def fit(model: keras.Model, x, y, x_val, y_val, epochs: int) -> list[float]:
    """Seconds of each of `epochs` epochs of one `Model.fit`, with validation after each."""
    clock = Clock()
    validation = (x_val, y_val)
    model.fit(x, y, validation_data=validation, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[clock])
    return np.diff(clock.times).tolist()


def predict(model: keras.Model, *sides: np.ndarray) -> list[np.ndarray]:
    """Logits of each side, as the codelab's callback gets them."""
    return [model.predict(side, batch_size=BATCH, verbose=0) for side in sides]
