"""All checkpoints of one variant attacked, with whatever the attacker holds next to their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import (
    checkpoint,
    choice,
    example_exposure,
    job,
    record_auc,
    reference_facts,
    signals,
)
from privacy_report.attack.checkpoint import CheckpointFindings, Planned
from privacy_report.attack.evidence import ReferenceFiles, nearest, reference_files
from privacy_report.attack.findings import Findings
from privacy_report.attack.job import Files
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.signals import Examples
from privacy_report.attack.slices import Groups
from privacy_report.attack.workers import KIND, Job, Jobs
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.digests import Arrays, arrays_digest, digest, file_digest
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.outputs import read_outputs

CHOICE = "privacy_report.attack.choice"
EXPOSURE = "privacy_report.attack.example_exposure"
RECIPE = "privacy_report.attack.reference_facts"
RECORD_AUC = "privacy_report.attack.record_auc"
FACTS = (CHOICE, EXPOSURE, RECIPE, RECORD_AUC)
LIBRARIES, AN_EXAMPLE, COPIES = 300e6, 1000, 4
"""Bytes of a worker without examples, and of each example; copies of the references of an epoch."""


@dataclass(frozen=True)
class Inputs:
    """All that the attacks on a variant depend on; facts: what is known of its references, by the module."""

    params: AttackParams
    attacks: Planned
    facts: dict[str, dict[str, Any]]
    files: dict[int, Path]
    references: ReferenceFiles | None
    digests: dict[Path, str]

    def key(self, inputs: Mapping[str, Any], *files: Path) -> str:
        """The memo's key of a result with such inputs, made of these files."""
        return digest({**inputs, "files": [self.digests[file] for file in files]})


def read_inputs(
    params: AttackParams,
    groups: Groups | None,
    scores: Path,
    references: Path,
    excluded: tuple[int, ...] = (),
    persons: np.ndarray | None = None,
) -> Inputs:
    """The inputs of a variant: its score files (epoch_NNNN.npz in `scores`), and what stage reference left.

    excluded: rows of non-members that take no part; persons int (n,): whose row each is, members first.
    Raises UserError where there are no score files.
    """
    files = {int(file.stem.removeprefix("epoch_")): file for file in sorted(scores.glob("epoch_*.npz"))}
    if not files:
        raise UserError(
            f"{scores}: no score files; `dvc repro score@{scores.name}` makes them, if it is a variant"
        )
    models, queries = reference_files(references), read_outputs(next(iter(files.values()))).queries
    read = [*files.values(), *([models.trains, *models.phi.values()] if models else [])]
    return Inputs(
        params=params,
        attacks=checkpoint.planned(params, groups, excluded, queries, persons),
        facts={root: memo.base(root, hands=checkpoint.HANDS) for root in FACTS},
        files=files,
        references=models,
        digests={file: file_digest(file) for file in read},
    )


def attack_checkpoint_of(inputs: Inputs, epoch: int, kept: Memo) -> CheckpointFindings:
    """All attacks on the checkpoint of one epoch, each from the store where it was made before."""
    arrays = {name: _recall(kept, task) for name, task in _attacks_on(inputs, epoch, kept).items()}
    risks = arrays.pop("")
    return CheckpointFindings(
        {name: Findings.from_arrays(attack_arrays) for name, attack_arrays in arrays.items()}, **risks
    )


def batches(inputs: Inputs, kept: Memo) -> Sequence[Jobs]:
    """All that attacks on a variant compute, a batch for each checkpoint; then what references say."""
    on_checkpoints = [dict(_attacks_on(inputs, epoch, kept).values()) for epoch in inputs.files]
    return on_checkpoints + [dict([task]) for task in _of_references(inputs, kept).values()]


def bytes_of_worker(inputs: Inputs) -> float:
    """Bytes of memory that attacks on one checkpoint take at most; outputs are mapped, and not counted."""
    examples = read_outputs(next(iter(inputs.files.values())))
    n = len(examples.member_labels) + len(examples.nonmember_labels)
    phi = inputs.references.phi.values() if inputs.references else ()
    return LIBRARIES + n * AN_EXAMPLE + COPIES * max((path.stat().st_size for path in phi), default=0)


def _recall(kept: Memo, task: Job) -> Arrays:
    key, compute = task
    return kept.recall(KIND, key, compute)


