"""The params section `attack`: which attacks, on which slices, with which estimators."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from privacy_report.attack import registry
from privacy_report.attack.estimator import Estimator
from privacy_report.pipeline.contract import RELEASES
from privacy_report.pipeline.measured import MAX, PERSON_SCORES
from privacy_report.pipeline.params import one_of, refuse

__all__ = ["SLICES", "AttackParams", "Estimator"]

COLUMNS = "columns"
"""In place of a file of index groups: the columns of a table that dataset.groups names."""
SLICES = ("entire", "class", "correctness", "percentile", "group")


@dataclass
class AttackParams:
    """How checkpoints are attacked.

    `mode` parity keeps the semantics of tensorflow_privacy's reports; `groups` names a JSON file of index
    groups (see `slices.load_groups`), or is COLUMNS, and is needed by the slice kind `group`; `exclude` names
    a CSV of positions that take no part as non-members (see `slices.load_excluded`); `folds` is the number of
    blocks that trained attackers are scored in; `person_score`, max, mean or sum, makes a person's score of
    those of the rows, where there are persons; `delta` is that of the (epsilon, delta) whose epsilon is
    bounded from below; `released` are releases (`contract.RELEASES`, without logits) whose attacks are made
    on the entire dataset, too, in the default mode. An attack that is neither in the registry nor in
    `estimators` is refused.
    """

    mode: str = registry.DEFAULT
    attacks: list[str] = field(default_factory=lambda: ["threshold"])
    slices: list[str] = field(default_factory=lambda: ["entire", "class"])
    folds: int = 3
    delta: float = 1e-5
    seed: int = 0
    groups: str | None = None
    exclude: str | None = None
    person_score: str = MAX
    released: list[str] = field(default_factory=list)
    estimators: dict[str, Estimator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("mode", self.mode, registry.MODES)
        _names("attacks", self.attacks, registry.known(self.mode, self.estimators))
        _names("slices", self.slices, SLICES)
        one_of("person_score", self.person_score, PERSON_SCORES)
        if self.released:
            _names("released", self.released, RELEASES[1:])
        if "entire" not in self.slices:
            raise refuse("slices", self.slices, "entire and any others: every verdict is about it")
        if shadowed := sorted(set(registry.ATTACKS[registry.DEFAULT]) & set(self.estimators)):
            raise refuse("estimators", shadowed[0], "names that no other attack has")
        if "group" in self.slices and not self.groups:
            raise refuse(
                "groups", self.groups, "a JSON file of index groups or columns, since slices has group"
            )
        if not 2 <= self.folds <= 20:
            raise refuse("folds", self.folds, "2 to 20")
        if not 0 <= self.delta < 1:
            raise refuse("delta", self.delta, "0 <= delta < 1")
        if self.seed < 0:
            raise refuse("seed", self.seed, "0 or more")

    @property
    def made(self) -> list[str]:
        """All attacks that are made: `attacks`, then those on what is `released`."""
        return list(dict.fromkeys([*self.attacks, *registry.of_releases(self.mode, self.released)]))


def _names(key: str, got: list[str], allowed: Collection[str]) -> None:
    """Refuse an empty list, an unknown name and a name given twice."""
    if not got:
        raise refuse(key, got, "at least one of " + ", ".join(allowed))
    for name in got:
        one_of(key, name, allowed)
    if len(set(got)) < len(got):
        raise refuse(key, got, "each name once")
