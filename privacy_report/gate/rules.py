"""The rules of the gate, one entry each: what it reads of a checkpoint, which limits make sense, its words.

Over attacks and classes the worst upper bound counts. Each bound holds for its own row with 97.5%
confidence, and the largest of them is at least the bound of the truly worst row, so that it needs no
correction for their number. docs/statistics.md has the error budget of a whole verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.rates import EXPOSED_AT, rate_low
from privacy_report.pipeline.contract import CANARIES, CLASS, ENTIRE, LEVEL, LOGITS, PROBABILITIES
from privacy_report.pipeline.measured import FLOOR, NAMES


@dataclass(frozen=True)
class Reading:
    """A number to compare with a limit (NaN when there is none), and where it comes from.

    judged: whether one that is missing breaks its rule for certain, rather than leaving it open; remark: what
    has to be said with the number; unseen: the rule is open where a limit is below it; doubt: why it is open
    where the number is above the limit, empty where it is broken; total: what a share is of, for a limit that
    is a count.
    """

    value: float
    attack: str = ""
    slice: str = ""
    why_missing: str = ""
    judged: bool = False
    remark: str = ""
    unseen: float = 0.0
    doubt: str = ""
    total: float = 1.0

    def in_units_of(self, limit: float) -> Reading:
        """The reading for a limit that is a count, if it is one: at least 1."""
        if self.total == 1.0 or limit < 1:
            return self
        return replace(self, value=self.value * self.total, unseen=self.unseen * self.total)


def _worst_attack(kind: str, column: str) -> Callable[[Checkpoint], list[Reading]]:
    """Reads a column of all rows of a kind of slice: one reading per attack and slice."""

    def read(checkpoint: Checkpoint) -> list[Reading]:
        return [_reading(row, row[column], row["attack"]) for row in checkpoint.of(kind)]

    return read


def _canaries(checkpoint: Checkpoint) -> list[Reading]:
    """Canaries found at 1% FPR, in the audit twin of the checkpoint's variant, up to this epoch.

    The same canaries judge all checkpoints, and choose one. So these are tested in the order of their epochs,
    each at the full level, up to the first that is not shown to keep the limit: a fixed sequence, in which
    any false "kept" has the error of one test (Maurer, Hothorn & Lehmacher 1995).
    """
    rows = checkpoint.of(CANARIES)
    if not any(row["epoch"] == checkpoint.epoch for row in rows):
        made = any(row["slice"] == CANARIES and row["epoch"] == checkpoint.epoch for row in checkpoint.rows)
        why = f"no attack on {checkpoint.released} was made on canaries (attack.attacks)"
        why = why if made else "no audit twin has such a checkpoint"
        return [Reading(math.nan, slice=CANARIES, why_missing=why)]
    readings = _worst_attack(CANARIES, "tpr_at_1pct_fpr_high")(checkpoint)
    earlier = [f", at epoch {row['epoch']:.0f}" if row["epoch"] < checkpoint.epoch else "" for row in rows]
    return [replace(reading, remark=remark) for reading, remark in zip(readings, earlier, strict=True)]


def _named(checkpoint: Checkpoint) -> list[Reading]:
    """The share of members that can be named, one name in ten being wrong at most.

    Fewer than the floor are not seen, so that no smaller limit can be shown to be kept. Both halves together
    have twice the members of one.
    """
    readings = []
    for row in checkpoint.of(ENTIRE):
        n, least = row["n_member"], row[NAMES + FLOOR]
        reading = _reading(row, row[NAMES] / n, row["attack"])
        if math.isnan(row[NAMES]) and least > n:
            too_few = f"with {row['n_nonmember']:.0f} non-members names are seen from {least:.0f} on"
            reading = replace(reading, why_missing=f"{too_few}, and there are {n:.0f} members")
        readings.append(replace(reading, unseen=(least - 1) / n, total=2 * n))
    unseen = max((reading.unseen for reading in readings if not math.isnan(reading.unseen)), default=0.0)
    return [replace(reading, unseen=unseen) for reading in readings]


def _exposed(checkpoint: Checkpoint) -> list[Reading]:
    """The share of members whose own AUC is high, beyond what noise alone gives with so many references.

    It is of the references' last epoch, whichever checkpoint is chosen. With few members or references its
    upper end may be above a limit where there is nothing but noise: then the rule is open.
    """
    low, high = checkpoint.exposed
    why = "own AUCs need reference models, two that trained on a member and two that did not"
    if checkpoint.released not in (None, LOGITS, PROBABILITIES):
        low, high, why = math.nan, math.nan, f"own AUCs are of logits, and {checkpoint.released} is released"
    noise = "" if low > 0 else f"0 to {high:.3g} are exposed beyond noise, with so few members or references"
    return [Reading(high, slice=ENTIRE, why_missing=why, doubt=noise)]


def _claimed_epsilon(checkpoint: Checkpoint) -> list[Reading]:
    """The claimed epsilon. Without a claim nothing is guaranteed; a void claim leaves the rule open."""
    if math.isnan(checkpoint.epsilon):
        why = "no epsilon is claimed"
        return [Reading(math.nan, why_missing=why, judged=True)]
    return [Reading(math.nan if checkpoint.void else checkpoint.epsilon, why_missing=checkpoint.void)]


def _val_accuracy_low(checkpoint: Checkpoint) -> list[Reading]:
    """Lower bound of the validation accuracy (the same in the rows of all attacks)."""
    return _accuracy_low(checkpoint, LEVEL / 2)


def _accuracy_low(checkpoint: Checkpoint, tail: float) -> list[Reading]:
    """As of a rate: what is right in part of a person's rows varies no more than what is in all or none."""
    readings = []
    for row in checkpoint.of(ENTIRE)[:1]:
        value, n = row["val_accuracy"], row["n_nonmember"]
        low = math.nan if math.isnan(value + n) else rate_low(value * n, n, tail)
        readings.append(_reading(row, low, ""))
    return readings


