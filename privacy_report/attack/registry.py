"""All attacks by name: what each needs, the function that scores with it, and the least examples it takes.

Functions are named, not imported: whoever checks parameters stays light, and a name is also where the memo
starts to read the code that an attack's numbers pass through. Another attack is another line here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from privacy_report.attack.needs import EARLY, FEATURES, NEEDS, OUTPUTS, REFERENCES
from privacy_report.errors import refuse
from privacy_report.pipeline.contract import LABEL, ONE_QUERY, RELEASES, released_to

__all__ = ["EARLY", "FEATURES", "NEEDS", "OUTPUTS", "REFERENCES"]

LEAST = 10
"""Members and non-members that an attack needs; a trained one needs as many in each block."""
LEAST_PARITY_TRAINED = 15  # two folds, a three-fold search of up to 7 neighbours within

UNSOUND = "reference semantics: intervals and p-value are not valid for trained attackers"

OWN_SCORE = "own_score"
"""The attack on an audited file's own scores, which come as confidences."""
PLACEBO = "placebo"
NO_ATTACK = "no attack: a reference in the target's place, whose AUC must cover 0.5"
DEFAULT, PARITY = "default", "parity"


@dataclass(frozen=True)
class Mode:
    """How examples are read and scores are measured; dotted names of functions.

    examples: `Outputs` -> `Examples`; measure: scores -> a row of metrics (see `measures.measure`);
    both_ends: whether an example on the edge of two loss deciles counts in both; any_delta: whether delta has
    no part, so that none is refused.
    """

    examples: str
    measure: str
    both_ends: bool
    any_delta: bool


@dataclass(frozen=True)
class Attack:
    """One attack: what it `needs`, the dotted name of its `scores`, its `mode`, the `least` per side.

    caveat: what every row's note says of it. seen: of an attack that does not see all outputs, the dotted
    name of what it sees: examples -> float (n,), which its scores take instead of the examples, or of phi.
    every_query: whether it uses what was asked next to the examples themselves, where there is any.

    scores: for OUTPUTS (examples) -> float (n,); for EARLY (phi, early_phi) and for REFERENCES (phi,
    references) likewise; for FEATURES (X, is_member, settings, seed) ->
    (float (n,), bool (n,) who was scored). Higher = more likely a member.
    """

    needs: str
    scores: str
    mode: str = DEFAULT
    least: int = LEAST
    caveat: str = ""
    seen: str = ""
    every_query: bool = False


_HERE = "privacy_report.attack"
MODES = {
    DEFAULT: Mode(f"{_HERE}.signals.pool", f"{_HERE}.measures.measure", both_ends=False, any_delta=False),
    PARITY: Mode(f"{_HERE}.parity.pool", f"{_HERE}.parity.measure", both_ends=True, any_delta=True),
}
TRAINED = Attack(FEATURES, f"{_HERE}.trained.scores")
"""Any entry of `attack.estimators`."""


def _parity(name: str) -> Attack:
    return Attack(FEATURES, f"{_HERE}.parity.{name}", PARITY, LEAST_PARITY_TRAINED, UNSOUND)


def _released(needs: str, name: str, seen: str) -> Attack:
    return Attack(needs, f"{_HERE}.released.{name}", seen=f"{_HERE}.released.{seen}")


def _queries(needs: str, name: str, caveat: str = "") -> Attack:
    return Attack(needs, f"{_HERE}.{name}", caveat=caveat, every_query=True)


RELEASED = {
    **{f"threshold_{release}": _released(OUTPUTS, "alone", release) for release in RELEASES[1:-1]},
    **{f"rmia_{release}": _released(REFERENCES, "rmia", release) for release in RELEASES[1:-1]},
    "gap": _released(OUTPUTS, "alone", LABEL),
    "label_reference": _released(REFERENCES, "label_reference", LABEL),
    "label_reference_offline": _released(REFERENCES, "label_reference_offline", LABEL),
}
"""Attacks that see less than all outputs; `contract.SEES` says what."""
ATTACKS: dict[str, dict[str, Attack]] = {
    DEFAULT: {
        "threshold": _queries(OUTPUTS, "signals.negative_loss"),
        OWN_SCORE: Attack(OUTPUTS, f"{_HERE}.signals.own_score"),
        "threshold_confidence": Attack(OUTPUTS, f"{_HERE}.signals.confidence"),
        "threshold_entropy": Attack(OUTPUTS, f"{_HERE}.signals.negative_entropy"),
        "threshold_modified_entropy": Attack(OUTPUTS, f"{_HERE}.signals.negative_modified_entropy"),
        "trajectory": _queries(EARLY, "reference_scores.trajectory"),
        "lira": _queries(REFERENCES, "reference_scores.lira"),
        "lira_offline": _queries(REFERENCES, "reference_scores.lira_offline"),
        "rmia": _queries(REFERENCES, "reference_scores.rmia"),
        "rmia_offline": _queries(REFERENCES, "reference_scores.rmia_offline"),
        "bavaria": _queries(REFERENCES, "reference_scores.bavaria"),
        PLACEBO: _queries(REFERENCES, "reference_checks.placebo_scores", caveat=NO_ATTACK),
        **RELEASED,
    },
    PARITY: {
        "threshold": Attack(OUTPUTS, f"{_HERE}.parity.negative_loss", PARITY, least=1),
        "threshold_entropy": Attack(OUTPUTS, f"{_HERE}.parity.negative_modified_entropy", PARITY, least=1),
        "logistic": _parity("logistic"),
        "mlp": _parity("mlp"),
        "random_forest": _parity("random_forest"),
        "knn": _parity("knn"),
    },
}


def of_releases(mode: str, released: Collection[str]) -> list[str]:
    """The attacks on what some releases return, of a mode."""
    return [name for name in RELEASED if name in ATTACKS[mode] and released_to(name) in released]


def asking_once(mode: str, made: Collection[str]) -> list[str]:
    """The attacks that show what those of `made` would find if they asked once."""
    return [name for name, every in ONE_QUERY.items() if mode == DEFAULT and every in made]


def known(mode: str, estimators: Collection[str] = ()) -> list[str]:
    """The names of a mode's attacks; in the default mode each estimator is one, too."""
    return [*ATTACKS[mode], *(sorted(estimators) if mode == DEFAULT else ())]


def find(name: str, mode: str, estimators: Collection[str] = ()) -> Attack:
    """The attack called `name`; UserError with the known ones for any other.

    Those that ask once (`contract.ONE_QUERY`) are found, too, but are not known: nobody chooses them.
    """
    if mode == DEFAULT and name in ONE_QUERY:
        return replace(ATTACKS[mode][ONE_QUERY[name]], every_query=False)
    if name in ATTACKS[mode]:
        return ATTACKS[mode][name]
    if mode == DEFAULT and name in estimators:
        return TRAINED
    raise refuse("attacks", name, ", ".join(known(mode, estimators)))
