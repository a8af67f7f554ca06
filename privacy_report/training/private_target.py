"""An epoch of a private target: the whole job, as in `target`, with what checks and canaries leave."""

from __future__ import annotations

from privacy_report.pipeline.digests import Arrays
from privacy_report.training.absent import WithoutAbsent
from privacy_report.training.data import of_variant
from privacy_report.training.job import Job
from privacy_report.training.private import Private
from privacy_report.training.target import trainer_in, trainer_of
from privacy_report.training.trainer import Trainer


def epoch(job: Job, state: Arrays | None, number: int) -> Arrays:
    """Train epoch `number` (1-based) of a private target; see `target.epoch` and `Private.arrays`."""

    def make() -> Trainer:
        world = job.source.read()
        return trainer_of(job, of_variant(world.everyone), world.absent)

    trainer = trainer_in(state, repr(job), make)
    regime = trainer.regime.regime if isinstance(trainer.regime, WithoutAbsent) else trainer.regime
    assert isinstance(regime, Private)
    regime.restore(state or {})
    return trainer.run(number) | regime.arrays()
