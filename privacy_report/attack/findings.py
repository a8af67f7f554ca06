"""What one attack finds at one checkpoint: a row of measures for each slice, and a curve.

The path is one for all attacks: examples -> scores -> measures.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from privacy_report.attack import names, persons
from privacy_report.attack.measures import refused, too_small
from privacy_report.attack.needs import EARLY, FEATURES, REFERENCES
from privacy_report.attack.plan import Plan
from privacy_report.attack.references import TooFewError
from privacy_report.attack.roc import sorted_roc, thin
from privacy_report.attack.signals import Examples
from privacy_report.attack.slices import slices
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.dotted import function
from privacy_report.pipeline.measured import ENTIRE, METRICS, REPORT, ROWS, SELECT, Row

SELECTS = 1 / 3
"""Share of the examples that selects the threshold of epsilon's bound; the others measure."""
HALF_STREAMS = {SELECT: 3, REPORT: 4}  # of random numbers, next to 0 for all examples
NAMES_STREAM = 5  # of the cuts of non-members that calibrate names; the same for all attacks

Ranked = tuple[np.ndarray, np.ndarray]
"""Example positions (n,) and their scores (n,), scores descending."""
Attacker = Callable[[np.ndarray, list[int]], Ranked]
"""(mask bool (n,) of a slice's examples, seed) -> those of them that were scored, with their scores."""
Curve = tuple[np.ndarray, np.ndarray]
"""False and true positive rates (n,)."""


@dataclass(frozen=True)
class Findings:
    """What one attack found at one checkpoint.

    `rows` and `halves` lack variant, epoch and what needs the other checkpoints; `curve` is on the entire
    dataset, empty where that could not be attacked.
    """

    rows: list[Row]
    halves: list[Row]
    curve: Curve

    def to_arrays(self) -> Arrays:
        """Plain arrays that `from_arrays` turns back into equal findings."""
        text = json.dumps({"rows": self.rows, "halves": self.halves})
        fpr, tpr = self.curve
        return {"tables": np.frombuffer(text.encode(), np.uint8), "fpr": fpr, "tpr": tpr}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Findings:
        """The findings whose `to_arrays` gave `arrays`."""
        tables = json.loads(arrays["tables"].tobytes())
        return cls(tables["rows"], tables["halves"], (arrays["fpr"], arrays["tpr"]))


def attack_checkpoint(examples: Examples, plan: Plan, with_halves: bool = True) -> Findings:
    """One attack on all slices of one checkpoint. Deterministic given `plan.seed`."""
    # One thread: results do not depend on the number of cores, and small fits do not wait for each other.
    with threadpool_limits(1):
        rows, curve = attack_examples(examples, plan)
        halves = attack_halves(examples, plan) if with_halves else []
    return Findings(rows, halves, curve)


def attack_examples(examples: Examples, plan: Plan, stream: int = 0) -> tuple[list[Row], Curve]:
    """A row for each slice, and the ROC curve on the entire dataset.

    Where rows have persons, these are scored and counted, and a row more is on all rows: `_of_rows`.
    """
    accuracies = _accuracies(examples, examples.heads)
    # Who selects epsilon's threshold is drawn once, without a look at any score.
    selects = np.random.default_rng([plan.seed, stream]).random(len(examples.labels)) < SELECTS
    rows: list[Row] = []
    curve = np.empty(0), np.empty(0)
    attacker, missing = _attacker(examples, plan)
    measure = function(plan.measure)
    for name, mask in slices(examples, plan.slices, plan.groups, plan.both_ends):
        n_member, n_nonmember = (
            examples.count(mask & (examples.is_member == side)) for side in (True, False)
        )
        head = {"attack": plan.attack, "slice": name, "n_member": n_member, "n_nonmember": n_nonmember}
        if reason := missing or too_small(n_member, n_nonmember, plan.least):
            rows.append(head | accuracies | refused(reason))
            continue
        seed = [plan.seed, stream, zlib.crc32(plan.attack.encode()), zlib.crc32(name.encode())]
        at, of_rows = scored, scores = attacker(mask, seed)
        if examples.persons is not None:
            scored, scores = persons.by_person(at, of_rows, examples.heads, plan.person_score)
        is_member = examples.is_member[scored]
        metrics = measure(scores, is_member, selects[scored], n_nonmember / n_member, plan.delta)
        metrics["note"] = "; ".join(filter(None, [plan.caveat, metrics["note"]]))
        if name == ENTIRE:
            whole = sorted_roc(scores, is_member)
            curve = thin(whole)
            cuts = np.random.default_rng([plan.seed, stream, NAMES_STREAM])
            metrics |= names.measure(whole, n_member, cuts)
        rows.append(head | accuracies | dict.fromkeys(METRICS) | metrics)
        if name == ENTIRE and examples.persons is not None:
            rows.append(
                _accuracies(examples, np.arange(len(examples.labels))) | _of_rows(examples, at, of_rows, plan)
            )
    return rows, curve


