"""Whether model and loss treat every example alone, tried on random batches: the ground of clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from privacy_report.errors import UserError
from privacy_report.training import objective
from privacy_report.training.backend import keras, tf
from privacy_report.training.objective import Loss

# One row is watched while the others change. It has neighbours on both sides, and neither a reversal nor
# a rotation of the batch maps it to itself.
ROWS, WATCHED = 4, 1
UNKNOWN_SIDE = 32  # stands in for a size that the model leaves open
ROUNDING = 1e-3  # of the largest logit: a batch of another size may be computed by another kernel


def require_isolation(
    model: keras.Model, per_example: Callable[[keras.Model, tf.Tensor], list[tf.Tensor]]
) -> None:
    """Refuse a model that lets one example of a batch touch another, or that keeps a state of its data.

    per_example(model, images): tensors (b, ...) in training mode whose row i must depend on example i alone.
    Every bit of a row has to stay when its neighbours become large or NaN, at the same seeds (so Dropout
    passes), and the logits of a row have to stay when it is a batch of its own: in training mode, or in
    inference mode where the model draws random numbers. Variables and generators are left as they were.
    The probe sees no effect of the batch's size that needs both training mode and random numbers, none
    that its few rows do not wake (a layer that mixes past some threshold), and what `per_example`
    leaves out: mixing in the backward pass alone (tf.custom_gradient), unless it returns gradients.
    Raises UserError that names what was found, and for a model with losses of its own.
    """
    _check_losses(model)
    rows, others = _batches(model)
    outputs = _frozen_run(model, lambda images: per_example(model, images))
    kept = [output[WATCHED] for output in outputs(rows)]
    if not _same(kept, [output[WATCHED] for output in outputs(rows)]):
        raise UserError(
            f"model {model.name} draws random numbers from no keras.random.SeedGenerator of its own: a run "
            "cannot be repeated; give the layer that draws them a seed generator"
        )
    for neighbours in others:
        if not _same(kept, [output[WATCHED] for output in outputs(neighbours)]):
            _refuse(model, "a row of the batch changes with the other rows")
    logits = _frozen_run(model, _forward(model, False)) if is_random(model) else outputs
    if not _close(logits(rows)[0][WATCHED], logits(rows[WATCHED : WATCHED + 1])[0][0]):
        _refuse(model, "a row of the batch changes with the number of rows")


def require_isolated_loss(loss: Loss, n_classes: int) -> None:
    """Refuse a loss by which one example of a batch touches another's loss or slopes, with UserError.

    Every bit of a row has to stay when all other rows become large or NaN and get other labels, and the row
    itself, up to rounding, when it is a batch of its own.
    """
    run, (labels, logits) = objective.tried(loss, n_classes), objective.probes(n_classes)
    kept = run(labels, logits)
    for row in range(len(labels)):
        ours = [values[row] for values in kept]
        this = np.arange(len(labels)) == row
        for others in (100 * logits[::-1], np.full_like(logits, np.nan)):
            changed = run(
                np.where(this, labels, (labels + 1) % n_classes), np.where(this[:, None], logits, others)
            )
            if not _same(ours, [values[row] for values in changed]):
                _refuse_loss("a row of the batch changes with the other rows")
        alone = run(labels[this], logits[this])
        for whole, single in zip(kept, alone, strict=True):
            if not np.allclose(whole[row], single[0], rtol=0, atol=ROUNDING * np.abs(whole).max()):
                _refuse_loss("a row of the batch changes with the number of rows")


def _refuse_loss(what: str) -> NoReturn:
    raise UserError(
        f"loss.path: the loss mixes the examples of a batch ({what}), so clipping each example's gradient no "
        "longer bounds what one example changes; a private variant needs a loss of each example alone"
    )


def _check_losses(model: keras.Model) -> None:
    """Refuse a model that adds to the loss in training mode: by regularisers, or by `add_loss` in a call."""
    adding: list[str] = []

    @tf.function
    def traced(images: tf.Tensor) -> tf.Tensor:
        with keras.StatelessScope([(v, v.value) for v in model.variables], collect_losses=True):
            outputs = model(images, training=True)
            layers = [model, *model._flatten_layers(include_self=False)]  # outer ones come first
            adding.extend(layer.name for layer in layers if layer.losses)
        return outputs

    traced.get_concrete_function(tf.TensorSpec((None, *_image_shape(model)), tf.float32))
    if adding:
        raise UserError(
            f"layer {adding[-1]}: its own loss (a regularizer or add_loss) is no part of an example's "
            "loss, which is all that a private variant's gradients are of; remove it"
        )


def _batches(model: keras.Model) -> tuple[np.ndarray, list[np.ndarray]]:
    """Random images, and the same watched row among others: large ones, and NaN, which nothing absorbs."""
    rng = np.random.default_rng(0)
    shape = (ROWS, *_image_shape(model))
    rows = rng.random(shape, np.float32)
    large, missing = 100 * rng.standard_normal(shape, np.float32), np.full(shape, np.nan, np.float32)
    large[WATCHED] = missing[WATCHED] = rows[WATCHED]
    return rows, [large, missing]


def _frozen_run(
    model: keras.Model, work: Callable[[tf.Tensor], list[tf.Tensor]]
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """`work` in a graph that writes no variable: each call starts from the same states.

    Raises UserError for a model that would have written one, or that reads one which is not its own.
    """
    written: list[str] = []

    def traced(images: tf.Tensor) -> list[tf.Tensor]:
        with keras.StatelessScope() as scope:
            results = work(images)
        # `weights` are all variables except for the seed generators' states
        written.extend(v.path for v in model.weights if scope.get_current_value(v) is not None)
        return results

    spec = tf.TensorSpec((None, *_image_shape(model)), tf.float32)
    graph = tf.function(traced).get_concrete_function(spec)
    if written:
        raise UserError(
            f"variable {written[0]}: the forward pass writes it, so it carries data of the examples that "
            "get no noise; a private variant needs a model without such a state"
        )
    own = {id(variable.value.handle) for variable in model.variables}
    if any(outer.dtype == tf.resource and id(outer) not in own for outer, _ in graph.graph.captures):
        raise UserError(
            f"model {model.name} uses a variable (or a seed generator) that none of its layers holds: a "
            "private variant's whole state has to be the model's; make it a layer's weight or SeedGenerator"
        )
    return lambda images: [output.numpy() for output in graph(tf.constant(images))]


def _forward(model: keras.Model, training: bool) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    return lambda images: [model(images, training=training)]


def _image_shape(model: keras.Model) -> tuple[int, ...]:
    return tuple(side or UNKNOWN_SIDE for side in model.input_shape[1:])


def _same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, theirs, strict=True))


def _close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    return np.allclose(ours, theirs, rtol=0, atol=ROUNDING * np.abs(ours).max(), equal_nan=True)


def _refuse(model: keras.Model, what: str) -> NoReturn:
    raise UserError(
        f"{_culprit(model)} mixes the examples of a batch ({what}), so clipping each example's gradient no "
        "longer bounds what one example changes; a private variant needs a model that treats every example "
        "alone"
    )


def _culprit(model: keras.Model) -> str:
    """The first layer of a stack after which rows of the batch depend on each other, else the model."""
    if isinstance(model, keras.Sequential):
        rows, others = _batches(model)
        for layer in model.layers:
            front = keras.Model(model.inputs, layer.output, name="part")
            hidden = _frozen_run(front, _forward(front, True))
            kept, *changed = (hidden(images)[0][WATCHED] for images in (rows, *others))
            alone = hidden(rows[WATCHED : WATCHED + 1])[0][0]
            if not (
                all(_same([kept], [other]) for other in changed) and (is_random(front) or _close(kept, alone))
            ):
                return f"layer {layer.name}"
    return f"model {model.name}"


def is_random(model: keras.Model) -> bool:
    return len(model.variables) > len(model.weights)  # the difference is the states of seed generators
