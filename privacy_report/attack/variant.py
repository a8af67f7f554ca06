"""All checkpoints of one variant attacked, with whatever the attacker holds next to their outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import checkpoint, example_exposure, registry, signals
from privacy_report.attack.checkpoint import CheckpointFindings, Evidence
from privacy_report.attack.evidence import ReferenceFiles, early_epochs, early_phi, reference_files
from privacy_report.attack.reference_facts import agreement, recipe_facts, recipe_summary
from privacy_report.attack.references import TooFewError
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.signals import Examples
from privacy_report.attack.slices import Groups
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.digests import Arrays, digest, file_digest
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.outputs import read_outputs

POOL = "privacy_report.attack.signals.pool"
EXPOSED = "privacy_report.attack.example_exposure.at_checkpoint"
RECIPE = "privacy_report.attack.reference_facts.recipe_facts"
CHOOSE = "privacy_report.attack.evidence.ReferenceFiles"


@dataclass(frozen=True)
class Inputs:
    """All that the attacks on a variant depend on; keys: of each attack, next to the files' digests."""

    params: AttackParams
    groups: Groups | None
    keys: dict[str, dict[str, Any]]
    facts: dict[str, dict[str, Any]]
    files: dict[int, Path]
    references: ReferenceFiles | None
    digests: dict[Path, str]


def read_inputs(params: AttackParams, groups: Groups | None, scores: Path, references: Path) -> Inputs:
    """The inputs of a variant: its score files (epoch_NNNN.npz in `scores`), and what stage reference left.

    Raises UserError where there are no score files.
    """
    files = {int(file.stem.removeprefix("epoch_")): file for file in sorted(scores.glob("epoch_*.npz"))}
    if not files:
        raise UserError(
            f"{scores}: no score files; `dvc repro score@{scores.name}` makes them, if it is a variant"
        )
    models = reference_files(references)
    read = [*files.values(), *([models.trains, *models.phi.values()] if models else [])]
    return Inputs(
        params=params,
        groups=groups,
        keys=checkpoint.inputs(params, groups),
        facts={root: memo.base(root, POOL, checkpoint.READ, CHOOSE) for root in (CHOOSE, EXPOSED, RECIPE)},
        files=files,
        references=models,
        digests={file: file_digest(file) for file in read},
    )


def attack_checkpoint_of(found: Inputs, epoch: int, kept: Memo) -> CheckpointFindings:
    """All attacks on the checkpoint of one epoch."""
    early = [found.files[other] for other in early_epochs(list(found.files), epoch)]
    read: dict[str, list[Path]] = {registry.EARLY: early}
    references = None
    if found.references:
        at = _chosen(found, found.references, epoch, kept)
        read[registry.REFERENCES] = [found.references.trains, found.references.phi[at]]
        references = partial(found.references.at, at)
    keys = {}
    for name, key in found.keys.items():
        paths = [found.files[epoch], *read.get(checkpoint.needs(name, found.params), [])]
        keys[name] = digest(key | {"files": [found.digests[path] for path in paths]})
    evidence = Evidence(
        partial(read_outputs, found.files[epoch]), partial(early_phi, early) if early else None, references
    )
    return checkpoint.attack_all(found.params, found.groups, evidence, kept.recall, keys)


def _chosen(found: Inputs, references: ReferenceFiles, epoch: int, kept: Memo) -> int:
    """The references' epoch from which the checkpoint of `epoch` is attacked."""
    files = [references.trains, *references.phi.values()]
    key = found.facts[CHOOSE] | {"files": [found.digests[path] for path in files]}
    key["epochs"] = list(references.phi)
    arrays = kept.recall("attack", digest(key), references.chosen)
    at = list(arrays["nearest"]).index(references.nearest(epoch))  # what stands for the target in the choice
    return int(arrays["chosen"][at])


def reference_facts(
    found: Inputs, results: Mapping[int, CheckpointFindings], kept: Memo
) -> tuple[dict[str, Any], Arrays]:
    """What the reference models say beyond one checkpoint.

    Facts: models, chosen_epochs (of the references, by the target's), recipe (by the references' epoch), and
    how well LT-IQR agrees. Arrays: of each member at the last checkpoint (`example_exposure.at_checkpoint`),
    empty without reference models.
    """
    files, last = found.references, max(found.files)
    if files is None:
        return {"models": 0}, {}

    def exposed(at: int) -> Arrays:
        examples = signals.pool(read_outputs(found.files[last]))
        return example_exposure.at_checkpoint(replace(examples, references=files.at(at)))

    def digests(*paths: Path) -> list[str]:
        return [found.digests[path] for path in (files.trains, *paths)]

    chosen = {epoch: _chosen(found, files, epoch, kept) for epoch in (*found.files, *files.phi)}
    key = found.facts[EXPOSED] | {"files": digests(found.files[last], files.phi[chosen[last]])}
    arrays = kept.recall("attack", digest(key), partial(exposed, chosen[last]))
    recipe = {}
    for epoch in files.phi:
        key = found.facts[RECIPE] | {"files": digests(files.phi[epoch], files.phi[chosen[epoch]])}
        measures = kept.recall("attack", digest(key), partial(_recipe, files, epoch, chosen[epoch]))
        if measures:
            recipe[epoch] = recipe_summary(measures)
    losses = np.stack([result.member_loss for result in results.values()])
    facts = {
        "models": len(files.memberships()),
        "chosen_epochs": {epoch: chosen[epoch] for epoch in found.files},
        "recipe": recipe,
        "lt_iqr": agreement(losses, arrays["found_at_fpr"], arrays["exposure"]),
    }
    return facts, arrays


def examples_at(found: Inputs, epoch: int, kept: Memo) -> Examples:
    """The examples at one checkpoint, with the references that they are attacked from, if any."""
    examples = signals.pool(read_outputs(found.files[epoch]))
    if found.references is None:
        return examples
    return replace(examples, references=found.references.at(_chosen(found, found.references, epoch, kept)))


def _recipe(files: ReferenceFiles, attacked: int, others: int) -> Arrays:
    """`recipe_facts` of two epochs; nothing where the references cannot attack each other."""
    try:
        return recipe_facts(files.at(attacked), files.at(others))
    except TooFewError:
        return {}
