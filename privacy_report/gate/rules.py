"""The rules of the gate, one entry each: what it reads of a checkpoint, which limits make sense, its words.

Over attacks and classes the worst upper bound counts. Each bound holds for its own row with 97.5%
confidence, and the largest of them is at least the bound of the truly worst row, so that it needs no
correction for their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import betaincinv

from privacy_report.pipeline.contract import CANARIES, CLASS, ENTIRE, LEVEL, OUTPUTS, PLACEBO, kind_of
from privacy_report.pipeline.tables import Row


@dataclass(frozen=True)
class Checkpoint:
    """The rows (attack x slice) of one checkpoint in one half.

    epsilon: the claimed one (NaN: not DP); references: how many reference models attacked it; void: why the
    claim is none, empty where it stands.
    """

    epoch: int
    rows: Sequence[Row]
    epsilon: float = math.nan
    references: int = 0
    void: str = ""

    def of(self, kind: str) -> list[Row]:
        """Rows of the slices whose name begins with `kind`: ENTIRE, or CLASS for all classes.

        The placebo is no attack. A row that lacks early checkpoints or reference models is no evidence either
        way; whether they are needed is a rule of its own. A row on outputs alone that could not be measured
        counts.
        """
        return [row for row in self.rows if str(row["slice"]).startswith(kind) and _counts(row)]


@dataclass(frozen=True)
class Reading:
    """A number to compare with a limit (NaN when there is none), and where it comes from.

    judged: whether one that is missing breaks its rule for certain, rather than leaving it open.
    """

    value: float
    attack: str = ""
    slice: str = ""
    why_missing: str = ""
    judged: bool = False


def _counts(row: Row) -> bool:
    kind = kind_of(row["attack"])
    return kind == OUTPUTS or (kind != PLACEBO and not math.isnan(row["auc"]))


def _worst_attack(kind: str, column: str) -> Callable[[Checkpoint], list[Reading]]:
    """Reads a column of all rows of a kind of slice: one reading an attack and slice."""

    def read(checkpoint: Checkpoint) -> list[Reading]:
        return [_reading(row, row[column], row["attack"]) for row in checkpoint.of(kind)]

    return read


def _canaries(checkpoint: Checkpoint) -> list[Reading]:
    """Canaries found at 1% FPR, in the audit twin of the checkpoint's variant."""
    if not checkpoint.of(CANARIES):
        return [Reading(math.nan, slice=CANARIES, why_missing="no audit twin has such a checkpoint")]
    return _worst_attack(CANARIES, "tpr_at_1pct_fpr_high")(checkpoint)


def _claimed_epsilon(checkpoint: Checkpoint) -> list[Reading]:
    """The claimed epsilon. Without a claim nothing is guaranteed; a void claim leaves the rule open."""
    if math.isnan(checkpoint.epsilon):
        why = "no epsilon is claimed: not trained with differential privacy"
        return [Reading(math.nan, why_missing=why, judged=True)]
    return [Reading(math.nan if checkpoint.void else checkpoint.epsilon, why_missing=checkpoint.void)]


def _val_accuracy_low(checkpoint: Checkpoint) -> list[Reading]:
    """Lower bound of the validation accuracy (the same in the rows of all attacks)."""
    readings = []
    for row in checkpoint.of(ENTIRE)[:1]:
        value, n = row["val_accuracy"], row["n_nonmember"]
        readings.append(_reading(row, math.nan if math.isnan(value + n) else accuracy_low(value, n), ""))
    return readings


def _reference_models(checkpoint: Checkpoint) -> list[Reading]:
    return [Reading(float(checkpoint.references))]


@dataclass(frozen=True)
class Rule:
    """One rule: `read` gives what is compared, `words` say it; lowest and highest bound sensible limits.

    highest: None where there is none. A rule is kept when the reading is at most the limit, or, where
    `at_least`, at least the limit.
    """

    words: str
    read: Callable[[Checkpoint], list[Reading]]
    lowest: float = 0.0
    highest: float | None = 1.0
    at_least: bool = False


