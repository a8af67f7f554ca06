"""An attack on one checkpoint: the whole job, from files and a plan to what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from privacy_report.attack import exposure
from privacy_report.attack.epsilon_bound import check_delta
from privacy_report.attack.evidence import ReferenceFiles, early_phi
from privacy_report.attack.findings import Findings, attack_checkpoint
from privacy_report.attack.needs import EARLY, REFERENCES
from privacy_report.attack.plan import Plan
from privacy_report.attack.references import References
from privacy_report.attack.signals import Examples, taking_part
from privacy_report.pipeline.digests import Arrays, file_digest
from privacy_report.pipeline.dotted import function
from privacy_report.pipeline.outputs import Outputs, read_outputs


@dataclass(frozen=True)
class Files:
    """What the attacker of one checkpoint holds.

    outputs: the score file; early: those of early checkpoints; references: who trained on whom, and phi.
    """

    outputs: Path
    early: tuple[Path, ...] = ()
    references: tuple[Path, ...] = ()

    def used(self, needs: str) -> list[Path]:
        """The files that an attack with such needs reads, and no others."""
        more = {EARLY: self.early, REFERENCES: self.references}
        return [self.outputs, *more.get(needs, ())]


def find(plan: Plan, used: Sequence[Path]) -> Arrays:
    """What one attack finds (`findings.Findings.to_arrays`), from the files that `Files.used` gives."""
    outputs, *more = used
    examples, every = _examples(plan.examples, outputs, file_digest(outputs)), plan.every_query
    if not every:
        examples = examples.asked_once
    if plan.needs == EARLY and more:
        examples = replace(examples, early_phi=_early(tuple(more), every, *map(file_digest, more)))
    if plan.needs == REFERENCES and more:
        examples = replace(examples, references=_references(*more, every, *map(file_digest, more)))
    return of_examples(examples, plan).to_arrays()


def of_examples(examples: Examples, plan: Plan, with_halves: bool = True) -> Findings:
    """The same of examples in memory, with what the attacker holds. UserError for a delta without meaning."""
    if not plan.any_delta:
        check_delta(plan.delta, int(np.count_nonzero(examples.is_member)))
    if plan.persons is not None:
        examples = replace(examples, persons=plan.persons)
    if plan.excluded:
        examples = examples.take(np.flatnonzero(taking_part(examples.is_member, plan.excluded)))
    return attack_checkpoint(examples, plan, with_halves)


def risks(
    examples: str,
    outputs: Path,
    seed: int,
    excluded: tuple[int, ...] = (),
    persons: np.ndarray | None = None,
) -> Arrays:
    """The examples' own numbers (`exposure.risks`); examples: the dotted name of what reads them."""
    loaded = replace(_examples(examples, outputs, file_digest(outputs)), persons=persons)
    return exposure.risks(loaded, seed, excluded)


# What several attacks on one checkpoint read is read once; the digests say when it has changed.


@lru_cache(maxsize=1)
def _examples(pool: str, path: Path, digest: str) -> Examples:
    del digest
    outputs: Outputs = read_outputs(path)
    return function(pool)(outputs)


@lru_cache(maxsize=1)
def _early(paths: tuple[Path, ...], every_query: bool, *digests: str) -> np.ndarray:
    del digests
    return early_phi(paths, every_query)


@lru_cache(maxsize=1)
def _references(trains: Path, phi: Path, every_query: bool, *digests: str) -> References:
    del digests
    return ReferenceFiles(trains, {0: phi}).at(0, every_query)
