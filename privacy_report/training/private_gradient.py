"""Differentially private gradients: each example's gradient clipped, the sum noised (DP-SGD).

Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, algorithm 1; the explicit
per-example gradients of dense layers and their norms: Goodfellow, "Efficient Per-Example Gradient
Computations", 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privacy_report.errors import UserError
from privacy_report.training import isolation
from privacy_report.training.backend import keras, tf

# Layers without weights that treat every example alone. An unlisted layer is not wrong, only slower.
WEIGHTLESS = (
    keras.layers.Activation,
    keras.layers.AveragePooling2D,
    keras.layers.Cropping2D,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.LeakyReLU,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.Reshape,
    keras.layers.Softmax,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)

DROPOUTS = (keras.layers.Dropout, keras.layers.SpatialDropout2D)

# Examples differentiated at a time: their per-example gradients stay in the processor's cache, and
# memory does not grow with the batch.
CHUNK = 64

SMALLEST = 2.0**-126  # the smallest normal float32, in place of a norm of 0, whose factor is 1

# A weight's gradients, one an example: their squared norms (b,), and the map from factors (b,), and a mask
# (b,) of what to keep (by default all), to the sum of the kept gradients, each times its factor, in the
# weight's shape.
PerExample = tuple[tf.Tensor, Callable[..., tf.Tensor]]
Result = tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]


def check(model: keras.Model) -> str | None:
    """Whether `model` can be trained privately, and how fast: a sentence to log, or None if fast.

    Raises UserError for a model whose layers mix the examples of a batch: then one example moves the
    gradients of the others, and clipping no longer bounds what one example does to the sum; and for a model
    with losses of its own. What a layer does is tried on random batches (`isolation.check`); the probe takes
    part of a second, and leaves weights and generators as they were. A frozen BatchNormalization is allowed:
    it applies the averages that it came with, and writes none. Where they were learnt on the members, the
    guarantee does not cover them, as it covers no weight that was not drawn at random.
    """
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise UserError(
                f"layer {layer.name}: BatchNormalization mixes the examples of a batch, so clipping each "
                "example's gradient no longer bounds what one example changes, and its moving averages "
                "get no noise; a private variant needs a model without it (GroupNormalization is allowed)"
            )
    reason = _why_generic(model)
    isolation.check(model, _rows)
    if reason is None:
        return None
    return f"{reason}: its per-example gradients come from tf.vectorized_map, which may be slower"


def _rows(model: keras.Model, images: tf.Tensor) -> list[tf.Tensor]:
    """What must be of each example alone, (b, ...): logits, and the gradients' norms where one pass has all.

    The generic path differentiates batches of one, so that there only the logits could mix.
    """
    if _why_generic(model) is not None:
        return [model(images, training=True)]
    gradients, _, logits = _explicit(model, images, tf.zeros(tf.shape(images)[0], tf.int32))
    return [logits, *(squares for squares, _ in gradients)]


def gradient(
    model: keras.Model, l2_norm_clip: float, noise_multiplier: float, expected_batch_size: int
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Result]:
    """The private gradient of a step, a function of (images, labels, seed) as the epoch loop calls it.

    It is the clipped sum plus noise of standard deviation noise_multiplier * l2_norm_clip, divided by the
    *expected* batch size: the drawn size would tell who was drawn. Arguments of the function and further
    returns as in `clipped_sum`, seed as in `noise`. Raises UserError for a model that `check` refuses.
    """
    check(model)
    stddev = noise_multiplier * l2_norm_clip if noise_multiplier else 0.0  # 0 with an infinite clip too

    def step(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Result:
        sums, losses, logits = clipped_sum(model, images, labels, l2_norm_clip)
        noises = noise(model.trainable_variables, stddev, seed)
        mean = [(one + extra) / expected_batch_size for one, extra in zip(sums, noises, strict=True)]
        return mean, losses, logits

    return step


def clipped_sum(model: keras.Model, images: tf.Tensor, labels: tf.Tensor, l2_norm_clip: float) -> Result:
    """Sum over examples of the gradients of their losses, each scaled down to norm `l2_norm_clip`.

    images: float32 (b, H, W, C), labels: int32 (b,); b may be dynamic, and 0. The loss is softmax
    cross-entropy of the model's logits in training mode. The norm is over all trainable variables
    together. Returns (one sum a variable, in the order of model.trainable_variables; losses (b,);
    logits (b, n_classes)). Call `check(model)` first.
    """
    work = _explicit if _why_generic(model) is None else _generic
    total = tf.shape(images)[0]
    classes = model.output_shape[-1]
    sums = [tf.zeros(v.shape) for v in model.trainable_variables]
    losses = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None])
    logits = tf.TensorArray(
        tf.float32, 0, dynamic_size=True, infer_shape=False, element_shape=[None, classes]
    )

    def step(start: tf.Tensor, sums: list[tf.Tensor], losses: Any, logits: Any) -> tuple:
        gradients, chunk_losses, chunk_logits = work(
            model, images[start : start + CHUNK], labels[start : start + CHUNK]
        )
        added = _clip(gradients, l2_norm_clip)
        index = start // CHUNK
        sums = [one + two for one, two in zip(sums, added, strict=True)]
        return start + CHUNK, sums, losses.write(index, chunk_losses), logits.write(index, chunk_logits)

    _, sums, losses, logits = tf.while_loop(
        lambda start, *_: start < total, step, (0, sums, losses, logits), parallel_iterations=1
    )
    return sums, losses.concat(), logits.concat()


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


def _clip(gradients: list[PerExample], l2_norm_clip: float) -> list[tf.Tensor]:
    """Sums of the gradients, each example's scaled to a norm of at most `l2_norm_clip`.

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
    return tf.cond(
        tf.reduce_all(finite),
        lambda: [weighted_sum(factors) for _, weighted_sum in gradients],
        lambda: [weighted_sum(_masked(factors, finite), finite) for _, weighted_sum in gradients],
    )


