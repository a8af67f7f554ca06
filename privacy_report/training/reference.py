"""An interval of a reference model: the whole job, from files and parameters to what the model says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.errors import UserError
from privacy_report.pipeline.digests import Arrays, arrays_digest
from privacy_report.training.data import of_references
from privacy_report.training.job import Job
from privacy_report.training.queries import further_phi
from privacy_report.training.schema import Queries
from privacy_report.training.target import trainer_in, trainer_of
from privacy_report.training.trainer import Trainer


def interval(
    job: Job, trains: np.ndarray, state: Arrays | None, epochs: range, queries: Queries | None = None
) -> tuple[np.ndarray, Arrays]:
    """Train one reference over `epochs` (1-based, each after the other); phi (n,) float32, and the state.

    trains: bool (n,), on whom of all examples it trains, members first and canaries last; state: what the
    epoch before the first left, None at the beginning. phi is the logit-scaled confidence of each example;
    with more queries (queries, n), that of the example itself first. Raises UserError that names a model
    whose outputs are not finite, and as `queries.turns`.
    """
    data = of_references(job.source.read().for_references)

    def make() -> Trainer:
        return trainer_of(job, replace(data, train=data.train[trains]))

    trainer = trainer_in(state, f"{job} {arrays_digest({'': trains})}", make)
    for epoch in epochs:
        state = trainer.run(epoch)
    assert state is not None
    labels = data.labels[data.train]
    phi = logit_confidence(trainer.predict(data.images, data.train), labels)
    if queries:
        phi = np.stack([phi, *further_phi(trainer.predict, data.images, data.train, labels, queries)])
    if bad := int(np.count_nonzero(~np.isfinite(phi))):
        raise UserError(
            f"{job.name}: diverged, {bad} of {phi.size} outputs are not finite after epoch {epochs[-1]}"
        )
    return phi.astype(np.float32), state