def _attacks_on(inputs: Inputs, epoch: int, kept: Memo) -> dict[str, Job]:
    """By attack what finds it at one checkpoint; "" the examples' risks."""
    files, attacks = _files(inputs, epoch, kept), inputs.attacks
    jobs: dict[str, Any] = {
        name: partial(job.find, plan, files.used(plan.needs)) for name, plan in attacks.plans.items()
    }
    asked = attacks.examples, files.outputs, attacks.seed, attacks.excluded, attacks.persons
    jobs[""] = partial(job.risks, *asked)
    return {
        name: (inputs.key(attacks.inputs[name], *files.used(attacks.needs(name))), compute)
        for name, compute in jobs.items()
    }


def _of_references(inputs: Inputs, kept: Memo) -> dict[int | str, Job]:
    """What references say beyond one checkpoint: EXPOSURE, RECORD_AUC, recipes by epoch; or nothing."""
    files, last = inputs.references, max(inputs.files)
    if files is None:
        return {}
    read = inputs.files[last], files.trains, files.phi[_chosen(inputs, files, last, kept)]
    left_out = inputs.attacks.excluded
    jobs: dict[int | str, Job] = {
        EXPOSURE: (
            inputs.key(inputs.facts[EXPOSURE] | {"excluded": list(left_out)}, *read),
            partial(example_exposure.of_members, *read, left_out),
        )
    }
    models = files.trains, files.phi[max(files.phi)]
    n_member = len(read_outputs(inputs.files[last]).member_labels)
    persons, how = inputs.attacks.persons, inputs.params.person_score
    of: dict[str, Any] = {"n_member": n_member}
    if persons is not None:
        of |= {"persons": arrays_digest({"": persons}), "person_score": how}
    jobs[RECORD_AUC] = (
        inputs.key(inputs.facts[RECORD_AUC] | of, *models),
        partial(record_auc.of_members, *models, n_member, persons, how),
    )
    for epoch in files.phi:
        read = files.trains, files.phi[epoch], files.phi[_chosen(inputs, files, epoch, kept)]
        jobs[epoch] = inputs.key(inputs.facts[RECIPE], *read), partial(reference_facts.recipe_of, *read)
    return jobs


def _files(inputs: Inputs, epoch: int, kept: Memo) -> Files:
    """What the attacker of the checkpoint of one epoch holds."""
    early = [inputs.files[other] for other in choice.early_epochs(list(inputs.files), epoch)]
    if inputs.references is None:
        return Files(inputs.files[epoch], tuple(early))
    at = _chosen(inputs, inputs.references, epoch, kept)
    return Files(inputs.files[epoch], tuple(early), (inputs.references.trains, inputs.references.phi[at]))


def _chosen(inputs: Inputs, references: ReferenceFiles, epoch: int, kept: Memo) -> int:
    """The references' epoch from which the checkpoint of `epoch` is attacked."""
    facts = inputs.facts[CHOICE] | {"epochs": list(references.phi)}
    key = inputs.key(facts, references.trains, *references.phi.values())
    arrays = kept.recall(KIND, key, partial(choice.chosen, references))
    at = list(arrays["nearest"]).index(nearest(references.phi, epoch))  # stands for the target in the choice
    return int(arrays["chosen"][at])


def facts_of_references(
    inputs: Inputs, results: Mapping[int, CheckpointFindings], kept: Memo
) -> tuple[dict[str, Any], Arrays]:
    """What the reference models say beyond one checkpoint.

    Facts: models, chosen_epochs (of the references, by the target's), recipe (by the references' epoch), and
    how well LT-IQR agrees. Arrays: of each member (`example_exposure.of_members`, at the last checkpoint,
    and `record_auc.of_members`), empty without reference models.
    """
    files = inputs.references
    if files is None:
        return {"models": 0}, {}

    measures = {name: _recall(kept, task) for name, task in _of_references(inputs, kept).items()}
    arrays = measures.pop(EXPOSURE) | measures.pop(RECORD_AUC)
    losses = np.stack([result.member_loss for result in results.values()])
    facts = {
        "models": len(files.memberships()),
        "chosen_epochs": {epoch: _chosen(inputs, files, epoch, kept) for epoch in inputs.files},
        "recipe": {
            epoch: reference_facts.recipe_summary(recipe) for epoch, recipe in measures.items() if recipe
        },
        "lt_iqr": reference_facts.agreement(losses, arrays["found_at_fpr"], arrays["exposure"]),
    }
    return facts, arrays


def examples_at(inputs: Inputs, epoch: int, kept: Memo) -> Examples:
    """The examples at one checkpoint, with the references that they are attacked from, if any."""
    examples = signals.pool(read_outputs(inputs.files[epoch]))
    if inputs.references is None:
        return examples
    return replace(examples, references=inputs.references.at(_chosen(inputs, inputs.references, epoch, kept)))
