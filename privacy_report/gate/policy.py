"""Apply a policy to every checkpoint of a variant: choose on one half, report on the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from privacy_report.errors import UserError
from privacy_report.gate.counting import Checkpoint
from privacy_report.gate.rates import exposed_beyond_noise
from privacy_report.gate.rules import RULES, finding, worst
from privacy_report.gate.schema import Policy
from privacy_report.gate.scope import scope_of
from privacy_report.gate.twins import AUDIT, canaries_until
from privacy_report.gate.words import BREAKS, KEEPS, UNJUDGED
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import ENTIRE, REFERENCES, REPORT, SELECT, with_ends
from privacy_report.pipeline.measured import NAMES
from privacy_report.pipeline.tables import Row

PUBLIC_SEED = (
    "the seed is public: anyone who reads params.yaml can subtract the noise (privacy.seed: committed)"
)


@dataclass(frozen=True)
class Evidence:
    """All that the gate knows of a variant.

    halves, rows: halves.csv and privacy.csv with numbers (NaN for empty cells); claim: of a private variant,
    for whichever of these checkpoints is chosen; references: how many reference models there are by
    epoch; public_seed: whether the noise's seed is committed; canaries: rows of the audit twin's privacy.csv
    on its canaries; one_run: the twin's one-run audit; twin: whether the variant is a twin itself; white_box:
    the one-run audit of the twin whose canaries are gradients. It bounds epsilon and is no leak: whoever sees
    every step's update tells who is in from any training, up to the epsilon that it claims. exposed: rows of
    record_auc.csv.
    """

    halves: Sequence[Row]
    rows: Sequence[Row]
    claim: Claim | None = None
    references: Mapping[int, int] = field(default_factory=dict)
    public_seed: bool = False
    canaries: Sequence[Row] = ()
    one_run: Mapping[str, Any] | None = None
    twin: bool = False
    white_box: Mapping[str, Any] | None = None
    exposed: Sequence[Row] = ()


def checkpoints(
    evidence: Evidence, half: str, void: str = "", released: str | None = None
) -> list[Checkpoint]:
    """The checkpoints of a variant in one half ("select" or "report"), by epoch; others: see `Checkpoint`."""
    epochs: dict[int, list[Row]] = {}
    for row in evidence.halves:
        if row["half"] == half:
            epochs.setdefault(int(row["epoch"]), []).append(row)
    return [
        Checkpoint(
            epoch,
            [*epochs[epoch], *canaries_until(epoch, evidence.canaries, epochs)],
            evidence.claim.epsilon if evidence.claim else math.nan,
            evidence.references.get(epoch, 0),
            void,
            released,
            exposed_beyond_noise(evidence.exposed),
        )
        for epoch in sorted(epochs)
    ]


def judge(checkpoint: Checkpoint, policy: Policy) -> list[dict[str, Any]]:
    """All findings against a checkpoint, in the order of the rules; empty when it passes.

    A class with a limit of its own is held against that one instead of max_class_advantage.
    """
    own = [name for name, limits in policy.slices.items() if "max_advantage" in limits]
    others = replace(checkpoint, rows=[row for row in checkpoint.rows if row["slice"] not in own])
    findings = [
        finding(rule, limit, others if own and rule == "max_class_advantage" else checkpoint)
        for rule, limit in policy.limits.items()
    ]
    for name, limits in policy.slices.items():
        findings += [finding(rule, limit, checkpoint, name) for rule, limit in limits.items()]
    return [failure for failure in findings if failure is not None]


def verdict_on(variant: str, policy: Policy, evidence: Evidence) -> dict[str, Any]:
    """The verdict on one variant.

    Among the checkpoints that keep the policy on the half "select", the one with the best validation accuracy
    there is recommended, the earliest of equals. Whether it keeps the policy as well (`confirmed`) is said by
    the half "report", which had no part in the choice, as are the numbers in `on_report_half`; a policy that
    is not kept there is not kept. Where no checkpoint keeps it, it is broken, unless some checkpoint is open:
    not judged by a rule, and broken by none. The verdict on an audit twin is AUDIT, whatever it keeps. Raises
    UserError when the two halves do not hold the same checkpoints.
    """
    void = PUBLIC_SEED if evidence.public_seed and not policy.allow_committed_seed else ""
    select, report = (checkpoints(evidence, half, void, policy.released) for half in (SELECT, REPORT))
    if not select or [c.epoch for c in select] != [c.epoch for c in report]:
        raise UserError(
            f"data/attack/{variant}/halves.csv: the halves must hold the same checkpoints, got "
            f"select {[c.epoch for c in select]}, report {[c.epoch for c in report]}"
        )
    findings = {checkpoint.epoch: judge(checkpoint, policy) for checkpoint in select}
    passing = [checkpoint for checkpoint in select if not findings[checkpoint.epoch]]
    open_ = [epoch for epoch, failures in findings.items() if failures and state(failures) == UNJUDGED]
    verdict: dict[str, Any] = {
        "verdict": AUDIT if evidence.twin else UNJUDGED if open_ else BREAKS,
        "policy": policy_in_rows(policy),
        "claim": asdict(evidence.claim) if evidence.claim else None,
        "public_seed": "yes" if evidence.public_seed else "no",
        "reference_models": 0,
        "checkpoints": len(select),
        "passing": len(passing),
        "open": len(open_),
        "failing": [failure for failures in findings.values() for failure in failures],
    }
    spoken_of = select[-1]
    if passing and not evidence.twin:
        best = max(passing, key=lambda c: (_or_lowest(accuracy(c)), -c.epoch))
        spoken_of = next(c for c in report if c.epoch == best.epoch)
        against = judge(spoken_of, policy)
        verdict |= {"recommended_epoch": best.epoch, "on_report_half": numbers(spoken_of)}
        verdict |= {"verdict": state(against), "confirmed": "no" if against else "yes", "against": against}
    scope = scope_of(evidence.rows, spoken_of.epoch, evidence.canaries, evidence.one_run, policy.released)
    verdict |= {"released": policy.released} if policy.released else {}
    if scope["tried"][REFERENCES]:
        verdict["reference_models"] = spoken_of.references
    return verdict | {"scope": scope}


def state(findings: Sequence[Mapping[str, Any]]) -> str:
    """What all findings against a checkpoint come to."""
    if any(failure["judged"] == "yes" for failure in findings):
        return BREAKS
    return UNJUDGED if findings else KEEPS


def policy_in_rows(policy: Policy) -> list[dict[str, Any]]:
    """The rules and limits of a policy, the slice named where a limit is one slice's own."""
    rows: list[dict[str, Any]] = [{"rule": rule, "limit": limit} for rule, limit in policy.limits.items()]
    for name, limits in policy.slices.items():
        rows += [{"rule": rule, "limit": limit, "slice": name} for rule, limit in limits.items()]
    return rows


