"""Gradient canaries: examples made of a gradient alone, each with a weight's coordinate of its own.

A canary that is in, by its coin, is drawn in each step as any example is, and is a gradient that clipping
brings to C at its coordinate. Against whoever sees every step's update, knows all other examples and which of
them were drawn (the attacker that the accountant assumes), the noise is then all that hides it. Sources:
Nasr et al. 2023 (arXiv 2302.07956); Steinke, Nasr & Jagielski 2023 (arXiv 2305.08846), section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from privacy_report.datasets.canary_draw import STREAM, coins
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.errors import refuse
from privacy_report.training.backend import keras, tf
from privacy_report.training.per_example import PerExample, masked
from privacy_report.training.private_arrays import COINS, SCORES
from privacy_report.training.private_gradient import Step

COORDINATES = 2
"""The stream of the coordinates, next to those of `canary_draw`."""
DRAWS = 3
"""The purpose of the draws among those of `sampling`."""
UNCLIPPED = 4.0
"""The norm of a canary's gradient over the clipping norm, so that a trainer that forgets to clip shows."""

Clip = Callable[[list[PerExample], float], tuple[list[tf.Tensor], tf.Tensor]]


class GradientCanaries:
    """The canaries of a model's private training, and how likely each is in by what was seen so far.

    steps: of an epoch; sampling_probability, noise_multiplier, l2_norm_clip, expected_batch_size: as claimed;
    clip: how the training clips. Raises UserError for more canaries than the model has weights to train.
    """

    def __init__(
        self,
        params: CanaryParams,
        model: keras.Model,
        steps: int,
        sampling_probability: float,
        noise_multiplier: float,
        l2_norm_clip: float,
        expected_batch_size: int,
        clip: Clip,
    ):
        self.q, self.noise_multiplier = sampling_probability, noise_multiplier
        self.l2_norm_clip, self.expected_batch_size, self.clip = l2_norm_clip, expected_batch_size, clip
        self.is_member = coins(params)
        self.shapes = [tuple(v.shape) for v in model.trainable_variables]
        d = sum(int(np.prod(shape)) for shape in self.shapes)
        if params.count > d:
            raise refuse("canaries.count", params.count, f"at most {d}, the weights, one for each")
        stream = np.random.SeedSequence(params.seed, spawn_key=(STREAM, COORDINATES))
        self.coordinates = np.random.default_rng(stream).permutation(d)[: params.count].astype(np.int32)
        self._d = d
        self._drawn = tf.Variable(tf.zeros((steps, params.count)), trainable=False)
        self._row = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._score = tf.Variable(tf.zeros(params.count, tf.float64), trainable=False)

    def begin(self, entropy: int, epoch: int) -> None:
        """Draw the canaries of an epoch's steps; `entropy` as for the batches of the examples."""
        rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(DRAWS, epoch)))
        drawn = rng.random(self._drawn.shape) < self.q
        self._drawn.assign((drawn & self.is_member).astype(np.float32))
        self._row.assign(0)

    def added(self) -> list[tf.Tensor]:
        """What the canaries add to the clipped sum of a step, in the graph: one a variable."""
        slopes = UNCLIPPED * self.l2_norm_clip * tf.gather(self._drawn, self._row)

        def total(factors: tf.Tensor, keep: tf.Tensor | None = None) -> tf.Tensor:
            return tf.scatter_nd(self.coordinates[:, None], factors * masked(slopes, keep), [self._d])

        (flat,), _ = self.clip([(slopes * slopes, total)], self.l2_norm_clip)
        parts = tf.split(flat, [int(np.prod(shape)) for shape in self.shapes])
        return [tf.reshape(addend, shape) for addend, shape in zip(parts, self.shapes, strict=True)]

    def see(self, step: Step) -> None:
        """Score a step, in the graph: the log likelihood ratio of each canary's coordinate under the claim.

        x is what the optimizer got at the coordinate, times the expected batch size and less the sum of the
        other examples, over C: 1 or 0 and noise of variance noise_multiplier^2 where it is in, noise alone
        where it is not.
        """
        noisy = [
            tf.reshape(
                tf.cast(got, tf.float64) * self.expected_batch_size - tf.cast(others, tf.float64), [-1]
            )
            for got, others in zip(step.gradients, step.clipped.sums, strict=True)
        ]
        x = tf.gather(tf.concat(noisy, 0), self.coordinates) / self.l2_norm_clip
        drawn = (x - 0.5) / self.noise_multiplier**2 + np.log(self.q)
        with np.errstate(divide="ignore"):  # q may be 1
            not_drawn = tf.fill(x.shape, tf.constant(np.log1p(-self.q), tf.float64))
        self._score.assign_add(tf.reduce_logsumexp([drawn, not_drawn], 0))
        self._row.assign_add(1)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from the scores in the state of an epoch; from 0 where it has none."""
        self._score.assign(arrays.get(SCORES, np.zeros(self._score.shape)))

    def arrays(self) -> dict[str, np.ndarray]:
        """The scores so far, float64 (m,), higher = more likely in, and the coins bool (m,)."""
        return {SCORES: self._score.numpy(), COINS: self.is_member}