def _reference_models(checkpoint: Checkpoint) -> list[Reading]:
    return [Reading(float(checkpoint.attacking_references()))]


@dataclass(frozen=True)
class Rule:
    """One rule: `read` gives what is compared, `words` say it; limits from 0 to highest make sense.

    highest: None where there is no largest one. A rule is kept when the reading is at most the limit, or,
    where `at_least`, at least the limit.
    """

    words: str
    read: Callable[[Checkpoint], list[Reading]]
    highest: float | None = 1.0
    at_least: bool = False


MAJORITY = "majority"
"""A limit of min_val_accuracy: what naming the largest class alone would give."""
UNKNOWN_MAJORITY = "how large the classes are is not known, since no attack was made by class (attack.slices)"
SHARED_CLASSES = "persons have rows of several classes, so how large these are is not known: set a number"

RULES: dict[str, Rule] = {
    "max_advantage": Rule("advantage on the entire dataset at most", _worst_attack(ENTIRE, "advantage_high")),
    "max_tpr_at_1pct_fpr": Rule(
        "members found at 1% false positives at most", _worst_attack(ENTIRE, "tpr_at_1pct_fpr_high")
    ),
    "max_class_advantage": Rule(
        "advantage on the worst class at most", _worst_attack(CLASS, "advantage_high")
    ),
    "max_canary_tpr_at_1pct_fpr": Rule("canaries found at 1% false positives at most", _canaries),
    "max_named_at_10pct_fdr": Rule(
        "members named, one name in ten being wrong, at most", _named, highest=None
    ),
    "max_exposed_beyond_noise": Rule(
        f"members whose own AUC is at least {EXPOSED_AT}, beyond noise, at most", _exposed
    ),
    "max_epsilon": Rule("claimed epsilon at most", _claimed_epsilon, highest=None),
    "min_reference_models": Rule("reference models at least", _reference_models, highest=None, at_least=True),
    "min_val_accuracy": Rule("validation accuracy at least", _val_accuracy_low, at_least=True),
}
"""Rule -> what it judges, in the order of the findings. The params section `gate` has a key for each."""


BY_SLICE = {"max_advantage": "advantage_high", "max_tpr_at_1pct_fpr": "tpr_at_1pct_fpr_high"}
"""Rules that a single class may have limits of its own for, and what they compare there."""


