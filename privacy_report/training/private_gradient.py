"""Differentially private gradients: each example's gradient clipped, the sum noised (DP-SGD).

Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from privacy_report.errors import UserError
from privacy_report.training import isolation
from privacy_report.training.backend import keras, tf
from privacy_report.training.epochs import Gradient
from privacy_report.training.objective import Loss, cross_entropy
from privacy_report.training.per_example import PerExample, explicit, generic, masked, why_generic

# Examples differentiated at a time: their per-example gradients stay in the processor's cache, and
# memory does not grow with the batch.
CHUNK = 64

SMALLEST = 2.0**-126  # the smallest normal float32, in place of a norm of 0, whose factor is 1


class Clipped(NamedTuple):
    """What a batch's examples add up to.

    sums: one a variable, in the order of model.trainable_variables; losses: (b,); logits: (b, n_classes);
    largest: the norm of the largest gradient as it was added, after clipping; 0 where there is none.
    """

    sums: list[tf.Tensor]
    losses: tf.Tensor
    logits: tf.Tensor
    largest: tf.Tensor


class Step(NamedTuple):
    """A step, for whoever watches.

    images, labels: the batch; clipped: of its examples; sums: with what was added to them; gradients: what
    the optimizer is to get. Lists have one a variable.
    """

    images: tf.Tensor
    labels: tf.Tensor
    clipped: Clipped
    sums: list[tf.Tensor]
    gradients: list[tf.Tensor]


def accept(model: keras.Model, loss: Loss = cross_entropy) -> str | None:
    """Whether `model` can be trained privately on `loss`, and how fast: a sentence to log, or None if fast.

    Raises UserError for a model whose layers mix the examples of a batch: then one example moves the
    gradients of the others, and clipping no longer bounds what one example does to the sum; for a loss that
    does so; and for a model with losses of its own. What a layer does is tried on random batches
    (`isolation.require_isolation`); the probe takes part of a second, and leaves weights and generators as
    they were. A frozen BatchNormalization is allowed: it applies the averages that it came with, and writes
    none. Where they were learnt on the members, the guarantee does not cover them, as it covers no weight
    that was not drawn at random.
    """
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise UserError(
                f"layer {layer.name}: BatchNormalization mixes the examples of a batch, so clipping each "
                "example's gradient no longer bounds what one example changes, and its moving averages "
                "get no noise; a private variant needs a model without it (GroupNormalization is allowed)"
            )
    reason = why_generic(model)
    isolation.require_isolated_loss(loss, model.output_shape[-1])
    isolation.require_isolation(model, partial(_rows, loss))
    if reason is None:
        return None
    return f"{reason}: its per-example gradients come from tf.vectorized_map, which may be slower"


def _rows(loss: Loss, model: keras.Model, images: tf.Tensor) -> list[tf.Tensor]:
    """What must be of each example alone, (b, ...): logits, and the gradients' norms where one pass has all.

    The generic path differentiates batches of one, so that there only the logits could mix.
    """
    if why_generic(model) is not None:
        return [model(images, training=True)]
    gradients, _, logits = explicit(model, images, tf.zeros(tf.shape(images)[0], tf.int32), loss)
    return [logits, *(squares for squares, _ in gradients)]


def gradient(
    model: keras.Model,
    l2_norm_clip: float,
    noise_multiplier: float,
    expected_batch_size: int,
    added: Callable[[], list[tf.Tensor]] | None = None,
    watch: Callable[[Step], None] | None = None,
    loss: Loss = cross_entropy,
) -> Gradient:
    """The private gradient of a step, a function of (images, labels, seed) as the epoch loop calls it.

    It is the clipped sum plus noise of standard deviation noise_multiplier * l2_norm_clip, divided by the
    *expected* batch size: the drawn size would tell who was drawn. Arguments of the function and its
    returns as in `clipped_sum`, seed as in `noise`. added: what is added to the clipped sum before the noise,
    one a variable; watch: called in the graph with every step; loss: of the examples. Call `accept` first.
    """
    stddev = noise_multiplier * l2_norm_clip if noise_multiplier else 0.0  # 0 with an infinite clip too

    def step(
        images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        clipped = clipped_sum(model, images, labels, l2_norm_clip, loss)
        sums = clipped.sums
        if added is not None:
            sums = [total + more for total, more in zip(sums, added(), strict=True)]
        noises = noise(model.trainable_variables, stddev, seed)
        mean = [(total + extra) / expected_batch_size for total, extra in zip(sums, noises, strict=True)]
        if watch is not None:
            watch(Step(images, labels, clipped, sums, mean))
        return mean, clipped.losses, clipped.logits

    return step


def clipped_sum(
    model: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor,
    l2_norm_clip: float,
    loss: Loss = cross_entropy,
) -> Clipped:
    """Sum over examples of the gradients of their losses, each scaled down to norm `l2_norm_clip`.

    images: float32 (b, H, W, C), labels: int32 (b,); b may be dynamic, and 0. loss: of the labels and
    the model's logits in training mode. The norm is over all trainable variables together. Call `check`
    first.
    """
    work = explicit if why_generic(model) is None else generic
    total = tf.shape(images)[0]
    classes = model.output_shape[-1]
    sums = [tf.zeros(v.shape) for v in model.trainable_variables]
    losses = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None])
    logits = tf.TensorArray(
        tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None, classes]
    )

    def step(start: tf.Tensor, sums: list[tf.Tensor], largest: tf.Tensor, losses: Any, logits: Any) -> tuple:
        gradients, chunk_losses, chunk_logits = work(
            model, images[start : start + CHUNK], labels[start : start + CHUNK], loss
        )
        added, norm = clip(gradients, l2_norm_clip)
        index = start // CHUNK
        sums = [old + new for old, new in zip(sums, added, strict=True)]
        largest = tf.maximum(largest, norm)
        return (
            start + CHUNK,
            sums,
            largest,
            losses.write(index, chunk_losses),
            logits.write(index, chunk_logits),
        )

    _, sums, largest, losses, logits = tf.while_loop(
        lambda start, *_: start < total, step, (0, sums, 0.0, losses, logits), parallel_iterations=1
    )
    return Clipped(sums, losses.concat(), logits.concat(), largest)


def noise(variables: list[Any], stddev: float, seed: tf.Tensor) -> list[tf.Tensor]:
    """Independent normal noise of standard deviation `stddev` in the shape of each variable.

    seed: int64 (2,), a row of `sampling.step_seeds`. The generator is counter-based: the seed's pair,
    with the index of the variable in its lowest 16 bits, is mapped one to one to a stream, and Philox's
    streams are disjoint. So no two (epoch, step, variable) of a run share noise, and an epoch that is
    trained again after a resume draws what it would have drawn.
    """
    return [
        tf.random.stateless_normal(
            v.shape, seed + tf.constant([0, index], tf.int64), stddev=stddev, alg="philox"
        )
        for index, v in enumerate(variables)
    ]


def clip(gradients: list[PerExample], l2_norm_clip: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Sums of the gradients, each example's scaled to norm `l2_norm_clip` at most, and the largest norm then.

    An example whose norm is infinite or NaN adds nothing. A factor of 0 would not do (0 * inf is NaN), so
    its gradients are masked; in the branch, because a mask costs a pass over all gradients.
    """
    squares = tf.add_n([squares for squares, _ in gradients])
    finite = tf.math.is_finite(squares)
    # Grappler turns x / sqrt(y) into x * rsqrt(y), and 1 / y into a reciprocal; both start from instructions
    # whose bits every maker of processors chooses. This form matches neither pattern, and square roots and
    # divisions are rounded alike everywhere.
    norms = tf.maximum(tf.sqrt(squares), SMALLEST)
    factors = tf.minimum(norms, l2_norm_clip) / norms
    sums = tf.cond(
        tf.reduce_all(finite),
        lambda: [weighted_sum(factors) for _, weighted_sum in gradients],
        lambda: [weighted_sum(masked(factors, finite), finite) for _, weighted_sum in gradients],
    )
    largest = tf.reduce_max(tf.where(finite, norms * factors, 0.0))
    return sums, largest
