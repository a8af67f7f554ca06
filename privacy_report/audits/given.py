"""What an audited file gives instead of outputs, and what that leaves: attacks, slices, and numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from privacy_report.attack import registry
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.findings import Findings
from privacy_report.attack.schema import AttackParams
from privacy_report.audits.audit_file import AuditFile
from privacy_report.audits.scores import PREDICTIONS, SCORES
from privacy_report.errors import UserError
from privacy_report.gate.schema import Policy
from privacy_report.pipeline.contract import LABEL, REFERENCES, kind_of
from privacy_report.pipeline.tables import Row

SLICES = {PREDICTIONS: ("entire", "class", "correctness", "group"), SCORES: ("entire", "group")}
"""Slices that do not need what is not there: losses, and of scores the labels."""


def attacks_on(file: AuditFile) -> list[str]:
    """The attacks that can be made on a file of predictions or scores, with what else it has."""
    if file.given == SCORES:
        return [registry.OWN_SCORE]
    named = registry.of_releases(registry.DEFAULT, [LABEL])
    return [name for name in named if file.references or registry.RELEASED[name].needs == registry.OUTPUTS]


def fitting(params: AttackParams, file: AuditFile) -> AttackParams:
    """The parameters without slices that a file of predictions or scores cannot have.

    UserError for an attack that cannot be made on it.
    """
    allowed = attacks_on(file)
    if wrong := [name for name in params.made if name not in allowed]:
        raise UserError(
            f"attacks: got {wrong[0]}, allowed: {', '.join(allowed)}, since the file has {file.given}"
        )
    return replace(params, slices=[kind for kind in params.slices if kind in SLICES[file.given]])


def stated(checkpoint: CheckpointFindings, file: AuditFile, asked: Collection[str]) -> CheckpointFindings:
    """Findings without accuracies of scores, and without attacks not asked for that lack references."""
    by_attack = {
        name: findings
        for name, findings in checkpoint.by_attack.items()
        if name in asked or file.references or kind_of(name) != REFERENCES
    }
    if file.given == SCORES:
        by_attack = {
            name: Findings(
                _without_accuracy(findings.rows), _without_accuracy(findings.halves), findings.curve
            )
            for name, findings in by_attack.items()
        }
    return replace(checkpoint, by_attack=by_attack)


def _without_accuracy(rows: list[Row]) -> list[Row]:
    return [row | {"accuracy": None, "val_accuracy": None} for row in rows]


def policy_for(policy: Policy, given: str) -> Policy:
    """The policy as it judges such a file: attacks on labels count, and one's own score always does."""
    if given == PREDICTIONS:
        return replace(policy, released=policy.released or LABEL)
    return replace(policy, released=None) if given == SCORES else policy
