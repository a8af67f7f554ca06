"""All attacks on one checkpoint: what each depends on, and what they found together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from privacy_report.attack import exposure, job, registry
from privacy_report.attack.findings import Curve, Findings
from privacy_report.attack.needs import OUTPUTS
from privacy_report.attack.plan import Plan
from privacy_report.attack.references import References
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.slices import Groups
from privacy_report.errors import refuse
from privacy_report.pipeline import memo
from privacy_report.pipeline.contract import ONE_QUERY
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.pipeline.dotted import function
from privacy_report.pipeline.notes import of_queries
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row

JOB = "privacy_report.attack.job"
HANDS = (__name__, "privacy_report.attack.variant", "privacy_report.attack.workers")
"""What hands over the files and the plan that the keys state."""


@dataclass(frozen=True)
class CheckpointFindings:
    """What all attacks found at one checkpoint, and its examples' own numbers.

    member_loss float64 (n_member,), nonmember_loss float64 (n_nonmember,); probability float64
    (n_member + n_nonmember,): of membership, members first.
    """

    by_attack: Mapping[str, Findings]
    member_loss: np.ndarray
    nonmember_loss: np.ndarray
    probability: np.ndarray

    @property
    def rows(self) -> list[Row]:
        return [row for findings in self.by_attack.values() for row in findings.rows]

    @property
    def halves(self) -> list[Row]:
        """Rows of both halves, the first half of all attacks first."""
        rows = [row for findings in self.by_attack.values() for row in findings.halves]
        return sorted(rows, key=lambda row: row["half"], reverse=True)

    @property
    def curves(self) -> dict[str, Curve]:
        return {name: findings.curve for name, findings in self.by_attack.items() if len(findings.curve[0])}


def plan(
    name: str,
    params: AttackParams,
    groups: Groups | None,
    excluded: tuple[int, ...] = (),
    queries: int = 1,
    persons: np.ndarray | None = None,
) -> Plan:
    """The attack called `name` as `params` say, ready to be made.

    excluded, persons: see `Plan`; queries: how many there are of each example. UserError for persons in mode
    parity, whose semantics know rows alone.
    """
    if persons is not None and params.mode == registry.PARITY:
        raise refuse("mode", params.mode, f"{registry.DEFAULT} where rows have persons")
    attack, mode = registry.find(name, params.mode, params.estimators), registry.MODES[params.mode]
    says = queries > 1 and (attack.every_query or name in ONE_QUERY)
    asked = of_queries(queries, attack.every_query) if says else ""
    return Plan(
        attack=name,
        examples=mode.examples,
        scores=attack.scores,
        measure=mode.measure,
        needs=attack.needs,
        least=attack.least * (params.folds if attack is registry.TRAINED else 1),
        caveat="; ".join(filter(None, [attack.caveat, asked])),
        seen=attack.seen,
        every_query=attack.every_query,
        both_ends=mode.both_ends,
        any_delta=mode.any_delta,
        settings=_settings(name, params, attack),
        slices=tuple(params.slices) if name in params.attacks else ("entire",),
        groups=groups,
        delta=params.delta,
        seed=params.seed,
        excluded=excluded,
        person_score=params.person_score,
        persons=persons,
    )


@dataclass(frozen=True)
class Planned:
    """The attacks on the checkpoints of a variant, and what each depends on next to the files that it reads.

    plans: by attack; inputs: likewise, and "" for the examples' risks; excluded, persons: see `Plan`.
    """

    plans: Mapping[str, Plan]
    inputs: Mapping[str, dict[str, Any]]
    examples: str
    seed: int
    excluded: tuple[int, ...]
    persons: np.ndarray | None = field(compare=False)  # their digest is among the inputs

    def needs(self, name: str) -> str:
        """What the attack called `name` needs; the risks, "", the outputs alone."""
        return self.plans[name].needs if name else OUTPUTS


def planned(
    params: AttackParams,
    groups: Groups | None,
    excluded: tuple[int, ...] = (),
    queries: int = 1,
    persons: np.ndarray | None = None,
) -> Planned:
    """All attacks of `params`, and where there are more queries some that ask once.

    excluded, persons: see `Plan`.
    """
    examples = registry.MODES[params.mode].examples
    once = registry.asking_once(params.mode, params.made) if queries > 1 else []
    made = (*params.made, *once)
    plans = {name: plan(name, params, groups, excluded, queries, persons) for name in made}
    inputs = {
        name: memo.base(
            JOB, *attack_plan.roots, chosen=attack_plan.chosen, hands=HANDS, plan=attack_plan.inputs()
        )
        for name, attack_plan in plans.items()
    }
    same = None if persons is None else arrays_digest({"": persons})
    given: dict[str, Any] = {
        "examples": examples,
        "seed": params.seed,
        "excluded": list(excluded),
        "persons": same,
    }
    inputs[""] = memo.base(JOB, examples, hands=HANDS, **given)
    return Planned(plans, inputs, examples, params.seed, excluded, persons)


def attack_outputs(
    outputs: Outputs,
    params: AttackParams,
    groups: Groups | None = None,
    with_halves: bool = True,
    early_phi: np.ndarray | None = None,
    references: References | None = None,
    done: Callable[[], None] = lambda: None,
    persons: np.ndarray | None = None,
) -> CheckpointFindings:
    """All attacks of `params` on one checkpoint in memory, and what the attacker holds next to it, if any.

    persons: see `Plan`. Calls `done` after each attack, and after the examples' risks.
    """
    examples = function(registry.MODES[params.mode].examples)(outputs)
    examples = replace(examples, early_phi=early_phi, references=references)
    by_attack = {}
    for name in params.made:
        attack_plan = plan(name, params, groups, persons=persons)
        by_attack[name] = job.of_examples(examples, attack_plan, with_halves)
        done()
    risks = exposure.risks(replace(examples, persons=persons), params.seed)
    done()
    return CheckpointFindings(by_attack, **risks)


def _settings(name: str, params: AttackParams, attack: registry.Attack) -> dict[str, Any]:
    """What the scores' function reads of the parameters."""
    if attack is not registry.TRAINED:
        return {}
    return {**asdict(params.estimators[name]), "folds": params.folds}
