"""One attack, ready to be made: all that its numbers depend on next to the files that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from privacy_report.attack.slices import Groups
from privacy_report.pipeline.digests import arrays_digest
from privacy_report.pipeline.measured import MAX


@dataclass(frozen=True)
class Plan:
    """One attack.

    examples, scores, measure: dotted names of functions; needs, least, caveat, seen, every_query: see
    `registry.Attack`; both_ends, any_delta: see `registry.Mode`; settings: what the scores' function reads.
    slices, groups, delta, seed, person_score: see `schema.AttackParams`. excluded: rows of non-members that
    take no part. persons: int (n,), whose row each is, members first; None: each is a person of its own.
    """

    attack: str
    examples: str
    scores: str
    measure: str
    needs: str
    least: int
    caveat: str
    seen: str
    every_query: bool
    both_ends: bool
    any_delta: bool
    settings: Mapping[str, Any]
    slices: tuple[str, ...]
    groups: Groups | None
    delta: float
    seed: int
    excluded: tuple[int, ...] = ()
    person_score: str = MAX
    persons: np.ndarray | None = field(default=None, compare=False)

    @property
    def roots(self) -> tuple[str, ...]:
        """The functions that the attack is made of."""
        return self.examples, self.scores, self.measure, *([self.seen] if self.seen else [])

    @property
    def chosen(self) -> list[str]:
        """The import path of what the user chose, if anything."""
        return [self.settings["path"]] if "path" in self.settings else []

    def inputs(self) -> dict[str, Any]:
        """Everything above as JSON-able values: groups in their order, of persons a digest.

        Without persons nothing is said of them, not even how they would be scored.
        """
        groups = list(self.groups.items()) if self.groups else []
        values = vars(self) | {
            "settings": dict(self.settings),
            "groups": [[name, asdict(group)] for name, group in groups],
        }
        if self.persons is None:
            return {name: value for name, value in values.items() if name not in ("persons", "person_score")}
        return values | {"persons": arrays_digest({"": self.persons})}
