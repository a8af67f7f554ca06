"""Canaries: examples that are in the training set by a coin each. How they score, and what that bounds.

They are attacked as a small world of their own, whose members are the canaries that are in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import registry
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.findings import Findings
from privacy_report.attack.one_run import OneRun, one_run
from privacy_report.attack.persons import by_person
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.signals import Examples, negative_loss
from privacy_report.attack.variant import Inputs, examples_at, read_inputs
from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.files import read_arrays
from privacy_report.pipeline.measured import MAX
from privacy_report.pipeline.memo import Memo

CALIBRATED, LOSS = "rmia", "threshold"
GRADIENT = "gradient"
"""The name of the attack on gradient canaries: it sees every step's update, and no outputs."""
SHUFFLE = 0x63616E61
"""Of the order that breaks ties: any that does not come from the coins."""


def attack_of(examples: Examples) -> str:
    """The attack that guesses the coins, fixed beforehand: with references where there are any."""
    return LOSS if examples.references is None else CALIBRATED


def audit_coins(examples: Examples, delta: float, guesses: int | None = None) -> OneRun:
    """The one-run audit of a model's outputs on canaries, whose `is_member` are their coins.

    Where rows have persons the coins are theirs: each is one canary, by the highest of the scores.
    UserError as `one_run`.
    """
    if attack_of(examples) == CALIBRATED:
        assert examples.references is not None
        scores = rmia(examples.phi, examples.references)
    else:
        scores = negative_loss(examples)
    is_member = examples.is_member
    if examples.persons is not None:
        ranked = np.argsort(-scores)
        heads, scores = by_person(ranked, scores[ranked], examples.heads, MAX)
        is_member = is_member[heads]
    return audit_scores(scores, is_member, delta, guesses)


def audit_scores(
    scores: np.ndarray, is_member: np.ndarray, delta: float, guesses: int | None = None
) -> OneRun:
    """The one-run audit of canaries whose order may come from their coins, as in a file with members first.

    They are shuffled, so that ties tell nothing. Arguments and UserError as of `one_run`.
    """
    scores, is_member = np.asarray(scores), np.asarray(is_member)
    if scores.shape == is_member.shape and scores.ndim:  # of others `one_run` says what is wrong
        order = np.random.default_rng(SHUFFLE).permutation(len(scores))
        scores, is_member = scores[order], is_member[order]
    return one_run(scores, is_member, delta, guesses)


def read_canaries(params: AttackParams, scores: Path, references: Path) -> Inputs | None:
    """The inputs of a variant's canaries, below the variant's folders; None where it has none."""
    if not (scores / CANARIES).is_dir():
        return None
    alone = replace(params, attacks=attacks_on_canaries(params), slices=["entire"], groups=None, released=[])
    return read_inputs(alone, None, scores / CANARIES, references / CANARIES)


def attacks_on_canaries(params: AttackParams) -> list[str]:
    """The attacks that score single examples; a trained attacker would need most of so few for itself."""
    needs = {name: registry.find(name, params.mode, params.estimators).needs for name in params.attacks}
    return [name for name in params.attacks if needs[name] != registry.FEATURES] or [LOSS]


def audit_variant(inputs: Inputs, kept: Memo) -> dict[str, Any]:
    """one_run.json of a variant: the one-run audit of its canaries, at the last checkpoint alone."""
    last = max(inputs.files)
    examples = examples_at(inputs, last, kept)
    audited = audit_coins(examples, inputs.params.delta)
    return {"epoch": last, "attack": attack_of(examples), **asdict(audited)}


def audit_gradients(scores: Path, epoch: int, delta: float) -> dict[str, Any]:
    """one_run.json of an audit twin with gradient canaries, from what its training left of them.

    scores: gradient_canaries.npz, canary_scores float (m,) over all steps until the last checkpoint, `epoch`,
    and canary_is_member bool (m,). UserError as `one_run`.
    """
    arrays = read_arrays(scores)
    audited = one_run(arrays["canary_scores"], arrays["canary_is_member"], delta)
    return {"epoch": epoch, "attack": GRADIENT, **asdict(audited)}


def with_canaries(
    results: Mapping[int, CheckpointFindings], canaries: Mapping[int, CheckpointFindings]
) -> dict[int, CheckpointFindings]:
    """Results of all other examples with one more row per attack, on the slice `canaries`."""
    return {epoch: _with(result, canaries[epoch]) for epoch, result in results.items()}


def _with(result: CheckpointFindings, canaries: CheckpointFindings) -> CheckpointFindings:
    whole = next(iter(result.by_attack.values())).rows[0]
    checkpoint = {key: whole[key] for key in ("accuracy", "val_accuracy")}
    by_attack = dict(result.by_attack)
    for name, coins in canaries.by_attack.items():
        rows = [row | checkpoint | {"slice": CANARIES} for row in coins.rows]
        findings = by_attack.get(name, Findings([], [], (np.empty(0), np.empty(0))))
        by_attack[name] = replace(findings, rows=findings.rows + rows)
    return replace(result, by_attack=by_attack)
