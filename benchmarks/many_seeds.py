"""One private trainer for many seeds: building, tracing and accounting take longer than training on digits.

A run has the same bits as that of a trainer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any
from unittest import mock

import numpy as np

from privacy_report.datasets.canaries import World
from privacy_report.training import accounting, models, sampling
from privacy_report.training.absent import WithoutAbsent
from privacy_report.training.backend import tf
from privacy_report.training.data import of_variant
from privacy_report.training.gradient_canaries import GradientCanaries
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.private import Private
from privacy_report.training.schema import Variant
from privacy_report.training.target import trainer_of
from privacy_report.training.trainer import _int_seed

NAME = "digits"
BUDGETS = {name: cache(getattr(accounting, name)) for name in ("noise_for", "spent_epsilon")}


@contextmanager
def each_budget_once() -> Iterator[None]:
    """What an epoch costs in epsilon is computed once a process while the block runs, and not in each run."""
    with mock.patch.multiple(accounting, **BUDGETS):
        yield


class ManySeeds:
    """Trains a variant from one seed after the other.

    config: a private variant, whose `seed` and `canaries.seed` do not count; world: examples, of which the
    later ones may differ in labels and in who is absent.
    """

    def __init__(self, config: Variant, world: World):
        data = of_variant(world.everyone)
        self.config, self.data = config, replace(data, labels=np.array(data.labels))
        job = replace(job_of(NAME, config, NOWHERE), config=config)
        with each_budget_once():
            self.trainer = trainer_of(job, self.data, world.absent)
        self._optimizer = [variable.numpy() for variable in self.trainer.optimizer.variables]
        if self.canaries:  # a constant of the graph, if it were no variable
            self.canaries.coordinates = tf.Variable(self.canaries.coordinates)

    @property
    def private(self) -> Private:
        """The private way of training, with its self-check and canaries."""
        regime: Any = self.trainer.regime
        return regime.regime if isinstance(regime, WithoutAbsent) else regime

    @property
    def canaries(self) -> GradientCanaries | None:
        return self.private._canaries

    def run(self, seed: int, world: World) -> dict[str, np.ndarray]:
        """Train all epochs from a seed on; the state after the last of them, as `Trainer.run` gives it."""
        self._begin(seed, world)
        with each_budget_once():
            for epoch in range(1, self.config.epochs + 1):
                state = self.trainer.run(epoch)
        return state

    def _begin(self, seed: int, world: World) -> None:
        self.data.labels[:] = world.everyone.labels
        if isinstance(self.trainer.regime, WithoutAbsent):
            self.trainer.regime.absent = world.absent
        data, drawn_from = self.data, _int_seed(seed, NAME)
        fresh = models.build(self.config.model, data.images.shape[1:], data.n_classes, drawn_from)
        self.trainer.model.set_weights(fresh.get_weights())
        for variable, value in zip(self.trainer.optimizer.variables, self._optimizer, strict=True):
            variable.assign(value)
        private = self.private
        private._entropy = sampling.private_entropy(private.privacy.seed, seed, NAME)
        if self.canaries:
            self._flip(self.canaries, seed)
        private.restore({})

    def _flip(self, canaries: GradientCanaries, seed: int) -> None:
        """The coins and coordinates of another seed."""
        fresh = GradientCanaries(
            replace(self.private.canary_params, seed=seed),
            self.trainer.model,
            1,
            canaries.q,
            canaries.noise_multiplier,
            canaries.l2_norm_clip,
            canaries.expected_batch_size,
            canaries.clip,
        )
        canaries.is_member = fresh.is_member
        canaries.coordinates.assign(fresh.coordinates)
