"""The rows of one checkpoint that count for the gate: of attackers who see what the service returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from privacy_report.pipeline.contract import CANARIES, ENTIRE, OUTPUTS, PLACEBO, REFERENCES, counts, kind_of
from privacy_report.pipeline.tables import Row


@dataclass(frozen=True)
class Checkpoint:
    """The rows (attack x slice) of one checkpoint in one half.

    Rows on canaries are the audit twin's, of this epoch and of all before it. epsilon: the claim for
    whichever checkpoint is chosen (NaN: not DP); references: how many reference models there are at this
    epoch; void: why the claim is none, empty where it stands; released: what the service returns, so that
    attackers who see more do not count (`contract.counts`); exposed: both ends of the share of members who
    are exposed beyond noise, by the references' last epoch (`rates.exposed_beyond_noise`).
    """

    epoch: int
    rows: Sequence[Row]
    epsilon: float = math.nan
    references: int = 0
    void: str = ""
    released: str | None = None
    exposed: tuple[float, float] = (math.nan, math.nan)

    def of(self, kind: str) -> list[Row]:
        """Rows of the slice `kind`, or of all slices that begin with it where it ends with "=" (CLASS).

        The placebo is no attack. An attack that lacks early checkpoints or reference models here has measured
        nothing on the entire dataset, and is no evidence either way; whether they are needed is a rule of its
        own. What any other attack could not measure counts.
        """
        return [row for row in self.rows if _within(row["slice"], kind) and self._counts(row)]

    def attacking_references(self) -> int:
        """How many reference models attacked: none where no attack with them measured anything."""
        tried = any(kind_of(attack) == REFERENCES for attack, whole, _ in self._made if whole == ENTIRE)
        return self.references if tried else 0

    def _counts(self, row: Row) -> bool:
        kind = kind_of(row["attack"])
        if not self._sees(row):
            return False
        return kind == OUTPUTS or (kind != PLACEBO and _place(row) in self._made)

    def _sees(self, row: Row) -> bool:
        """Whether the service returns what the attack needs."""
        return counts(row["attack"], self.released)

    @cached_property
    def _made(self) -> set[tuple[str, str, float]]:
        """Attack, ENTIRE or CANARIES, and epoch, where the attack measured something on the whole of them."""
        wholes = (row for row in self.rows if row["slice"] in (ENTIRE, CANARIES) and self._sees(row))
        return {_place(row) for row in wholes if not math.isnan(row["auc"])}


def _within(slice_: str, kind: str) -> bool:
    return slice_.startswith(kind) if kind.endswith("=") else slice_ == kind


def _place(row: Row) -> tuple[str, str, float]:
    return row["attack"], CANARIES if row["slice"] == CANARIES else ENTIRE, row["epoch"]
