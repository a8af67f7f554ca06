"""Faults that private trainers have had, each as a change of the sound one while a block runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from privacy_report.training import private_gradient, sampling
from privacy_report.training.backend import tf
from privacy_report.training.epochs import Gradient
from privacy_report.training.per_example import PerExample
from privacy_report.training.private_gradient import Clipped, Step

Clip = Callable[[list[PerExample], float], tuple[list[tf.Tensor], tf.Tensor]]
Replaced = tuple[Any, str, Any]
"""A module, a name in it, and what takes its place."""

clip, clipped_sum, gradient, noise = (
    getattr(private_gradient, name) for name in ("clip", "clipped_sum", "gradient", "noise")
)
poisson_batches, step_seeds = sampling.poisson_batches, sampling.step_seeds


def no_clip(gradients: list[PerExample], l2_norm_clip: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """All gradients as they are."""
    return clip(gradients, float("inf"))


def clip_of_each_layer(gradients: list[PerExample], l2_norm_clip: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Each variable's gradient clipped alone, so that the whole has a norm of up to C times a root."""
    sums = [clip([layer], l2_norm_clip)[0][0] for layer in gradients]
    squares = tf.add_n([tf.minimum(squares, l2_norm_clip**2) for squares, _ in gradients])
    return sums, tf.sqrt(tf.reduce_max(squares))


def clip_of_the_mean(
    model: Any, l2_norm_clip: float, noise_multiplier: float, size: int, added: Any, watch: Any, loss: Any
) -> Gradient:
    """The mean of all gradients is clipped, and no single one."""

    def step(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Any:
        clipped = clipped_sum(model, images, labels, float("inf"), loss)
        sums = clipped.sums if added is None else [a + b for a, b in zip(clipped.sums, added(), strict=True)]
        factor = tf.minimum(1.0, l2_norm_clip / (tf.linalg.global_norm(sums) / size))
        noises = noise(model.trainable_variables, noise_multiplier * l2_norm_clip, seed)
        sums = [total * factor for total in sums]
        mean = [(total + extra) / size for total, extra in zip(sums, noises, strict=True)]
        examples = [total * factor for total in clipped.sums]
        seen = Clipped(examples, clipped.losses, clipped.logits, tf.constant(l2_norm_clip, tf.float32))
        watch(Step(images, labels, seen, sums, mean))
        return mean, clipped.losses, clipped.logits

    return step


def drawn_divisor(
    model: Any, l2_norm_clip: float, noise_multiplier: float, size: int, added: Any, watch: Any, loss: Any
) -> Gradient:
    """The noised sum is divided by the number of examples that were drawn."""
    sound: list[Step] = []
    work = gradient(model, l2_norm_clip, noise_multiplier, size, added, sound.append, loss)

    def step(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Any:
        work(images, labels, seed)
        ratio = size / tf.cast(tf.maximum(tf.shape(images)[0], 1), tf.float32)
        made = sound[-1]._replace(gradients=[grad * ratio for grad in sound[-1].gradients])
        watch(made)
        return made.gradients, made.clipped.losses, made.clipped.logits

    return step


def noise_times(factor: float) -> Callable[..., list[tf.Tensor]]:
    """Noise of another standard deviation than was claimed."""
    return lambda variables, stddev, seed: noise(variables, factor * stddev, seed)


def one_noise(variables: list[Any], stddev: float, seed: tf.Tensor) -> list[tf.Tensor]:
    """The same noise in every step of the run."""
    return noise(variables, stddev, tf.zeros_like(seed))


def no_noise_at_the_end(variables: list[Any], stddev: float, seed: tf.Tensor) -> list[tf.Tensor]:
    """Noise on all weights but the last layer's."""
    *others, kernel, bias = noise(variables, stddev, seed)
    return [*others, tf.zeros_like(kernel), tf.zeros_like(bias)]


def same_seeds(entropy: int, epoch: int, steps: int) -> np.ndarray:
    """The noise of the first epoch, in every epoch."""
    return step_seeds(entropy, 1, steps)


def shuffled_batches(
    entropy: int, epoch: int, n: int, size: int, capacity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Every example once an epoch, in batches of equal size: no sampling at all."""
    rows, sizes = sampling.shuffled_batches(entropy % 2**32, "", epoch, n, size)
    steps = sampling.poisson_steps(n, size)
    return np.pad(rows, ((0, 0), (0, capacity - size)))[:steps], sizes[:steps]


FAULTS: dict[str, Replaced] = {
    "no clipping": (private_gradient, "clip", no_clip),
    "clipping each layer": (private_gradient, "clip", clip_of_each_layer),
    "clipping after the mean": (private_gradient, "gradient", clip_of_the_mean),
    "no noise": (private_gradient, "noise", noise_times(0.0)),
    "noise of one half": (private_gradient, "noise", noise_times(0.5)),
    "noise of 0.9": (private_gradient, "noise", noise_times(0.9)),
    "one noise in every step": (private_gradient, "noise", one_noise),
    "the same noise in every epoch": (sampling, "step_seeds", same_seeds),
    "no noise on the last layer": (private_gradient, "noise", no_noise_at_the_end),
    "the drawn batch size as divisor": (private_gradient, "gradient", drawn_divisor),
    "shuffled batches of one size": (sampling, "poisson_batches", shuffled_batches),
}


@contextmanager
def fault(name: str | None) -> Iterator[None]:
    """Train with a fault of FAULTS while the block runs, with none for None."""
    if name is None:
        yield
        return
    module, attribute, replacement = FAULTS[name]
    with mock.patch.object(module, attribute, replacement):
        yield
