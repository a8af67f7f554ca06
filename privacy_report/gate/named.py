"""Who can be named, in words: the number of a row, or of the attack that names most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from privacy_report.pipeline.contract import PLACEBO, kind_of
from privacy_report.pipeline.measured import FLOOR, NAMES
from privacy_report.pipeline.tables import Row


def most_named(rows: Sequence[Row]) -> Row | None:
    """The row of the attack that names most members; None where none could be measured.

    rows: those on the entire dataset, missing cells None or NaN. The placebo names nobody.
    """
    attacks = (row for row in rows if kind_of(row["attack"]) != PLACEBO and not missing(row[NAMES]))
    return max(attacks, key=lambda row: row[NAMES], default=None)


def missing(value: float | None) -> bool:
    """Whether a cell has no number."""
    return value is None or math.isnan(value)


def named_in_words(rows: Sequence[Row], persons: bool = False) -> str:
    """How many members an attacker of a checkpoint can name who accepts one wrong name in ten.

    persons: whether the rows count persons.
    """
    row = most_named(rows)
    who = "An attacker who accepts one wrong name in ten"
    if row is None:
        return f"{who}: too few non-members to say whom they can name"
    unit, others = ("persons", "persons who are no members") if persons else ("members", "non-members")
    members, least = f"{row['n_member']:,.0f} {unit}", row[NAMES + FLOOR]
    unseen = f"with {row['n_nonmember']:,.0f} {others}, fewer than {least:,.0f} would not be seen"
    if round(row[NAMES]) == 0:
        return f"{who} can name none of {members} ({unseen})"
    return f"{who} can name {row[NAMES]:,.0f} of {members} ({row['attack']}; {unseen})"
