"""How far a verdict reaches: which attackers tried, what they would have noticed, and what they found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

from privacy_report.gate.twins import ONE_RUN_AUDIT, audited_epsilon
from privacy_report.pipeline.contract import (
    CANARIES,
    EARLY,
    ENTIRE,
    LEVEL,
    OUTPUTS,
    PLACEBO,
    REFERENCES,
    counts,
    kind_of,
)
from privacy_report.pipeline.tables import Row, where


def scope_of(
    rows: Sequence[Row],
    epoch: int,
    canaries: Sequence[Row] = (),
    one_run: Mapping[str, Any] | None = None,
    released: str | None = None,
) -> dict[str, Any]:
    """What the attacks at one checkpoint can and cannot say.

    rows: privacy.csv of one variant; canaries: its audit twin's rows on canaries, whose leaks are corrected
    over the twin's rows; one_run: the twin's audit, which detects a leak where it bounds epsilon above 0;
    released: attacks that need more than this, or see less than all if it is None, have not tried.
    `tried`: kind of attacker -> the attacks that measured something on the entire dataset (canaries: on
    those); `power`: the smallest advantage there that would have been detected, null where nothing was
    measured; `leaks`: the attacks and slices in which a leak was detected.
    """
    attacks = attacks_made(rows)
    here, others = (
        [row for row in where(table, epoch=float(epoch)) if counts(row["attack"], released)]
        for table in (attacks, attacks_made(canaries))
    )
    counting = here if any(where(here, slice=CANARIES)) else [*here, *others]  # a twin has its own
    tried: dict[str, list[str]] = {}
    for kind in (OUTPUTS, EARLY, REFERENCES):
        tried[kind] = [row["attack"] for row in where(here, slice=ENTIRE) if kind_of(row["attack"]) == kind]
    tried[CANARIES] = [row["attack"] for row in where(counting, slice=CANARIES)]
    leaks = [{name: row[name] for name in ("attack", "slice")} for row in where(counting, leaks="yes")]
    if (audited_epsilon(one_run, epoch) or 0.0) > 0:
        leaks.append({"attack": ONE_RUN_AUDIT, "slice": CANARIES})
    powers = [power(row, attacks) for row in where(here, slice=ENTIRE)]
    return {"epoch": epoch, "tried": tried, "power": max(powers, default=None), "leaks": leaks}


def attacks_made(rows: Sequence[Row]) -> list[Row]:
    """The rows of attacks that measured something; the placebo is none."""
    return [row for row in rows if kind_of(row["attack"]) != PLACEBO and not math.isnan(row["auc"])]


def power(row: Row, rows: Sequence[Row]) -> float:
    """The smallest advantage that an attack has to have in truth to be detected with 95% probability.

    row: the attack on the entire dataset at one checkpoint; rows: all of the variant's attacks, the family of
    `tables.with_leaks`. Detected is what Holm's procedure rejects even as the first of all tested rows: a
    one-sided Kolmogorov-Smirnov statistic with exp(-2 d^2 / v) <= LEVEL / tested, v = 1/n_member +
    1/n_nonmember (Smirnov 1948; it overstates p). The statistic is at least the difference of both rates at
    the best threshold, normal with a variance of at most v / 4 around the true advantage.
    """
    tested = sum(not math.isnan(other["advantage_p"]) for other in rows)
    v = 1 / row["n_member"] + 1 / row["n_nonmember"]
    if row["advantage_high"] < 1:  # trained attackers score fewer; their interval says how many
        v = max(v, 2 * (row["advantage_high"] - row["advantage"]) ** 2 / math.log(2 / LEVEL))
    critical = math.sqrt(math.log(max(1, tested) / LEVEL) / 2 * v)
    return min(1.0, critical + NormalDist().inv_cdf(1 - LEVEL) * math.sqrt(v) / 2)


def not_tried(scope: Mapping[str, Any]) -> list[str]:
    """The kinds of attacker that did not try, in words. Nobody is missed who sees early checkpoints."""
    names = {REFERENCES: "reference models", CANARIES: "canaries"}
    return [name for kind, name in names.items() if not scope["tried"][kind]]
