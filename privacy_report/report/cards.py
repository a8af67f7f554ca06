"""The verdict on each variant as the page shows it: what the policy says, and how far that reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privacy_report.gate.rules import RULES
from privacy_report.gate.scope import not_tried
from privacy_report.gate.twins import AUDIT
from privacy_report.gate.words import KEEPS, UNJUDGED, colour, headline, leaks_in_words, tried_in_words
from privacy_report.report.study import Study
from privacy_report.report.style import Look

# What there may be without end is cut, and the page says where the rest is.
MOST_FINDINGS = 400  # in the tables of all cards together, and at least LEAST_FINDINGS in each
LEAST_FINDINGS = 5


def card(study: Study, look: Look, variant: str) -> dict[str, Any]:
    """The verdict on a variant in words."""
    verdict, last = study.verdict(variant), study.shown(variant).get("last")
    failing, epoch = verdict["failing"], verdict.get("recommended_epoch")
    most = max(LEAST_FINDINGS, MOST_FINDINGS // len(study.labels))
    return {
        "name": variant,
        "label": study.labels[variant],
        "color": look.color(variant),
        "colour": colour(verdict),
        "say": say(verdict),
        "scope": scope(verdict),
        "why": why(verdict),
        "seed": seed(study, variant),
        "last": [breach(one) for one in failing if one["epoch"] == last and last != epoch],
        "last_epoch": last,
        "epoch": epoch,
        "shown": next(iter(study.shown(variant).values()), None),
        "numbers": verdict.get("on_report_half", {}),
        "failing": failing[:most],
        "left_out": len(failing[most:]),
    }


def say(verdict: Mapping[str, Any]) -> str:
    """The verdict and the leak, in the words of the gate."""
    said, found = headline(verdict).replace("NOT CONFIRMED", "not confirmed"), verdict["scope"]
    leak = leaks_in_words(found).split(" at ")[0]
    at = "" if "recommended_epoch" in verdict else f" at epoch {found['epoch']}"
    return f"{said[0].upper()}{said[1:]}: {leak}{at}"


def scope(verdict: Mapping[str, Any]) -> str:
    """Who tried, who did not, what they found, and what they would have noticed."""
    found = verdict["scope"]
    tried, leak = tried_in_words(verdict), leaks_in_words(found)
    said = f"{tried[0].upper()}{tried[1:]}. {leak[0].upper()}{leak[1:]}."
    if found["leaks"] and found["power"] is not None:
        said += (
            f" An advantage of {found['power']:.3f} or more would have been detected with 95% probability."
        )
    return said


def seed(study: Study, variant: str) -> str:
    """What a public seed does to the claim of a private variant, empty where there is none."""
    verdict = study.verdict(variant)
    if verdict["public_seed"] != "yes" or not study.is_private(variant):
        return ""
    said = "The seed of the noise is public, so the claimed epsilon holds against nobody who reads it."
    if not any(one["rule"] == "max_epsilon" for one in verdict["policy"]):
        return said
    void = any(one["rule"] == "max_epsilon" and one["judged"] == "no" for one in verdict["failing"])
    return f"{said} {'The policy does not count it.' if void else 'The policy counts it all the same.'}"


def untried(study: Study) -> list[str]:
    """The kinds of attacker that did not try on all variants that may be shipped, in words."""
    found: dict[str, int] = {}
    for variant in study.candidates:
        for name in not_tried(study.verdict(variant)["scope"]):
            found[name] = found.get(name, 0) + 1
    n = len(study.candidates)
    return [name if count == n else f"{name} on {count} of {n} variants" for name, count in found.items()]


def breach(finding: Mapping[str, Any]) -> str:
    """A finding in a few words."""
    return f"{finding['rule']} ({finding['reason']})"


def why(verdict: Mapping[str, Any]) -> str:
    """Why this checkpoint, or why none."""
    n, passing = verdict["checkpoints"], verdict["passing"]
    if verdict["verdict"] == AUDIT:
        return "An audit twin, trained with canaries: its findings count for the variant without them."
    if passing and verdict["verdict"] != KEEPS:
        against = "; ".join(breach(one) for one in verdict["against"])
        return (
            f"It keeps every rule on the half that chooses, but not on the other: {against}. "
            "Choose a wider margin, or gather more examples."
        )
    if n == passing == 1:
        return "The only checkpoint, and it keeps every rule."
    if passing:
        which = (
            f"{passing} of {n} checkpoints that keep" if passing > 1 else f"1 of {n} checkpoints that keeps"
        )
        return f"Best validation accuracy among the {which} every rule."
    counts: dict[str, list[bool]] = {}
    for finding in verdict["failing"]:
        counts.setdefault(RULES[finding["rule"]].words, []).append(finding["judged"] == "no")
    said = [
        f"“{rule} …” is not kept at {len(unjudged)}"
        + (f" (cannot be judged at {sum(unjudged)} of them)" if any(unjudged) else "")
        for rule, unjudged in counts.items()
    ]
    hint = (
        " Not every rule could be judged: see below for what is missing."
        if verdict["verdict"] == UNJUDGED
        else ""
    )
    return f"Of {n} checkpoint{'s' if n > 1 else ''}: {'; '.join(said)}.{hint}"