def _masked(rows: tf.Tensor, keep: tf.Tensor | None) -> tf.Tensor:
    """`rows` (b, ...) with zeros in each row that `keep` (b,) leaves out; None keeps all."""
    if keep is None:
        return rows
    return tf.where(tf.reshape(keep, (-1, *[1] * (rows.shape.rank - 1))), rows, 0.0)


def _losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _why_generic(model: keras.Model) -> str | None:
    """Why the explicit gradients do not cover this model, or None when they do."""
    if type(model) is not keras.Sequential:
        return f"model {model.name} is no plain keras.Sequential"
    if None in model.input_shape[1:]:
        return f"model {model.name} takes inputs of unknown size {model.input_shape[1:]}"
    for layer in model.layers:
        weighted = type(layer) in (keras.layers.Conv2D, keras.layers.Dense)
        if not weighted and type(layer) not in WEIGHTLESS:
            return f"layer {layer.name} is a {type(layer).__name__}"
        if weighted and (
            getattr(layer, "groups", 1) != 1
            or getattr(layer, "data_format", "channels_last") != "channels_last"
            or isinstance(layer.activation, keras.Layer)
            or len(layer.weights) != 1 + layer.use_bias
            or layer.compute_dtype != "float32"
        ):
            return f"layer {layer.name} has groups, channels first, adapters, low precision or a layer inside"
    return None


def _explicit(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor
) -> tuple[list[PerExample], tf.Tensor, tf.Tensor]:
    """Per-example gradients of a stack, from one backward pass down to the layers' pre-activations."""
    weighted: list[tuple[keras.Layer, tf.Tensor]] = []
    outputs: list[tf.Tensor] = []
    hidden = images
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for layer in model.layers:
            if not layer.weights:
                hidden = layer(hidden, training=True) if isinstance(layer, DROPOUTS) else layer(hidden)
                continue
            inputs, hidden = hidden, _linear(layer, hidden)
            if layer.trainable:
                tape.watch(hidden)
                weighted.append((layer, inputs))
                outputs.append(hidden)
            hidden = layer.activation(hidden)
        losses = _losses(labels, hidden)
    slopes = tape.gradient(losses, outputs)
    gradients: list[PerExample] = []
    for (layer, inputs), slope in zip(weighted, slopes, strict=True):
        places = tf.reshape(slope, (tf.shape(slope)[0], _size(slope.shape[1:-1]), slope.shape[-1]))
        gradients.append(_kernel(layer.kernel.shape, _inputs_by_offset(layer, inputs, slope), places))
        if layer.use_bias:
            gradients.append(_dense_sum(tf.reduce_sum(places, 1)))
    return gradients, losses, hidden


