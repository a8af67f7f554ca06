"""Reference models: trained as a variant is, on other examples and with another seed, in short intervals.

A reference is trained from checkpoint epoch to checkpoint epoch. What an interval leaves are the state to go
on from and phi, the logit-scaled confidence of every example, so that a lost worker costs one interval.
This module is light: it says which references there are, and `reference` trains them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.digests import arrays_digest, digest
from privacy_report.training import plan
from privacy_report.training.job import Job, Source
from privacy_report.training.memberships import ReferenceParams, halves
from privacy_report.training.plan import inputs_of, job_of
from privacy_report.training.schema import Variant

REFERENCE = "privacy_report.training.reference"
HANDS = (*plan.HANDS, __name__, "privacy_report.training.engine", "privacy_report.training.worker")
"""Between the plan of a reference and its training."""
PHI = "phi"


@dataclass(frozen=True)
class Reference:
    """One reference model to train.

    job: with reproducible noise; trains: bool (n,), on whom of all examples; inputs: what all its results
    depend on; epochs: those after which phi is kept, ascending.
    """

    job: Job
    trains: np.ndarray = field(compare=False)  # its digest is among the inputs
    inputs: dict[str, Any]
    epochs: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.job.name

    def key(self, epoch: int) -> str:
        """The memo's key of what is there after `epoch` epochs."""
        return digest(self.inputs | {"epoch": epoch})


def memberships(variant: str, params: ReferenceParams, n: int) -> np.ndarray:
    """Which of a variant's references trains on which of n examples, bool (models, n)."""
    models = params.models_of(variant)
    return halves(n, models, params.seed, params.fraction) if models else np.zeros((0, n), bool)


def planned(
    variant: str, config: Variant, params: ReferenceParams, n: int, source: Source
) -> list[Reference]:
    """The references of a variant.

    n: examples, members and non-members together. Raises UserError for fewer epochs than the first
    checkpoint has.
    """
    trains = memberships(variant, params, n)
    last = min(params.epochs or config.epochs, config.epochs)
    epochs = tuple(epoch for epoch in config.checkpoint_epochs if epoch <= last)
    if len(trains) and not epochs:
        raise UserError(
            f"reference.epochs: got {params.epochs}, allowed: at least {config.epochs_per_report}, the first "
            f"checkpoint of {variant}"
        )
    if config.privacy:  # the attacker's own noise: nobody is protected by keeping it secret
        config = replace(config, privacy=replace(config.privacy, seed="committed"))
    references = []
    for i, members in enumerate(trains):
        job = job_of(f"{variant} reference {i} of seed {params.seed}", config, source)
        inputs = inputs_of(REFERENCE, job, HANDS) | {"members": arrays_digest({"": members})}
        references.append(Reference(job, members, inputs, epochs))
    return references
