"""What the steps of private training apply to the weights, as the graph sees it.

The watcher gets what the optimizer gets, and takes the noise from that: not from what was meant to be added.
One random step in every fifth epoch is kept whole and recomputed by a path that shares nothing with the
training's: a tape for one example at a time, clipped and summed in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from privacy_report.training.backend import keras, tf
from privacy_report.training.objective import Loss, cross_entropy
from privacy_report.training.private_gradient import Step
from privacy_report.training.self_check import Seen

EVERY = 5
"""Epochs of which one has a step that is recomputed."""
SIGNS = 256
"""Coordinates of the noise that its fingerprint is made of, at most."""
STEP = 0x73746570
"""Of the random numbers that choose a step."""
NEVER = -1
TINY = 1e-300
"""In place of the norm of no gradient, whose factor is 1."""


class Watch:
    """Watches the steps of a model's epochs, one epoch after the other.

    steps: of an epoch; stddev: of the noise, as claimed, and l2_norm_clip; expected_batch_size: what sums are
    divided by; is_random: whether the model draws random numbers, so that no step can be computed again;
    has_canaries: whether anything but examples may be in the sums; loss: of the examples.
    """

    def __init__(
        self,
        model: keras.Model,
        steps: int,
        stddev: float,
        l2_norm_clip: float,
        expected_batch_size: int,
        is_random: bool,
        has_canaries: bool = False,
        loss: Loss = cross_entropy,
    ):
        self.model, self.steps = model, steps
        self.is_random, self.has_canaries = is_random, has_canaries
        self.stddev, self.l2_norm_clip, self.expected_batch_size = stddev, l2_norm_clip, expected_batch_size
        self.epoch: int | None = None
        variables = model.trainable_variables
        self.dimensions = np.array([int(np.prod(v.shape)) for v in variables])
        n, d = len(variables), int(self.dimensions.sum())
        self._signs_at = np.unique(np.linspace(0, d - 1, SIGNS).astype(np.int64))

        def zeros(*shape: int, dtype: tf.DType = tf.float64) -> tf.Variable:
            return tf.Variable(tf.zeros(shape, dtype), trainable=False)

        self._row, self._kept_row = (tf.Variable(at, dtype=tf.int32, trainable=False) for at in (0, NEVER))
        self._squares, self._products, self._pairs = zeros(steps, n), zeros(steps, 2), zeros(n - 1, 3)
        self._sizes, self._largest = zeros(steps, dtype=tf.int32), zeros(steps, dtype=tf.float32)
        self._signs = zeros(steps, len(self._signs_at), dtype=tf.bool)
        self._first, self._before = zeros(d), zeros(d)
        self._weights = [zeros(*v.shape, dtype=tf.float32) for v in variables]
        self._sum = zeros(d, dtype=tf.float32)
        self._images = _of_any_size(tf.float32, model.input_shape[1:])
        self._labels = _of_any_size(tf.int32, ())
        self._sum_of_single = _sum_of_single(model, l2_norm_clip, loss)

    def begin(self, epoch: int) -> None:
        """Watch an epoch, 1-based, from its first step on."""
        self.epoch = epoch
        chosen = int(np.random.default_rng([STEP, epoch]).integers(self.steps))
        self._row.assign(0)
        self._kept_row.assign(NEVER if self.is_random or epoch % EVERY != 1 else chosen)
        self._pairs.assign(tf.zeros_like(self._pairs))

    def see(self, step: Step) -> None:
        """Note a step, in the graph; of the chosen one keep the examples, their sum and the weights."""
        parts = [
            tf.reshape(tf.cast(got, tf.float64) * self.expected_batch_size - tf.cast(meant, tf.float64), [-1])
            / self.stddev
            for got, meant in zip(step.gradients, step.sums, strict=True)
        ]
        noise, row = tf.concat(parts, 0), self._row
        first = tf.cond(tf.equal(row, 0), lambda: noise, lambda: self._first.read_value())
        at = [[row]]
        products = [tf.tensordot(noise, other, 1) for other in (self._before, first)]
        self._squares.scatter_nd_update(at, [[tf.tensordot(values, values, 1) for values in parts]])
        self._products.scatter_nd_update(at, [products])
        self._sizes.scatter_nd_update(at, [tf.shape(step.images)[0]])
        self._largest.scatter_nd_update(at, [step.clipped.largest / self.l2_norm_clip])
        self._signs.scatter_nd_update(at, [tf.gather(noise, self._signs_at) > 0])
        if len(parts) > 1:
            self._pairs.assign_add([_products(*pair) for pair in pairwise(parts)])
        self._first.assign(first)
        self._before.assign(noise)
        tf.cond(tf.equal(row, self._kept_row), lambda: self._keep(step), lambda: False)
        self._row.assign_add(1)

    def _keep(self, step: Step) -> bool:
        for kept, variable in zip(self._weights, self.model.trainable_variables, strict=True):
            kept.assign(variable.value)
        sums = step.clipped.sums if self.has_canaries else step.sums
        self._sum.assign(tf.concat([tf.reshape(total, [-1]) for total in sums], 0))
        self._images.assign(step.images)
        self._labels.assign(step.labels)
        return True

    def has_seen(self, epoch: int) -> bool:
        """Whether this epoch is watched, and has begun."""
        return self.epoch == epoch and bool(self._row.numpy() > 0)

    def seen(self) -> Seen:
        """What was seen of the epoch, the chosen step recomputed."""
        rows = int(self._row.numpy())
        return Seen(
            dimensions=self.dimensions,
            squares=self._squares.numpy()[:rows],
            products=self._products.numpy()[:rows],
            pairs=self._pairs.numpy(),
            sizes=self._sizes.numpy()[:rows],
            largest=self._largest.numpy()[:rows],
            signs=self._signs.numpy()[:rows],
            recomputed=self._recomputed() if 0 <= self._kept_row.numpy() < rows else None,
        )

    def _recomputed(self) -> float:
        """How far the kept sum is from that of single gradients, over the norm of that or C, the larger."""
        expected = self.single_gradients_sum()
        scale = max(float(np.linalg.norm(expected)), self.l2_norm_clip)
        return float(np.linalg.norm(self._sum.numpy() - expected)) / scale

    def single_gradients_sum(self) -> np.ndarray:
        """The clipped sum of the kept step, float64 (d,), example by example."""
        variables = self.model.trainable_variables
        now = [variable.numpy() for variable in variables]
        try:
            for variable, kept in zip(variables, self._weights, strict=True):
                variable.assign(kept)
            return self._sum_of_single(self._images, self._labels).numpy()
        finally:
            for variable, value in zip(variables, now, strict=True):
                variable.assign(value)


def _of_any_size(dtype: tf.DType, shape: tuple[int | None, ...]) -> tf.Variable:
    """A variable for a batch: rows of `shape`, however many."""
    nothing = tf.zeros((0, *(side or 0 for side in shape)), dtype)
    return tf.Variable(nothing, trainable=False, shape=tf.TensorShape((None, *shape)))


def _products(vector: tf.Tensor, other: tf.Tensor) -> list[tf.Tensor]:
    """Inner product and squared norms of the coordinates that two vectors have in common."""
    common = min(vector.shape[0], other.shape[0])
    vector, other = vector[:common], other[:common]
    return [tf.tensordot(a, b, 1) for a, b in ((vector, other), (vector, vector), (other, other))]


def _sum_of_single(
    model: keras.Model, l2_norm_clip: float, loss: Loss
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The sum over examples of their clipped gradients, float64 (d,), of images (b, ...) and labels (b,)."""

    @tf.function(reduce_retracing=True)
    def clipped_sum(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        total = tf.zeros(sum(tf.size(v.value) for v in model.trainable_variables), tf.float64)
        for i in tf.range(tf.shape(images)[0]):
            gradient = tf.cast(
                _gradient_of_one(model, images[i : i + 1], labels[i : i + 1], loss), tf.float64
            )
            norm = tf.norm(gradient)
            clipped = gradient * tf.minimum(l2_norm_clip / tf.maximum(norm, TINY), 1.0)
            total += tf.where(tf.math.is_finite(norm), clipped, 0.0)
        return total

    return clipped_sum


def _gradient_of_one(model: keras.Model, images: tf.Tensor, labels: tf.Tensor, loss_of: Loss) -> tf.Tensor:
    """The gradient of one example's loss, float32 (d,)."""
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = loss_of(labels, logits)
    gradients = tape.gradient(
        loss, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)
