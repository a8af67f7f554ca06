"""Per-example gradients: explicit ones of stacks of convolutions and dense layers, generic ones of any model.

Source of the explicit ones and of their norms: Goodfellow, "Efficient Per-Example Gradient Computations",
2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privacy_report.training.backend import keras, tf
from privacy_report.training.objective import Loss, cross_entropy

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

# A weight's gradients, one an example: their squared norms (b,), and the map from factors (b,), and a mask
# (b,) of what to keep (by default all), to the sum of the kept gradients, each times its factor, in the
# weight's shape.
PerExample = tuple[tf.Tensor, Callable[..., tf.Tensor]]


def masked(rows: tf.Tensor, keep: tf.Tensor | None) -> tf.Tensor:
    """`rows` (b, ...) with zeros in each row that `keep` (b,) leaves out; None keeps all."""
    if keep is None:
        return rows
    return tf.where(tf.reshape(keep, (-1, *[1] * (rows.shape.rank - 1))), rows, 0.0)


def why_generic(model: keras.Model) -> str | None:
    """Why the explicit gradients do not cover this model, or None when they do."""
    if type(model) is not keras.Sequential:
        return f"model {model.name} is no plain keras.Sequential"
    if None in model.input_shape[1:]:
        return f"model {model.name} takes inputs of unknown size {model.input_shape[1:]}"
    for layer in model.layers[_front(model) :]:
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


def _learnt(model: keras.Model) -> set[int]:
    """Ids of the weights that are trained. A layer may be frozen in part, whatever its `trainable` says."""
    return {id(weight) for weight in model.trainable_weights}


def _front(model: keras.Sequential) -> int:
    """How many layers come before the first that learns. Nothing is differentiated through these."""
    learnt = _learnt(model)
    learning = (any(id(weight) in learnt for weight in layer.weights) for layer in model.layers)
    return next((number for number, learns in enumerate(learning) if learns), len(model.layers))


def explicit(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, loss_of: Loss = cross_entropy
) -> tuple[list[PerExample], tf.Tensor, tf.Tensor]:
    """Per-example gradients of a stack, from one backward pass down to the layers' pre-activations.

    One a trainable weight, in the order of model.trainable_weights.
    """
    weighted: list[tuple[keras.Layer, tf.Tensor]] = []
    outputs: list[tf.Tensor] = []
    learnt, front, hidden = _learnt(model), _front(model), images
    for layer in model.layers[:front]:
        hidden = layer(hidden, training=True)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for layer in model.layers[front:]:
            if not layer.weights:
                hidden = layer(hidden, training=True) if isinstance(layer, DROPOUTS) else layer(hidden)
                continue
            inputs, hidden = hidden, _linear(layer, hidden)
            if any(id(weight) in learnt for weight in layer.weights):
                tape.watch(hidden)
                weighted.append((layer, inputs))
                outputs.append(hidden)
            hidden = layer.activation(hidden)
        losses = loss_of(labels, hidden)
    slopes = tape.gradient(losses, outputs)
    gradients: list[PerExample] = []
    for (layer, inputs), slope in zip(weighted, slopes, strict=True):
        places = tf.reshape(slope, (tf.shape(slope)[0], _size(slope.shape[1:-1]), slope.shape[-1]))
        if id(layer.kernel) in learnt:
            gradients.append(_kernel(layer.kernel.shape, _inputs_by_offset(layer, inputs, slope), places))
        if layer.use_bias and id(layer.bias) in learnt:
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
        parts = [_outer(values[:, 0], slope[:, 0]) for values in inputs]
    else:
        parts = [_dense_sum(tf.matmul(values, slope, transpose_a=True)) for values in inputs]
    squares = tf.add_n([squares for squares, _ in parts])
    return squares, lambda factors, keep=None: tf.reshape(
        tf.stack([total(factors, keep) for _, total in parts]), shape
    )


def _outer(left: tf.Tensor, right: tf.Tensor) -> PerExample:
    squares = tf.reduce_sum(left * left, 1) * tf.reduce_sum(right * right, 1)
    return squares, lambda factors, keep=None: tf.matmul(
        masked(left, keep) * factors[:, None], masked(right, keep), transpose_a=True
    )


def _dense_sum(gradients: tf.Tensor) -> PerExample:
    """Gradients written out, (b, ...)."""
    flat = tf.reshape(gradients, (tf.shape(gradients)[0], _size(gradients.shape[1:])))
    shape = gradients.shape[1:]
    return (
        tf.reduce_sum(flat * flat, 1),
        lambda factors, keep=None: tf.reshape(tf.matmul(factors[None], masked(flat, keep)), shape),
    )


def _size(shape: Any) -> int:
    size = 1
    for axis in shape:
        size *= axis
    return size


def generic(
    model: keras.Model, images: tf.Tensor, labels: tf.Tensor, loss_of: Loss = cross_entropy
) -> tuple[list[PerExample], tf.Tensor, tf.Tensor]:
    """Per-example gradients of any model, each example being a batch of one."""

    def gradient_of_one(example: tuple[tf.Tensor, tf.Tensor]) -> Any:
        with tf.GradientTape() as tape:
            logits = model(example[0][None], training=True)
            losses = loss_of(example[1][None], logits)
        gradients = tape.gradient(
            losses, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return [tf.convert_to_tensor(gradient) for gradient in gradients], losses[0], logits[0]

    gradients, losses, logits = tf.vectorized_map(gradient_of_one, (images, labels))
    return [_dense_sum(gradient) for gradient in gradients], losses, logits
