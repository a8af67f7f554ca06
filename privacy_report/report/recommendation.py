"""Which variant and checkpoint to take, what an attacker finds there, and what policy and privacy cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy_report.gate.policy import numbers
from privacy_report.gate.twins import AUDIT
from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.tables import Row
from privacy_report.report.rows import FOUND
from privacy_report.report.study import Study
from privacy_report.report.summary import number


@dataclass(frozen=True)
class Recommendation:
    """The recommended checkpoint (variant None: there is none), why, its leak and its price, in words."""

    variant: str | None
    say: str
    leak: str
    price: str


def recommendation(study: Study) -> Recommendation:
    """The best validation accuracy among the variants that keep the policy, the first of equals."""
    keeping = [name for name in study.labels if study.recommended(name) is not None]
    n = sum(study.verdict(name)["verdict"] != AUDIT for name in study.labels)
    if n == 0:
        return Recommendation(
            None, "Ship nothing. All variants are audit twins, which are never shipped.", "", ""
        )
    if not keeping:
        which = "The variant does not pass" if n == 1 else f"None of the {n} variants passes"
        return Recommendation(None, f"Ship nothing. {which} the policy.", "", "")
    chosen = _most_accurate(study, keeping)
    verdict = study.verdict(chosen)
    say = f"Ship {study.labels[chosen]}, epoch {verdict['recommended_epoch']}"
    if not math.isnan(accuracy := _accuracy(study, chosen)):
        say += f", with an accuracy of {accuracy:.3f}"
    if n > 1:
        which = "first" if math.isnan(accuracy) else "most accurate"
        say += ": the only variant" if len(keeping) == 1 else f": the {which} of {len(keeping)} variants"
        say += f" that pass{'es' if len(keeping) == 1 else ''} the policy"
    price = " ".join(filter(None, (_of_policy(study, chosen), _of_noise(study, keeping))))
    return Recommendation(chosen, f"{say}.", f"{_leak(verdict)} {_still_found(study, chosen)}".strip(), price)


def _leak(verdict: Mapping[str, Any]) -> str:
    """Whether a leak was detected at the recommended checkpoint, in a sentence."""
    slices = {leak["slice"] for leak in verdict["scope"]["leaks"]}
    if not slices:
        return "No leak was detected in it."
    return "Its canaries show a leak." if slices == {CANARIES} else "A leak was detected in it."


def _still_found(study: Study, chosen: str) -> str:
    """What the strongest attacks measured at the recommended checkpoint, on all examples."""
    epoch = study.verdict(chosen)["recommended_epoch"]
    worst = numbers(study.checkpoint(chosen, epoch))
    if "advantage" not in worst:
        return ""
    said = f"The strongest attacks reach an advantage of {number(worst['advantage'])}"
    rate = (
        f" and find {number(worst[FOUND], percent=True)} of the members at 1% FPR" if FOUND in worst else ""
    )
    return f"{said}{rate}."


def _accuracy(study: Study, variant: str) -> float:
    """Validation accuracy of the recommended checkpoint, on all non-members."""
    return study.entire[variant, float(study.verdict(variant)["recommended_epoch"])][0]["val_accuracy"]


def _most_accurate(study: Study, variants: list[str]) -> str:
    """The first of equals; one whose accuracy is not known is below all others."""
    known = {name: _accuracy(study, name) for name in variants}
    return max(variants, key=lambda name: -1.0 if math.isnan(known[name]) else known[name])


def _of_policy(study: Study, chosen: str) -> str:
    """What the policy costs: against the most accurate checkpoint of all, both on all non-members."""
    whole = [rows[0] for (name, _), rows in study.entire.items() if name in study.candidates]
    rows = [row for row in whole if not math.isnan(row["val_accuracy"])]
    here = _accuracy(study, chosen)
    if math.isnan(here):
        return ""
    best: Row = max(rows, key=lambda row: row["val_accuracy"])
    label = study.labels[best["variant"]]
    if (lost := best["val_accuracy"] - here) <= 0:
        return "The policy costs no accuracy: no checkpoint is more accurate."
    return (
        f"The policy costs {lost:.3f} of accuracy: {label}, epoch {best['epoch']:.0f}, "
        "is the most accurate checkpoint."
    )


def _of_noise(study: Study, keeping: list[str]) -> str:
    """What differential privacy costs: the best private variant among these against the best other."""
    private = [name for name in keeping if study.is_private(name)]
    others = [name for name in keeping if not study.is_private(name)]
    if not private or not others:
        return ""
    with_noise, without = (_most_accurate(study, names) for names in (private, others))
    verdict = study.verdict(with_noise)
    lost = _accuracy(study, without) - _accuracy(study, with_noise)
    word = "costs" if lost > 0 else "gains"
    return (
        f"Differential privacy {word} {abs(lost):.3f} of accuracy: {study.labels[with_noise]}, "
        f"epoch {verdict['recommended_epoch']}, claims epsilon {verdict['on_report_half']['epsilon']:.2f}."
    )
