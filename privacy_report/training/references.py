"""Reference models: trained as a variant is, on other examples and with another seed, in short intervals.

A reference is trained from checkpoint epoch to checkpoint epoch. What an interval leaves are the state to go
on from and phi, the logit-scaled confidence of every example, so that a lost worker costs one interval.
This module is light: it says which references there are, and `reference` trains them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.digests import Arrays, arrays_digest, digest
from privacy_report.pipeline.memo import Memo
from privacy_report.training import plan
from privacy_report.training.chains import STATE, Chain, Results, finished, state_in
from privacy_report.training.job import Job, Source
from privacy_report.training.memberships import ReferenceParams, halves
from privacy_report.training.plan import Recipe, asked, inputs_of, job_of, recipe_of
from privacy_report.training.schema import Queries, Variant

REFERENCE = "privacy_report.training.reference"
HANDS = (*plan.HANDS, __name__)
"""Between the plan of a reference and its training."""
PHI = "phi"
KIND, STATES = "reference", "reference-state"
"""Kinds of entries of the store."""


@dataclass(frozen=True)
class Reference:
    """One reference model to train.

    job: with reproducible noise; trains: bool (n,), on whom of all examples; inputs: what all its results
    depend on; epochs: those after which phi is kept, ascending; queries: what else it is asked.
    """

    job: Job
    trains: np.ndarray = field(compare=False)  # its digest is among the inputs
    recipe: Recipe
    inputs: dict[str, Any]
    epochs: tuple[int, ...]
    queries: Queries | None = None

    @property
    def recipes(self) -> list[tuple[Recipe, dict[str, Any]]]:
        return [(self.recipe, self.inputs)]

    def key(self, epoch: int) -> str:
        """The memo's key of what is there after `epoch` epochs."""
        return digest(self.inputs | {"epoch": epoch})

    def interval(self, state: Arrays | None, epochs: range) -> Results:
        """Train over `epochs`; phi, and the state after the last."""
        from privacy_report.training import reference

        started = time.monotonic()
        phi, after = reference.interval(self.job, self.trains, state, epochs, self.queries)
        return {PHI: finished({PHI: phi}, started), STATE: finished(after, started)}


class ReferenceChain(Chain):
    """A reference model: phi is kept at each of its epochs, the state only at the last."""

    model: Reference

    def __init__(self, model: Reference):
        super().__init__(model, model.epochs[-1], int(model.trains.sum()))
        for epoch in model.epochs:
            if not store.path_of(KIND, model.key(epoch)).exists():
                break
            if epoch == self.last or store.path_of(STATES, model.key(epoch)).exists():
                self.at = epoch

    def next(self) -> range:
        return range(self.at + 1, next(epoch for epoch in self.model.epochs if epoch > self.at) + 1)

    def key(self) -> str:
        return self.model.key(self.next()[-1])

    def stored(self) -> Arrays | None:
        return state_in(STATES, self.model.key(self.at), self.name, self.at) if self.at else None

    def keep(self, results: Results) -> None:
        """The state first: whoever finds phi can go on. The state before is done with."""
        before, key = self.at, self.key()
        store.put(STATES, key, results[STATE])
        store.put(KIND, key, results[PHI])
        self.at = self.next()[-1]
        self.note(results[STATE].arrays)
        if before:
            store.path_of(STATES, self.model.key(before)).unlink(missing_ok=True)


def phi_of(kept: Memo, references: list[Reference]) -> dict[int, np.ndarray]:
    """Epoch -> phi of references that are trained: float32 (models, n), or (models, queries, n).

    UserError where one was lost.
    """

    def stored(reference: Reference, epoch: int) -> np.ndarray:
        def lost() -> Arrays:
            raise UserError(f"{reference.job.name}: its outputs at epoch {epoch} were lost, run again")

        return kept.recall(KIND, reference.key(epoch), lost)[PHI]

    epochs = references[0].epochs if references else ()
    return {epoch: np.stack([stored(reference, epoch) for reference in references]) for epoch in epochs}


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
    config = replace(config, canaries=None)
    if config.privacy:  # the attacker's own noise: nobody is protected by keeping it secret
        config = replace(config, privacy=replace(config.privacy, seed="committed"))
    references = []
    for i, members in enumerate(trains):
        job = job_of(f"{variant} reference {i} of seed {params.seed}", config, source)
        recipe = recipe_of(REFERENCE, job, HANDS)
        inputs = inputs_of(recipe, job) | {"members": arrays_digest({"": members})} | asked(config.queries)
        references.append(Reference(job, members, recipe, inputs, epochs, config.queries))
    return references
