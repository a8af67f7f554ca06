"""All attacks on one checkpoint, each from the memo where it was made before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from privacy_report.attack import exposure, registry
from privacy_report.attack.epsilon_bound import check_delta
from privacy_report.attack.findings import Curve, Findings, Plan, attack_checkpoint
from privacy_report.attack.references import References
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.signals import Examples
from privacy_report.attack.slices import Groups
from privacy_report.pipeline import memo
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row

FINDINGS = "privacy_report.attack.findings.attack_checkpoint"
EXPOSURE = "privacy_report.attack.exposure.risks"
READ = "privacy_report.pipeline.outputs.read_outputs"
READ_MORE = {
    registry.EARLY: ("privacy_report.attack.evidence.early_phi",),
    registry.REFERENCES: ("privacy_report.attack.evidence.ReferenceFiles",),
}
"""What reads the files of an attack's evidence next to the target's outputs, by what it needs."""


class Recall(Protocol):
    """`memo.Memo.recall`, or a stand-in that always computes."""

    def __call__(self, kind: str, key: str, compute: Callable[[], Arrays]) -> Arrays: ...


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
        return [row for found in self.by_attack.values() for row in found.rows]

    @property
    def halves(self) -> list[Row]:
        """Rows of both halves, the first half of all attacks first."""
        rows = [row for found in self.by_attack.values() for row in found.halves]
        return sorted(rows, key=lambda row: row["half"], reverse=True)

    @property
    def curves(self) -> dict[str, Curve]:
        return {name: found.curve for name, found in self.by_attack.items() if len(found.curve[0])}


def plan(name: str, params: AttackParams, groups: Groups | None) -> Plan:
    """The attack called `name` as `params` say, ready to be made."""
    attack, mode = registry.find(name, params.mode, params.estimators), registry.MODES[params.mode]
    return Plan(
        attack=name,
        scores=registry.function(attack.scores),
        needs=attack.needs,
        least=_least(params, attack),
        caveat=attack.caveat,
        measure=registry.function(mode.measure),
        both_ends=mode.both_ends,
        settings=_settings(name, params, attack),
        slices=tuple(params.slices),
        groups=groups,
        delta=params.delta,
        seed=params.seed,
    )


def needs(name: str, params: AttackParams) -> str:
    """What the attack called `name` needs (`registry.NEEDS`); outputs for the examples' risks, ""."""
    return registry.find(name, params.mode, params.estimators).needs if name else registry.OUTPUTS


def inputs(params: AttackParams, groups: Groups | None) -> dict[str, dict[str, Any]]:
    """What each attack depends on next to the checkpoint's outputs; "" is for the examples' risks."""
    mode = registry.MODES[params.mode]
    found = {"": memo.base(EXPOSURE, READ, mode.examples, seed=params.seed)}
    for name in params.attacks:
        attack = registry.find(name, params.mode, params.estimators)
        settings = _settings(name, params, attack)
        found[name] = memo.base(
            FINDINGS,
            READ,
            *READ_MORE.get(attack.needs, ()),
            attack.scores,
            mode.examples,
            mode.measure,
            chosen=[settings["path"]] if settings else [],
            attack=[name, asdict(attack), asdict(mode)],
            least=_least(params, attack),
            settings=settings,
            slices=params.slices,
            groups={name: asdict(group) for name, group in groups.items()} if groups else None,
            delta=params.delta,
            seed=params.seed,
        )
    return found


@dataclass(frozen=True)
class Evidence:
    """What the attacker holds at one checkpoint; each part is loaded only if an attack that is made needs it.

    outputs gives the target's outputs, early its phi (k, n) at early checkpoints, references the reference
    models; None: there are none.
    """

    outputs: Callable[[], Outputs]
    early: Callable[[], np.ndarray] | None = None
    references: Callable[[], References] | None = None


def attack_all(
    params: AttackParams,
    groups: Groups | None,
    evidence: Evidence,
    recall: Recall,
    keys: Mapping[str, str],
    with_halves: bool = True,
) -> CheckpointFindings:
    """All attacks of `params` on one checkpoint.

    keys: attack (and "") -> the key of its findings at this checkpoint.
    """

    @cache
    def pooled() -> Examples:
        outputs = evidence.outputs()
        if params.mode == registry.DEFAULT:  # the reference's bounds know no delta
            check_delta(params.delta, len(outputs.member_labels))
        return registry.function(registry.MODES[params.mode].examples)(outputs)

    @cache
    def early() -> np.ndarray | None:
        return evidence.early() if evidence.early else None

    @cache
    def references() -> References | None:
        return evidence.references() if evidence.references else None

    def find(name: str) -> Arrays:
        attack = plan(name, params, groups)
        examples = pooled()
        if attack.needs == registry.EARLY:
            examples = replace(examples, early_phi=early())
        if attack.needs == registry.REFERENCES:
            examples = replace(examples, references=references())
        return attack_checkpoint(examples, attack, with_halves).to_arrays()

    by_attack = {
        name: Findings.from_arrays(recall("attack", keys[name], partial(find, name)))
        for name in params.attacks
    }
    risks = recall("attack", keys[""], lambda: exposure.risks(pooled(), params.seed))
    return CheckpointFindings(by_attack, **risks)


def attack_outputs(
    outputs: Outputs,
    params: AttackParams,
    groups: Groups | None = None,
    with_halves: bool = True,
    early_phi: np.ndarray | None = None,
    references: References | None = None,
) -> CheckpointFindings:
    """All attacks of `params` on one checkpoint, computed here and now."""

    def compute(kind: str, key: str, compute: Callable[[], Arrays]) -> Arrays:
        return compute()

    evidence = Evidence(
        lambda: outputs,
        None if early_phi is None else lambda: early_phi,
        None if references is None else lambda: references,
    )
    keys = dict.fromkeys(["", *params.attacks], "")
    return attack_all(params, groups, evidence, compute, keys, with_halves)


def _least(params: AttackParams, attack: registry.Attack) -> int:
    """How many of each side an attack takes at the least."""
    return attack.least * (params.folds if attack is registry.TRAINED else 1)


def _settings(name: str, params: AttackParams, attack: registry.Attack) -> dict[str, Any]:
    """What the scores' function reads of the parameters."""
    if attack is not registry.TRAINED:
        return {}
    return {**asdict(params.estimators[name]), "folds": params.folds}
