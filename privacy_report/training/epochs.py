"""The epoch loop: one graph that walks a table of batches, for any Keras classification model.

The images of some batches enter the graph as bytes; each batch is cast and used there, so that Python is
entered once per `backend.CHUNK` examples instead of once a step. No more of the images than that is held:
they may lie on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from privacy_report.pipeline.blocks import take
from privacy_report.training import backend
from privacy_report.training.backend import keras, tf
from privacy_report.training.objective import Loss, cross_entropy

# (images, labels, step seed) -> gradients in the order of trainable_variables, losses (b,), logits (b, C)
Gradient = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[Sequence[tf.Tensor], tf.Tensor, tf.Tensor]]


class Batches(NamedTuple):
    """The batches of an epoch: step i takes the examples rows[i, :sizes[i]].

    rows: int32 (steps, capacity), padded. sizes: int32 (steps,). seeds: int64 (steps, 2), for what is
    random in a step.
    """

    rows: np.ndarray
    sizes: np.ndarray
    seeds: np.ndarray


class Epoch(NamedTuple):
    """What an epoch's training pass saw: means over its examples, with the weights of each step."""

    loss: float
    accuracy: float


def mean_gradient(model: keras.Model, loss_of: Loss = cross_entropy) -> Gradient:
    """The ordinary gradient: of the batch's mean loss."""

    def gradient(images, labels, seed):
        del seed
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = loss_of(labels, logits)
            loss = tf.reduce_mean(losses)
            if model.losses:  # regularisers
                loss += tf.add_n(model.losses)
        return tape.gradient(loss, model.trainable_variables), losses, logits

    return gradient


def epoch_runner(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    images: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    gradient: Gradient,
    applied: Callable[[Sequence[tf.Tensor]], None] | None = None,
) -> Callable[[Batches], Epoch]:
    """A function that trains `model` on one epoch's `Batches` and returns its means.

    images: uint8 or float32 (n, ...), may be memory-mapped; labels: integers (n,); train: what it trains on,
    integers (m,), to which the rows of the batches refer. The model gives logits (batch, n_classes).
    applied: called in the graph with what the optimizer gets in a step, just before that.
    """
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def steps(
        pixels: tf.Tensor, targets: tf.Tensor, sizes: tf.Tensor, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        loss, correct = tf.constant(0.0, tf.float64), tf.constant(0, tf.int64)
        for step in tf.range(tf.shape(sizes)[0]):
            size = sizes[step]
            wanted = targets[step, :size]
            gradients, losses, logits = gradient(backend.to_input(pixels[step, :size]), wanted, seeds[step])
            if applied is not None:
                applied(gradients)
            optimizer.apply(gradients, model.trainable_variables)
            loss += tf.reduce_sum(tf.cast(losses, tf.float64))
            right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), wanted)
            correct += tf.math.count_nonzero(right)
        return loss, correct

    def run(batches: Batches) -> Epoch:
        loss, correct = 0.0, 0
        stride = max(backend.CHUNK // batches.rows.shape[1], 1)
        for start in range(0, len(batches.sizes), stride):
            span = slice(start, start + stride)
            examples = train[batches.rows[span]]
            chunk = steps(
                tf.constant(take(images, examples)),
                tf.constant(labels[examples].astype(np.int32)),
                tf.constant(batches.sizes[span]),
                tf.constant(batches.seeds[span]),
            )
            loss += float(chunk[0])
            correct += int(chunk[1])
        seen = max(int(batches.sizes.sum()), 1)
        return Epoch(loss / seen, correct / seen)

    return run