def worst(rule: str, checkpoint: Checkpoint, slice_: str = "") -> Reading:
    """The least favourable reading of a rule; one that is missing is worse than any number.

    slice_: the one slice that a rule of BY_SLICE is asked about, instead of what it is made for.
    """
    read = _worst_attack(slice_, BY_SLICE[rule]) if slice_ else RULES[rule].read
    return _worst(read(checkpoint), RULES[rule].at_least, slice_)


def _worst(readings: Sequence[Reading], at_least: bool, slice_: str = "") -> Reading:
    if not readings:
        return Reading(math.nan, slice=slice_, why_missing="the attack stage wrote no such rows")
    if missing := [reading for reading in readings if math.isnan(reading.value)]:
        return missing[0]
    return (min if at_least else max)(readings, key=lambda reading: reading.value)


def finding(rule: str, limit: float | str, checkpoint: Checkpoint, slice_: str = "") -> dict[str, Any] | None:
    """Why the checkpoint fails this rule, or None when the rule is kept.

    slice_: as of `worst`. A finding has epoch, rule, limit, value and excess (by how much the limit is
    missed; both null where there is no number), judged (no: the rule is neither kept nor broken for certain),
    attack, slice and reason.
    """
    at_least = RULES[rule].at_least
    if limit == MAJORITY:  # two numbers are measured, and share the error
        reading, bound = _worst(_accuracy_low(checkpoint, LEVEL / 4), at_least), majority_high(checkpoint)
    else:
        bound = float(limit)
        reading = worst(rule, checkpoint, slice_).in_units_of(bound)
    so_far: dict[str, Any] = {"epoch": checkpoint.epoch, "rule": rule, "limit": limit}
    so_far |= {"attack": reading.attack, "slice": reading.slice}
    unknown = SHARED_CLASSES if _classes_share_persons(checkpoint) else UNKNOWN_MAJORITY
    why = reading.why_missing if math.isnan(reading.value) else unknown
    if math.isnan(reading.value + bound):
        reason = why if reading.judged else f"cannot be judged: {why}"
        judged = "yes" if reading.judged else "no"
        return so_far | {"value": None, "excess": None, "judged": judged, "reason": reason}
    excess = bound - reading.value if at_least else reading.value - bound
    doubt = reading.doubt if excess > 0 else ""
    if excess <= 0 and reading.unseen > bound:
        doubt = f"up to {reading.unseen:.3g} are not seen with so few non-members"
    if doubt:
        reason = f"cannot be judged: {doubt}"
        return so_far | {"value": None, "excess": None, "judged": "no", "reason": reason}
    if excess <= 0:
        return None
    reason = f"{excess:.3g} {'below' if at_least else 'above'} {bound:.3g}{reading.remark}"
    if limit == MAJORITY:
        reason += ", what naming the largest class alone would give"
    return so_far | {"value": reading.value, "excess": excess, "judged": "yes", "reason": reason}


def majority_high(checkpoint: Checkpoint) -> float:
    """Upper 98.75% bound of the largest class's share.

    It is the bound of the class with most non-members here, hence at least that of the truly largest one. NaN
    where no attack was made by class, and where persons have rows of several.
    """
    sizes = _sizes(checkpoint)
    n, classes = sizes.pop(ENTIRE, math.nan), sizes.values()
    if math.isnan(n) or not classes or _classes_share_persons(checkpoint):
        return math.nan
    return 1.0 - rate_low(n - max(classes), n, LEVEL / 4)


def _classes_share_persons(checkpoint: Checkpoint) -> bool:
    """Whether more non-members are in classes than there are: persons, of whom some are in several."""
    sizes = _sizes(checkpoint)
    return ENTIRE in sizes and sum(sizes.values()) - sizes[ENTIRE] > sizes[ENTIRE]


def _sizes(checkpoint: Checkpoint) -> dict[str, float]:
    """How many non-members the entire dataset and each class have, by the attack that scores most of them."""
    sizes: dict[str, float] = {}
    for row in checkpoint.rows:
        name = row["slice"]
        if name == ENTIRE or name.startswith(CLASS):
            sizes[name] = max(row["n_nonmember"], sizes.get(name, 0.0))
    return sizes


def _reading(row: Mapping[str, Any], value: float, attack: str) -> Reading:
    why = row.get("note") or "the attack's table has no value"
    return Reading(value, attack, row["slice"], why_missing=why)
