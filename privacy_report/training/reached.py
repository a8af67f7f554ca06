"""How far a run in progress is: what the store has of a variant by now.

The keys are those by which stage fit keeps its results. This module is light.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from privacy_report.pipeline import store
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.training.memberships import ReferenceParams
from privacy_report.training.person_coins import of_variant
from privacy_report.training.plan import EPOCH, source_of, target
from privacy_report.training.references import ReferenceChain
from privacy_report.training.schema import Variant


@dataclass(frozen=True)
class Reached:
    """What is there of a variant's target and of its reference models.

    val_accuracy: after each finished epoch of the target; references: their finished epochs, of all that
    there will be. inputs, before: what further epochs' keys are made of; see `plan.Target`.
    """

    val_accuracy: tuple[float, ...] = ()
    references: tuple[int, int] = (0, 0)
    inputs: dict[str, Any] = field(default_factory=dict)
    before: str | None = None


def reached(name: str, config: Variant, params: ReferenceParams, known: Reached) -> Reached:
    """How far a variant is now; known: what this said before, so that no epoch is read twice.

    UserError where its examples are not here, or the store cannot be read.
    """
    chains = [ReferenceChain(model) for model in of_variant(name, config, params)]
    planned_target = target(name, config, source_of(name))
    progress = known if known.inputs == planned_target.inputs else Reached(inputs=planned_target.inputs)
    progress = replace(progress, references=(sum(c.at for c in chains), sum(c.last for c in chains)))
    while (epoch := len(progress.val_accuracy) + 1) <= config.epochs:
        entry = store.get(EPOCH, planned_target.key(epoch, progress.before))
        if entry is None:
            break
        measured = (*progress.val_accuracy, float(entry.arrays["history/val_accuracy"]))
        progress = replace(progress, val_accuracy=measured, before=arrays_digest(entry.arrays))
    return progress