def _accuracies(examples: Examples, heads: np.ndarray) -> Row:
    """The mean over persons of each one's accuracy, on each side; heads: whose row each is, int (n,)."""
    sides = {"accuracy": examples.is_member, "val_accuracy": ~examples.is_member}
    return {name: persons.mean(examples.correct[side], heads[side]) for name, side in sides.items()}


def _of_rows(examples: Examples, at: np.ndarray, scores: np.ndarray, plan: Plan) -> Row:
    """The row on the slice ROWS: what one on the entire dataset would say of rows instead of persons."""
    n_member = int(np.count_nonzero(examples.is_member))
    n_nonmember = len(examples.is_member) - n_member
    head = {"attack": plan.attack, "slice": ROWS, "n_member": n_member, "n_nonmember": n_nonmember}
    metrics = persons.of_rows(scores, examples.is_member[at], examples.heads[at])
    metrics["note"] = "; ".join(filter(None, [plan.caveat, metrics["note"]]))
    return head | dict.fromkeys(METRICS) | metrics


def attack_halves(examples: Examples, plan: Plan) -> list[Row]:
    """Rows with both sides cut into two random halves: one to choose a checkpoint by, one to report it.

    Both sides, or the two halves would share examples and a choice by one would flatter the other. So would
    they where a person is in both.
    """
    kinds = tuple(kind for kind in ("entire", "class") if kind in plan.slices)
    rng = np.random.default_rng([plan.seed, 2])
    heads = examples.heads
    is_head = heads == np.arange(len(heads))
    sides = [
        rng.permutation(np.flatnonzero(is_head & (examples.is_member == side))) for side in (False, True)
    ]
    rows = []
    for start, (half, stream) in enumerate(HALF_STREAMS.items()):
        parts = [side[start::2] for side in sides]
        if not all(len(positions) for positions in parts):
            return []  # a single example cannot be cut
        at = np.flatnonzero(np.isin(heads, np.concatenate(parts)))
        half_rows, _ = attack_examples(examples.take(at), replace(plan, slices=kinds), stream)
        rows += [row | {"half": half} for row in half_rows]
    return rows


def _attacker(examples: Examples, plan: Plan) -> tuple[Attacker, str]:
    """The attack, ready for slices, and why it cannot be made, empty where it can."""
    score = function(plan.scores)
    try:
        if plan.needs == FEATURES:
            return _trained(score, examples, plan), ""
        if plan.needs == EARLY:
            if examples.early_phi is None:
                return _nothing, "there is no earlier checkpoint of this run"
            return _by_signal(score(examples.phi, examples.early_phi)), ""
        if plan.needs == REFERENCES:
            if examples.references is None:
                return _nothing, "there are no reference models"
            seen = function(plan.seen)(examples) if plan.seen else examples.phi
            return _by_signal(score(seen, examples.references)), ""
    except TooFewError as error:
        return _nothing, str(error)
    return _by_signal(score(function(plan.seen)(examples) if plan.seen else examples)), ""


def _nothing(mask: np.ndarray, seed: list[int]) -> Ranked:
    return np.empty(0, int), np.empty(0)


def _by_signal(scores: np.ndarray) -> Attacker:
    """All examples are sorted once, slices keep that order."""
    order = np.argsort(-scores)
    ordered = scores[order]

    def attack(mask: np.ndarray, seed: list[int]) -> Ranked:
        kept = mask[order]
        return order[kept], ordered[kept]

    return attack


def _trained(score: Callable[..., Any], examples: Examples, plan: Plan) -> Attacker:
    def attack(mask: np.ndarray, seed: list[int]) -> Ranked:
        at = np.flatnonzero(mask)
        more = {} if examples.persons is None else {"persons": examples.persons[at]}
        scores, scored = score(examples.features[at], examples.is_member[at], plan.settings, seed, **more)
        at, scores = at[scored], scores[scored]
        order = np.argsort(-scores)
        return at[order], scores[order]

    return attack
