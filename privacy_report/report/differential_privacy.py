"""What the page says about each private variant: its claim, its noise, and what the attacks found."""

from __future__ import annotations

import math
from dataclasses import dataclass

from privacy_report.gate.twins import EXAMPLES, GRADIENTS, ONE_RUN
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import LEVEL
from privacy_report.pipeline.tables import Row, where
from privacy_report.report.study import Study, is_attack
from privacy_report.report.summary import interval

SEEDS = {
    "committed": "The noise comes from the seed in params.yaml (privacy.seed: committed), so the training "
    "is reproducible. The claim is void for anyone who knows the noise seed: they can subtract the noise.",
    "secret": "The noise comes from the operating system's entropy and is not kept (privacy.seed: secret). "
    "Nobody can recompute it, so the result is NOT reproducible.",
}


AUDITS = {"white box": GRADIENTS, "black box": EXAMPLES}
BOUNDS = {
    ONE_RUN: "at least (Steinke et al. 2023)",
    "epsilon_one_run_fdp": "at least, if the trade-off curve is a Gaussian's (Mahloujifar et al. 2024)",
    "epsilon_ceiling": "most that could be shown",
}
"""The numbers of a one-run audit, in words."""


@dataclass(frozen=True)
class Mark:
    """An epsilon on the axis of a private variant: what it is, its value, its place in percent, its tone."""

    name: str
    value: float
    place: float
    tone: str


@dataclass(frozen=True)
class Private:
    """A private variant in words: its claim, what its noise is worth, what the strongest attack found.

    not_covered: what the claim says nothing about, a phrase each; axis: claim, audits and their ceilings,
    empty without an audit; updates: whether an audit sees every step's update.
    """

    label: str
    claim: str
    not_covered: tuple[str, ...]
    noise: str
    finding: str
    axis: tuple[Mark, ...]
    updates: bool


def private(study: Study) -> list[Private]:
    """One entry per variant that claims an epsilon."""
    claims = ((variant, study.claim(variant)) for variant in study.labels)
    return [_private(study, variant, claim) for variant, claim in claims if claim is not None]


def _private(study: Study, variant: str, claim: Claim) -> Private:
    seed, last = study.dp_settings(variant).get("seed", "not stated"), study.shown(variant)["last"]
    noise = SEEDS.get(seed, f"Where the noise comes from is unknown (privacy.seed: {seed}).")
    return Private(
        study.labels[variant],
        claim.in_words(),
        claim.not_covered,
        noise,
        finding(study, variant, last),
        axis(study, variant, claim.epsilon),
        study.one_run(variant, GRADIENTS) is not None,
    )


def shown_by_canaries(study: Study, variant: str) -> list[tuple[str, int, float]]:
    """Of each one-run audit of a variant: what its attacker sees, its epoch, and its bound of epsilon.

    Nothing of an audit twin, whose numbers stand with its variant.
    """
    if variant not in study.candidates:
        return []
    audits = {box: study.one_run(variant, canaries) for box, canaries in AUDITS.items()}
    return [(box, audit["epoch"], audit[ONE_RUN]) for box, audit in audits.items() if audit]


def axis(study: Study, variant: str, claimed: float) -> tuple[Mark, ...]:
    """Claim, audits and ceilings of a variant on one axis from 0.

    Nothing where no canaries were audited, and of an audit twin, whose numbers stand with its variant.
    """
    if variant not in study.candidates:
        return ()
    audits = {box: study.one_run(variant, canaries) for box, canaries in AUDITS.items()}
    audited = [
        (f"{box}: {words}", audit[name], "" if name == "epsilon_ceiling" else "bound")
        for box, audit in audits.items()
        if audit
        for name, words in BOUNDS.items()
        if audit.get(name) is not None
    ]
    if not audited:
        return ()
    most = max(claimed, *(value for _, value, _ in audited))
    return tuple(
        Mark(name, value, round(98 * value / most, 2), tone)
        for name, value, tone in [("claimed: at most", claimed, "claim"), *audited]
    )


def finding(study: Study, variant: str, epoch: int) -> str:
    """How far the strongest attack on the entire dataset is from chance at a checkpoint, in words."""
    rows = study.entire.get((variant, epoch), ())
    row = max(  # a leak that was found counts before a larger advantage that may be chance
        (row for row in rows if not math.isnan(row["advantage"])),
        key=lambda row: (row["leaks"] == "yes", row["advantage"]),
        default=None,
    )
    if row is None:
        return f"No attack on the entire dataset could be measured at epoch {epoch}."
    measured, p = f"advantage {interval(row, 'advantage')}", row["advantage_p"]
    if row["leaks"] == "yes":
        result = (
            f"p {p_value(p)}, significant after Holm's correction over {tested(study, row)} rows: it leaks"
        )
    elif p > LEVEL:
        result = f"p {p_value(p)}: not distinguishable from 0"
    else:
        result = (
            f"p {p_value(p)} alone, not significant after Holm's correction over {tested(study, row)} rows"
        )
    strongest = f"Strongest attack on the entire dataset at epoch {epoch} ({row['attack']})"
    return f"{strongest}: {measured}, {result}."


def tested(study: Study, row: Row) -> int:
    """How many rows of its variant (attacks x checkpoints x slices) were tested: Holm's family."""
    family = filter(is_attack, where(study.every_row, variant=row["variant"]))
    return sum(not math.isnan(other["advantage_p"]) for other in family)


def p_value(p: float) -> str:
    """A p-value with its sign of equality."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.2g}"