def rule_in_words(rule: str, slice_: str = "") -> str:
    """What a rule says, less its limit; slice_: the one that the limit is for, where it is one's own."""
    words = RULES[rule].words
    return f"{words.replace(' on the entire dataset', '')} (on {slice_})" if slice_ else words


def in_words(policy: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rules of a verdict's `policy`, one phrase each."""
    said = []
    for rule in policy:
        limit, words = rule["limit"], rule_in_words(rule["rule"], rule.get("slice", ""))
        said.append(
            f"{words} {limit:g}"
            if isinstance(limit, float | int)
            else f"{words} that of naming the largest class"
        )
    return said


def numbers(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's metrics on the entire dataset, each of the attack that is worst in it.

    Metrics that could not be measured are left out.
    """
    values: dict[str, Any] = {"val_accuracy": accuracy(checkpoint), "epsilon": checkpoint.epsilon}
    for column in ("auc", "advantage", "tpr_at_1pct_fpr"):
        row = _worst_row(checkpoint, column)
        values |= {name: row[name] for name in with_ends(column)} if row else {}
        if row and column == "advantage":
            values["attack"] = row["attack"]
    if row := _worst_row(checkpoint, NAMES):
        values[NAMES] = row[NAMES]
    if row := _worst_row(checkpoint, "epsilon_fixed_split"):
        values["epsilon_fixed_split"] = row["epsilon_fixed_split"]
    values["class_advantage_high"] = worst("max_class_advantage", checkpoint).value
    return {
        name: value for name, value in values.items() if not (isinstance(value, float) and math.isnan(value))
    }


def accuracy(checkpoint: Checkpoint) -> float:
    """Validation accuracy on the checkpoint's half; NaN when no row carries it."""
    values = [float(row["val_accuracy"]) for row in checkpoint.of(ENTIRE)]
    return next((value for value in values if not math.isnan(value)), math.nan)


def _worst_row(checkpoint: Checkpoint, column: str) -> Row | None:
    rows = [row for row in checkpoint.of(ENTIRE) if not math.isnan(row[column])]
    return max(rows, key=lambda row: row[column], default=None)


def _or_lowest(value: float) -> float:
    return -math.inf if math.isnan(value) else value
