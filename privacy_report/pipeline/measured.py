"""What is measured of an attack: slices, halves, metrics by name, and the one level of confidence.

It is in the key of every attack; columns and names that no attack computes are in `contract`.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
"""Column -> cell: text as str, numbers as float, NaN where nothing was measured."""

LEVEL = 0.05
"""One minus the confidence of every interval, and the level at which leaks are declared."""

ENTIRE = "entire dataset"
CLASS, GROUP, LOSS_PERCENTILE = "class=", "group=", "loss_percentile="
CORRECT, INCORRECT = "correct", "incorrect"

ROWS = "rows"
"""The slice of all rows, where each belongs to one of fewer persons and every other slice counts persons."""

MAX, MEAN, SUM = PERSON_SCORES = ("max", "mean", "sum")
"""How a person's score is made of those of the rows."""

SELECT, REPORT = "select", "report"
"""The two halves of the examples: one to choose a checkpoint by, one to report it."""

FPRS = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0p1pct_fpr": 0.001}
"""Column -> the false positive rate at which it gives the share of members found."""
ENDS = ("", "_low", "_high")


def with_ends(column: str) -> tuple[str, str, str]:
    """A measured column and the columns of its 95% interval's ends."""
    return column, f"{column}_low", f"{column}_high"


EPSILON_JOINT = "epsilon_fixed_split_joint"
"""The lower bound of epsilon that holds, with 95% confidence, for all rows of a variant at once."""

NAMES = "named_at_10pct_fdr"
"""The column that the gate, the audit and the page speak of."""
NAMED: dict[str, tuple[float, float | None]] = {
    NAMES: (0.1, None),
    "named_at_1pct_fdr": (0.01, None),
    "named_at_10pct_fdr_one_in_ten": (0.1, 0.1),
    "named_at_1pct_fdr_one_in_ten": (0.01, 0.1),
}
"""Column -> the share of names that may be wrong, and the share of members among the candidates.

None: as large as it is in the audit. On the entire dataset only."""
FLOOR = "_floor"
"""Ends the name of the column that says how many can be named at least, if anybody can."""

METRICS = (
    *with_ends("auc"),
    *with_ends("advantage"),
    "advantage_p",
    "ppv",
    *(name for column in FPRS for name in with_ends(column)),
    "balanced_accuracy",
    "epsilon_fixed_split",
    EPSILON_JOINT,
    *NAMED,
    *(column + FLOOR for column in NAMED),
)
"""What is measured on each attack, slice and checkpoint."""
