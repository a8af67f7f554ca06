"""Losses as users write them, good and bad."""

from __future__ import annotations

import random

import keras
import tensorflow as tf

LABELS = tf.Variable(0.0)


def squared(labels, logits, scale=1.0):
    """The Brier score, with the operations of Keras."""
    p = keras.ops.softmax(logits)
    return scale * keras.ops.sum((p - keras.ops.one_hot(labels, logits.shape[-1])) ** 2, axis=1)


def of_the_batch(labels, logits):
    return tf.reduce_mean(squared(labels, logits))


def of_each_class(labels, logits):
    return keras.ops.softmax(logits)


def in_float64(labels, logits):
    return tf.cast(squared(labels, logits), tf.float64)


def nan_where_equal(labels, logits):
    spread = tf.math.reduce_std(logits, 1)
    return squared(labels, logits / spread[:, None])


def nan_slopes(labels, logits):
    return squared(labels, logits) + tf.norm(logits, axis=1)


def of_no_logit(labels, logits):
    return tf.cast(labels, tf.float32)


def of_numpy(labels, logits):
    return squared(labels, logits).numpy()


def noisy(labels, logits):
    return squared(labels, logits) + tf.random.uniform(tf.shape(labels))


def noisy_in_python(labels, logits):
    """One number for each graph."""
    return squared(labels, logits) * random.uniform(1, 2)


def with_a_variable(labels, logits):
    return squared(labels, logits) * (1 + LABELS)


def raises(labels, logits):
    raise KeyError("a bug\nof two lines")


def raises_in_a_graph(labels, logits):
    return squared(labels, logits) * float(tf.reduce_sum(logits).numpy() > -1e9)


def less_the_mean(labels, logits):
    """Mixes the examples of a batch in its losses, and so in its slopes."""
    losses = squared(labels, logits)
    return tf.abs(losses - tf.reduce_mean(losses))


def shared(labels, logits):
    """Mixes by the number of examples."""
    return squared(labels, logits) / tf.cast(tf.size(labels), tf.float32)


@tf.custom_gradient
def _slopes_of_others(x):
    return x, lambda slope: tf.reverse(slope, [0])


def slopes_of_others(labels, logits):
    """Mixes in the backward pass alone."""
    return _slopes_of_others(squared(labels, logits)) * tf.range(
        1.0, tf.cast(tf.size(labels), tf.float32) + 1
    )


def by_its_neighbour(labels, logits):
    """Mixes by labels alone: the class that comes before another one's own."""
    return squared(labels, logits) * tf.where(tf.equal(labels, tf.roll(labels, 1, 0)), 2.0, 1.0)


NUMBER = 3
