"""What the training of a private variant depends on: as in `plan`, with checks and gradient canaries.

A module of its own, so that the keys of ordinary variants do not depend on it. Light, as `plan` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

from privacy_report.pipeline.digests import Arrays, arrays_digest, digest
from privacy_report.pipeline.memo import Memo
from privacy_report.training import plan
from privacy_report.training.job import Job, Source
from privacy_report.training.plan import Target, inputs_of, job_of
from privacy_report.training.schema import Variant
from privacy_report.training.section import has_gradient_canaries

TARGET = "privacy_report.training.private_target"
HANDS = (*plan.HANDS, __name__)


@dataclass(frozen=True)
class PrivateTarget(Target):
    """A private target to train, and what every epoch of it depends on."""

    def epochs(self, kept: Memo, last: int) -> Iterator[tuple[int, Arrays]]:
        """As `Target.epochs`; an epoch's arrays have those of `private.Private.arrays`, too."""
        state, before = None, None
        for epoch in range(1, last + 1):
            key = digest(self.inputs | {"epoch": epoch, "before": before})
            state = kept.recall("epoch", key, partial(_train, self.job, state, epoch))
            before = arrays_digest(state)
            yield epoch, state


def target(name: str, config: Variant, source: Source) -> Target:
    """The target of any variant: a `PrivateTarget` where it is private, and else as `plan.target`.

    Gradient canaries are settings of the training, and no data: their coins follow from these.
    """
    if config.privacy is None:
        return plan.target(name, config, source)
    job = job_of(name, config, source)
    if has_gradient_canaries(config):
        job = replace(job, config=replace(job.config, canaries=config.canaries))
    return PrivateTarget(job, inputs_of(TARGET, job, HANDS))


def _train(job: Job, state: Arrays | None, epoch: int) -> Arrays:
    from privacy_report.training import private_target  # brings TensorFlow

    return private_target.epoch(job, state, epoch)