MAJORITY = "majority"
"""A limit of min_val_accuracy: what naming the largest class alone would give."""
UNKNOWN_MAJORITY = "how large the classes are is not known, since no attack was made by class (attack.slices)"

RULES: dict[str, Rule] = {
    "max_advantage": Rule("advantage on the entire dataset at most", _worst_attack(ENTIRE, "advantage_high")),
    "max_tpr_at_1pct_fpr": Rule(
        "members found at 1% false positives at most", _worst_attack(ENTIRE, "tpr_at_1pct_fpr_high")
    ),
    "max_class_advantage": Rule(
        "advantage on the worst class at most", _worst_attack(CLASS, "advantage_high")
    ),
    "max_canary_tpr_at_1pct_fpr": Rule("canaries found at 1% false positives at most", _canaries),
    "max_epsilon": Rule("claimed epsilon at most", _claimed_epsilon, highest=None),
    "min_reference_models": Rule("reference models at least", _reference_models, highest=None, at_least=True),
    "min_val_accuracy": Rule("validation accuracy at least", _val_accuracy_low, at_least=True),
}
"""Rule -> what it judges, in the order of the findings. The params section `gate` has a key for each."""


def worst(rule: str, checkpoint: Checkpoint) -> Reading:
    """The least favourable reading of a rule; one that is missing is worse than any number."""
    readings = RULES[rule].read(checkpoint)
    if not readings:
        return Reading(math.nan, why_missing="the attack stage wrote no such rows")
    if missing := [reading for reading in readings if math.isnan(reading.value)]:
        return missing[0]
    choose = min if RULES[rule].at_least else max
    return choose(readings, key=lambda reading: reading.value)


def finding(
    rule: str, limit: float | str, checkpoint: Checkpoint, reading: Reading | None = None
) -> dict[str, Any] | None:
    """What stands against the checkpoint under this rule, or None when the rule is kept.

    reading: what to hold against the limit, by default the worst one. A finding has epoch, rule, limit, value
    and excess (by how much the limit is missed; both null where there is no number), judged (no: the rule is
    neither kept nor broken for certain), attack, slice and reason.
    """
    reading, at_least = reading or worst(rule, checkpoint), RULES[rule].at_least
    found: dict[str, Any] = {"epoch": checkpoint.epoch, "rule": rule, "limit": limit}
    found |= {"attack": reading.attack, "slice": reading.slice}
    bound = majority_share(checkpoint) if limit == MAJORITY else float(limit)
    why = reading.why_missing if math.isnan(reading.value) else UNKNOWN_MAJORITY
    if math.isnan(reading.value + bound):
        reason = why if reading.judged else f"cannot be judged: {why}"
        judged = "yes" if reading.judged else "no"
        return found | {"value": None, "excess": None, "judged": judged, "reason": reason}
    excess = bound - reading.value if at_least else reading.value - bound
    if excess <= 0:
        return None
    reason = f"{excess:.3g} {'below' if at_least else 'above'} {bound:.3g}"
    if limit == MAJORITY:
        reason += ", what naming the largest class alone would give"
    return found | {"value": reading.value, "excess": excess, "judged": "yes", "reason": reason}


def majority_share(checkpoint: Checkpoint) -> float:
    """The largest class's share of the non-members, NaN where no attack was made by class."""
    sizes = [row["n_nonmember"] for row in checkpoint.rows if row["slice"].startswith(CLASS)]
    whole = [row["n_nonmember"] for row in checkpoint.rows if row["slice"] == ENTIRE]
    return max(sizes) / max(whole) if sizes and whole else math.nan


def accuracy_low(accuracy: float, n: float) -> float:
    """Lower 97.5% confidence bound of an accuracy measured on `n` examples (Clopper & Pearson 1934)."""
    right = round(accuracy * n)
    return 0.0 if right == 0 else float(betaincinv(right, n - right + 1, LEVEL / 2))


def _reading(row: Mapping[str, Any], value: float, attack: str) -> Reading:
    why = row.get("note") or "the attack's table has no value"
    return Reading(value, attack, row["slice"], why_missing=why)