def _linear(layer: keras.Layer, inputs: tf.Tensor) -> tf.Tensor:
    """The layer's output before its activation."""
    if isinstance(layer, keras.layers.Conv2D):
        outputs = layer.convolution_op(inputs, layer.kernel)
    else:
        outputs = keras.ops.matmul(inputs, layer.kernel)
    return outputs + layer.bias if layer.use_bias else outputs


def _inputs_by_offset(layer: keras.Layer, inputs: tf.Tensor, slope: tf.Tensor) -> list[tf.Tensor]:
    """For each position of the kernel, row by row: what it multiplied, (b, places, channels)."""
    batch, channels = tf.shape(inputs)[0], inputs.shape[-1]
    if isinstance(layer, keras.layers.Dense):
        return [tf.reshape(inputs, (batch, _size(inputs.shape[1:-1]), channels))]
    (rows, columns), (down, right), (dy, dx) = layer.kernel_size, layer.strides, layer.dilation_rate
    height, width = slope.shape[1:3]
    if layer.padding == "same":
        vertical = _padding(inputs.shape[1], height, rows, down, dy)
        horizontal = _padding(inputs.shape[2], width, columns, right, dx)
        inputs = tf.pad(inputs, ((0, 0), vertical, horizontal, (0, 0)))
    return [
        tf.reshape(
            inputs[:, y : y + (height - 1) * down + 1 : down, x : x + (width - 1) * right + 1 : right],
            (batch, height * width, channels),
        )
        for y in range(0, rows * dy, dy)
        for x in range(0, columns * dx, dx)
    ]


def _padding(size: int, out: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after an axis under "same" padding (the odd one goes after)."""
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _kernel(shape: Any, inputs: list[tf.Tensor], slope: tf.Tensor) -> PerExample:
    """Gradients of a kernel: at each of its positions the matrix inputs^T slope of every example."""
    if slope.shape[1] == 1:  # an outer product: its norm is the product of two norms
        parts = [_outer(one[:, 0], slope[:, 0]) for one in inputs]
    else:
        parts = [_dense_sum(tf.matmul(one, slope, transpose_a=True)) for one in inputs]
    squares = tf.add_n([squares for squares, _ in parts])
    return squares, lambda factors, keep=None: tf.reshape(
        tf.stack([total(factors, keep) for _, total in parts]), shape
    )


def _outer(left: tf.Tensor, right: tf.Tensor) -> PerExample:
    squares = tf.reduce_sum(left * left, 1) * tf.reduce_sum(right * right, 1)
    return squares, lambda factors, keep=None: tf.matmul(
        _masked(left, keep) * factors[:, None], _masked(right, keep), transpose_a=True
    )


def _dense_sum(gradients: tf.Tensor) -> PerExample:
    """Gradients written out, (b, ...)."""
    flat = tf.reshape(gradients, (tf.shape(gradients)[0], _size(gradients.shape[1:])))
    shape = gradients.shape[1:]
    return (
        tf.reduce_sum(flat * flat, 1),
        lambda factors, keep=None: tf.reshape(tf.matmul(factors[None], _masked(flat, keep)), shape),
    )


def _size(shape: Any) -> int:
    size = 1
    for axis in shape:
        size *= axis
    return size


def _generic(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor
) -> tuple[list[PerExample], tf.Tensor, tf.Tensor]:
    """Per-example gradients of any model, each example being a batch of one."""

    def one(example: tuple[tf.Tensor, tf.Tensor]) -> Any:
        with tf.GradientTape() as tape:
            logits = model(example[0][None], training=True)
            losses = _losses(example[1][None], logits)
        gradients = tape.gradient(
            losses, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return [tf.convert_to_tensor(one) for one in gradients], losses[0], logits[0]

    gradients, losses, logits = tf.vectorized_map(one, (images, labels))
    return [_dense_sum(one) for one in gradients], losses, logits
