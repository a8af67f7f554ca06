"""A verdict in words and in a colour: what the policy says, and how far the measurement reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from privacy_report.gate.scope import not_tried
from privacy_report.gate.twins import AUDIT, ONE_RUN_AUDIT
from privacy_report.pipeline.contract import CANARIES, EARLY, OUTPUTS, REFERENCES

KEEPS, BREAKS, UNJUDGED = "keeps the policy", "breaks the policy", "cannot be judged"
VERDICTS = (KEEPS, BREAKS, UNJUDGED, AUDIT)
SHORT = {KEEPS: "passes", BREAKS: "fails", UNJUDGED: UNJUDGED, AUDIT: "audit twin"}
"""A verdict as it is in data/gate -> as people are told it."""
UNCONFIRMED = "refuted"
IN_A_WORD = {KEEPS: "passes", BREAKS: "fails", UNJUDGED: "open", AUDIT: AUDIT}
"""A verdict as it is in data/gate -> as it is in metrics/, whose columns are narrow."""
REMEDIES = "docs/remedies.md"
AUDITED = (
    "What canaries show that epsilon is at least (95%), in one run at the last checkpoint: to an attacker "
    "who sees every step's update if the canaries are gradients, and the outputs otherwise."
)
"""What an audited epsilon is, and against whom it holds, for wherever one is shown."""
LEAK_RULES = (
    "max_advantage",
    "max_tpr_at_1pct_fpr",
    "max_class_advantage",
    "max_canary_tpr_at_1pct_fpr",
    "max_named_at_10pct_fdr",
    "max_exposed_beyond_noise",
)
"""Rules that a leak breaks."""
GOOD, FAIR, BAD = "good", "fair", "bad"
"""Green, amber and red on the page."""


def colour(verdict: Mapping[str, Any]) -> str:
    """GOOD only where the policy is kept, reference models tried, and no leak was detected.

    BAD where the policy is broken; FAIR is all that lies between.
    """
    if verdict["verdict"] == BREAKS:
        return BAD
    scope = verdict["scope"]
    thorough = verdict["verdict"] == KEEPS and scope["tried"][REFERENCES] and not scope["leaks"]
    return GOOD if thorough else FAIR


def line(variant: str, verdict: Mapping[str, Any]) -> str:
    """The verdict on a variant and its scope in one line."""
    said = [headline(verdict), leaks_in_words(verdict["scope"]), why(verdict), tried_in_words(verdict)]
    return f"{variant}: {'; '.join(said + what_helps(verdict))}"


def what_helps(verdict: Mapping[str, Any]) -> list[str]:
    """Where to read on, if a leak is why a policy is broken."""
    findings = verdict.get("against") or verdict["failing"]
    leaks = any(finding["judged"] == "yes" and finding["rule"] in LEAK_RULES for finding in findings)
    return [f"what helps: {REMEDIES}"] if verdict["verdict"] == BREAKS and leaks else []


def headline(verdict: Mapping[str, Any]) -> str:
    """What the policy says, and of which checkpoint."""
    if verdict["verdict"] == AUDIT:
        return "audit twin with canaries, never shipped"
    said = SHORT[verdict["verdict"]]
    if "recommended_epoch" in verdict:
        said += f" at epoch {verdict['recommended_epoch']}"
        said += "" if verdict["verdict"] == KEEPS else ", NOT CONFIRMED"
    return said


def in_a_word(verdict: Mapping[str, Any]) -> str:
    """One of IN_A_WORD, or UNCONFIRMED where a checkpoint was chosen and fails on the other half."""
    if "recommended_epoch" in verdict and verdict["verdict"] == BREAKS:
        return UNCONFIRMED
    return IN_A_WORD[verdict["verdict"]]


def why(verdict: Mapping[str, Any]) -> str:
    """How many checkpoints pass, or what the others break, in a few words."""
    n, passing = verdict["checkpoints"], verdict["passing"]
    if verdict["verdict"] in (AUDIT, KEEPS):
        return f"{passing} of {n} checkpoint{'s' if n > 1 else ''} pass{'es' if passing == 1 else ''}"
    if passing:
        return f"on the other half of the examples {breaches(verdict['against'])}"
    none = "the only checkpoint fails" if n == 1 else f"none of {n} checkpoints passes"
    return f"{none} ({breaches(verdict['failing'])})"


def breaches(findings: Any) -> str:
    """Rule by rule at how many checkpoints it is broken, and by how much at most, or open."""
    by_rule: dict[tuple[str, bool], list[Any]] = {}
    for finding in findings:
        by_rule.setdefault((finding["rule"], finding["judged"] == "yes"), []).append(finding)
    return ", ".join(_breach(rule, broken, of_rule) for (rule, broken), of_rule in by_rule.items())


def _breach(rule: str, broken: bool, findings: Sequence[Any]) -> str:
    """One rule at all checkpoints where it is broken, or where it cannot be judged."""
    count = len({finding["epoch"] for finding in findings})
    at = f"at {count} checkpoint{'s' if count > 1 else ''}"
    if not broken:
        return f"{rule} cannot be judged {at}"
    by = [finding["excess"] for finding in findings if finding["excess"] is not None]
    how = f"by {'up to ' if count > 1 else ''}{max(by):.3g} " if by else ""
    return f"{rule} is broken {how}{at}"


def tried_in_words(verdict: Mapping[str, Any]) -> str:
    """Which kinds of attacker tried, and which did not."""
    said = f"tried: {', '.join(attackers(verdict)) or 'nothing'}"
    return said + (f"; not tried: {', '.join(missing)}" if (missing := not_tried(verdict["scope"])) else "")


def attackers(verdict: Mapping[str, Any]) -> list[str]:
    """The kinds of attacker that tried, in words."""
    names = {
        OUTPUTS: "outputs",
        EARLY: "early checkpoints",
        REFERENCES: f"{verdict['reference_models']} reference models",
        CANARIES: "canaries",
    }
    return [name for kind, name in names.items() if verdict["scope"]["tried"][kind]]


def leaks_in_words(scope: Mapping[str, Any]) -> str:
    """Whether a leak was detected, after correction: where and by which attacks, or what would have been."""
    at = f"at epoch {scope['epoch']}"
    if not scope["leaks"]:
        if scope["power"] is None:
            return f"nothing was measured {at}"
        return f"no leak detected {at} (detectable: an advantage of {scope['power']:.3f})"
    names = [leak["attack"] for leak in scope["leaks"] if leak["attack"] != ONE_RUN_AUDIT]
    rows = f"{', '.join(dict.fromkeys(names))} (in {len(names)} row{'s' if len(names) > 1 else ''})"
    audit = f"the {ONE_RUN_AUDIT}" if len(names) < len(scope["leaks"]) else ""
    return f"leak detected {at} by {' and '.join(filter(None, (rows if names else '', audit)))}"
