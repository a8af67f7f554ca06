"""What opens under a variant's row: what the policy says, who tried, and why checkpoints fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privacy_report.gate.named import missing
from privacy_report.gate.policy import rule_in_words
from privacy_report.gate.scope import not_tried
from privacy_report.gate.twins import AUDIT
from privacy_report.gate.words import KEEPS, UNJUDGED, headline, leaks_in_words, tried_in_words
from privacy_report.pipeline.contract import CANARIES, EARLY, OUTPUTS, REFERENCES
from privacy_report.report.study import Study

# What there may be without end is cut, and the page says where the rest is.
MOST_FINDINGS = 400  # in the tables of all cards together, and at least LEAST_FINDINGS in each
LEAST_FINDINGS = 5


def card(study: Study, variant: str) -> dict[str, Any]:
    """The verdict on a variant in words."""
    verdict, last = study.verdict(variant), study.shown(variant).get("last")
    failing, epoch = verdict["failing"], verdict.get("recommended_epoch")
    most = max(LEAST_FINDINGS, MOST_FINDINGS // len(study.labels))
    return {
        "say": say(verdict),
        "scope": scope(verdict),
        "why": why(verdict),
        "seed": seed(study, variant),
        "last": [breach(finding) for finding in failing if finding["epoch"] == last and last != epoch],
        "last_epoch": last,
        "failing": failing[:most],
        "left_out": len(failing[most:]),
    }


def say(verdict: Mapping[str, Any]) -> str:
    """The verdict and the leak, in the words of the gate."""
    said, scope_ = headline(verdict).replace("NOT CONFIRMED", "not confirmed"), verdict["scope"]
    leak = leaks_in_words(scope_).split(" at ")[0]
    at = "" if "recommended_epoch" in verdict else f" at epoch {scope_['epoch']}"
    return f"{said[0].upper()}{said[1:]}; {leak}{at}"


def scope(verdict: Mapping[str, Any]) -> list[str]:
    """Who tried, who did not, what they found, and what they would have noticed: a sentence each."""
    scope_ = verdict["scope"]
    said = tried_in_words(verdict).split("; ")
    if scope_["leaks"]:
        names = list(dict.fromkeys(leak["attack"] for leak in scope_["leaks"]))
        n = len(scope_["leaks"])
        where = f"in {n} combination{'s' if n > 1 else ''} of attack and slice"
        said.append(f"leak detected at epoch {scope_['epoch']} {where}, by {', '.join(names)}")
        if scope_["power"] is not None:
            said.append(
                f"an advantage of {scope_['power']:.3f} or more would be detected with 95% probability"
            )
    else:
        said.append(leaks_in_words(scope_))
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in said]


def seed(study: Study, variant: str) -> str:
    """What a public seed does to the claim of a private variant, empty where there is none."""
    verdict = study.verdict(variant)
    if verdict["public_seed"] != "yes" or not study.is_private(variant):
        return ""
    said = "The claimed epsilon is void for anyone who knows the noise seed, and the seed is public."
    if not any(rule["rule"] == "max_epsilon" for rule in verdict["policy"]):
        return said
    void = any(rule["rule"] == "max_epsilon" and rule["judged"] == "no" for rule in verdict["failing"])
    return f"{said} {'The policy does not accept it.' if void else 'The policy accepts it all the same.'}"


def tried(study: Study) -> list[str]:
    """The kinds of attacker that tried on any variant that may be shipped, in words."""
    names = {OUTPUTS: "model outputs", EARLY: "early checkpoints", REFERENCES: "reference models"}
    names |= {CANARIES: "canaries"}
    scopes = [study.verdict(variant)["scope"]["tried"] for variant in study.candidates]
    return [words for kind, words in names.items() if any(scope[kind] for scope in scopes)]


def untried(study: Study) -> list[str]:
    """The kinds of attacker that did not try on all variants that may be shipped, in words."""
    counts: dict[str, int] = {}
    for variant in study.candidates:
        for name in not_tried(study.verdict(variant)["scope"]):
            counts[name] = counts.get(name, 0) + 1
    n = len(study.candidates)
    return [name if count == n else f"{name} on {count} of {n} variants" for name, count in counts.items()]


def breach(finding: Mapping[str, Any]) -> str:
    """A finding in a few words."""
    return f"{finding['rule']} ({finding['reason']})"


def why(verdict: Mapping[str, Any]) -> str:
    """Why this checkpoint, or why none."""
    n, passing = verdict["checkpoints"], verdict["passing"]
    if verdict["verdict"] == AUDIT:
        return "An audit twin, trained with canaries and never shipped. Its findings count for its variant."
    if passing and verdict["verdict"] != KEEPS:
        against = "; ".join(breach(against) for against in verdict["against"])
        return (
            f"It passes on the half that chooses, but not on the other: {against}. "
            "Choose a wider margin, or gather more examples."
        )
    if n == passing == 1:
        return "The only checkpoint, and it passes every rule."
    if passing == 1:
        return f"The only one of {n} checkpoints that passes every rule."
    if passing:
        unknown = missing(verdict["on_report_half"].get("val_accuracy"))
        which = "The earliest, since no accuracy is known," if unknown else "Best validation accuracy"
        return f"{which} among the {passing} of {n} checkpoints that pass every rule."
    own = {(rule["rule"], rule["slice"]) for rule in verdict["policy"] if "slice" in rule}
    counts: dict[str, dict[int, bool]] = {}
    for one in verdict["failing"]:
        words = rule_in_words(one["rule"], one["slice"] if (one["rule"], one["slice"]) in own else "")
        unjudged = counts.setdefault(words, {})
        unjudged[one["epoch"]] = unjudged.get(one["epoch"], True) and one["judged"] == "no"
    said = [
        f"“{words} …” fails at {len(unjudged)}"
        + (f" (cannot be judged at {sum(unjudged.values())} of them)" if any(unjudged.values()) else "")
        for words, unjudged in counts.items()
    ]
    hint = (
        " Not every rule could be judged; see what is missing below."
        if verdict["verdict"] == UNJUDGED
        else ""
    )
    return f"Of {n} checkpoint{'s' if n > 1 else ''}: {'; '.join(said)}.{hint}"
