"""An epoch of a target: the whole job, from files and parameters to the state after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.dotted import function
from privacy_report.training.absent import WithoutAbsent
from privacy_report.training.data import Data, of_variant
from privacy_report.training.job import Job
from privacy_report.training.trainer import Trainer


def epoch(job: Job, state: Arrays | None, number: int) -> Arrays:
    """Train epoch `number` (1-based) of a target; the state and measurements after it, see `state.to_arrays`.

    state: what the epoch before left, None before the first. UserError of one line for a user's mistake.
    """

    def make() -> Trainer:
        world = job.source.read()
        return trainer_of(job, of_variant(world.everyone), world.absent)

    return trainer_in(state, repr(job), make).run(number)


def trainer_of(job: Job, data: Data, absent: np.ndarray | None = None) -> Trainer:
    """The trainer of a job's model on `data`, less those of its training examples that are `absent`, bool."""
    regime = function(job.regime)(job.name, job.config, len(data.train))
    if absent is not None and absent.any():
        regime = WithoutAbsent(regime, absent, keeps_empty=job.config.privacy is not None)
    return Trainer(job.name, job.config, data, regime)


_last: dict[str, Trainer] = {}
"""The trainer that this process used last, by the identity of its model: building one takes seconds."""


def trainer_in(state: Arrays | None, identity: str, make: Callable[[], Trainer]) -> Trainer:
    """A model's trainer, in the state that an epoch left; in the initial one for None."""
    if state is None or identity not in _last:
        _last.clear()
        _last[identity] = make()
    if state is not None:
        _last[identity].restore(state)
    return _last[identity]
