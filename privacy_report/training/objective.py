"""What training minimises: softmax cross-entropy, or the loss that a variant names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from privacy_report.errors import UserError, type_and_text
from privacy_report.pipeline.component import Component, imported, make
from privacy_report.training.backend import tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""(labels int32 (b,), logits float32 (b, n_classes)) -> the loss of each example, float32 (b,)."""
Tried = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(labels, logits) -> losses (b,), and slopes (b, n_classes): what each logit does to their sum."""
ROWS = 8


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def build(chosen: Component | None, n_classes: int) -> Loss:
    """The loss that a variant trains with, cross-entropy for None.

    chosen: a function that gives for (labels, logits) and its settings the loss of each example. It is tried
    on a few labels and logits, in a graph as training runs it. Raises UserError of one line for another
    shape or type, for losses or slopes that are NaN, for one that no logit moves, and for what would make a
    resumed run another: random numbers, and variables, which no checkpoint holds. A number that Python draws
    is a constant of the graph, so a second graph is tried, too.
    """
    if chosen is None:
        return cross_entropy
    labels, logits = probes(n_classes)
    _check_form(chosen.path, make("loss", chosen, tf.constant(labels), tf.constant(logits)))
    loss: Loss = partial(imported("loss", chosen.path), **chosen.settings)
    run = tried(loss, n_classes)
    losses, slopes = run(labels, logits)
    if not (np.isfinite(losses).all() and np.isfinite(slopes).all()):
        what = "slopes" if np.isfinite(losses).all() else "losses"
        raise UserError(f"loss.path: {chosen.path} gives {what} that are NaN or infinite, for finite logits")
    if not slopes.any():
        raise UserError(f"loss.path: {chosen.path} gives a loss that no logit moves, so nothing is learnt")
    for again in (run, tried(loss, n_classes)):
        if not all(map(np.array_equal, (losses, slopes), again(labels, logits))):
            raise UserError(f"loss.path: {chosen.path} draws random numbers, so a run cannot be repeated")
    return loss


def probes(n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (ROWS,) and logits to try a loss on: all equal, small and large ones, right and wrong ones."""
    rng = np.random.default_rng(0)
    labels = rng.integers(n_classes, size=ROWS, dtype=np.int32)
    logits = rng.standard_normal((ROWS, n_classes), np.float32)
    logits[0] = 0
    logits[3:] *= 3
    logits[-2, labels[-2]] += 10
    logits[-1, labels[-1]] -= 10
    return labels, logits


def tried(loss: Loss, n_classes: int) -> Tried:
    """`loss` in a graph, for batches of any size. UserError for what it raises and for variables in it."""

    @tf.function(reduce_retracing=True)
    def traced(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = loss(labels, logits)
        slopes = tape.gradient(losses, logits, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return losses, tf.convert_to_tensor(slopes)

    def run(labels: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            losses, slopes = graph(tf.constant(labels), tf.constant(logits))
        except Exception as error:  # whatever a user's own code raises
            raise _unusable(error) from None
        return losses.numpy(), slopes.numpy()

    try:
        graph = traced.get_concrete_function(
            tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, n_classes), tf.float32)
        )
    except Exception as error:
        raise _unusable(error) from None
    if any(outer.dtype == tf.resource for outer, _ in graph.graph.captures):
        raise UserError("loss.path: the loss has a variable, which no checkpoint holds, allowed: a function")
    return run


def _check_form(path: str, got: object) -> None:
    """Refuse what is no loss of each example."""
    allowed = f"allowed: a float32 tensor of shape ({ROWS},) for {ROWS} examples, the loss of each"
    if not tf.is_tensor(got):
        raise UserError(f"loss.path: {path} gives a {type(got).__name__}, {allowed}")
    shape = tuple(got.shape)  # type: ignore[attr-defined]
    if shape != (ROWS,):
        raise UserError(f"loss.path: {path} gives a tensor of shape {shape}, {allowed}")
    if got.dtype != tf.float32:  # type: ignore[attr-defined]
        raise UserError(f"loss.path: {path} gives a tensor of {got.dtype.name}, {allowed}")  # type: ignore[attr-defined]


def _unusable(error: Exception) -> UserError:
    said = type_and_text(error)
    return UserError(f"loss.path: the loss cannot be used in a TensorFlow graph ({said[:300]})")
