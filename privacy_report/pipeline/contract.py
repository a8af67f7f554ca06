"""The names that cross stages: columns, slices and sides, and what `measured` and `history` have.

Whoever writes a table and whoever reads it take the names from here, so that a renamed column is one edit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privacy_report.pipeline.history import HISTORY
from privacy_report.pipeline.measured import (
    CLASS,
    CORRECT,
    ENDS,
    ENTIRE,
    EPSILON_JOINT,
    FPRS,
    GROUP,
    INCORRECT,
    LEVEL,
    LOSS_PERCENTILE,
    METRICS,
    REPORT,
    ROWS,
    SELECT,
    Row,
    with_ends,
)

__all__ = [
    "CLASS",
    "CORRECT",
    "ENDS",
    "ENTIRE",
    "EPSILON_JOINT",
    "FPRS",
    "GROUP",
    "HISTORY",
    "INCORRECT",
    "LEVEL",
    "LOSS_PERCENTILE",
    "METRICS",
    "REPORT",
    "ROWS",
    "SELECT",
    "with_ends",
]

CANARIES = "canaries"
"""The slice of those that are members by a coin each; no other slice has them."""
GIVEN_BEFOREHAND = (ENTIRE, CLASS, GROUP)
"""Slices (or their prefixes) whose members no output of the model decides. Differential privacy bounds no
attack within the others: there the comparison is conditional on the output."""

OUTPUTS, EARLY, REFERENCES, PLACEBO = "outputs", "early", "references", "placebo"
ATTACK_KINDS = {
    "lira": REFERENCES,
    "lira_offline": REFERENCES,
    "rmia": REFERENCES,
    "rmia_offline": REFERENCES,
    "bavaria": REFERENCES,
    "rmia_probabilities": REFERENCES,
    "rmia_rounded_2": REFERENCES,
    "rmia_rounded_1": REFERENCES,
    "rmia_top": REFERENCES,
    "label_reference": REFERENCES,
    "label_reference_offline": REFERENCES,
    "trajectory": EARLY,
    "placebo": PLACEBO,
}
"""Attack -> what its attacker sees next to the target's outputs; of attacks not named here nothing."""


ONE_QUERY = {f"{attack}_one_query": attack for attack in ("threshold", "trajectory", "lira", "rmia")}
"""Attack that asks about each example once -> the one that asks all that a variant's `queries` say.

It is made where there are more queries, to show what they find more, and counts for nothing."""


def kind_of(attack: str) -> str:
    """What an attack needs: outputs; early (the target's own early checkpoints); references (models that the
    attacker trained); placebo (no attack: a row whose AUC is 0.5 unless members and non-members differ)."""
    return ATTACK_KINDS.get(ONE_QUERY.get(attack, attack), OUTPUTS)


RELEASES = ("logits", "probabilities", "rounded_2", "rounded_1", "top", "label")
"""What a service may return of each answer, from most to least: everything; probabilities, as they are or of
two digits or one; the largest probability with its label; the label."""
LOGITS, PROBABILITIES, *_, LABEL = RELEASES
SEES = {
    **{f"{attack}_{release}": release for release in RELEASES[1:-1] for attack in ("threshold", "rmia")},
    **dict.fromkeys(("gap", "label_reference", "label_reference_offline"), LABEL),
}
"""Attack -> what is released to it, of attacks that do not see everything."""


def released_to(attack: str) -> str:
    """What an attack sees of the target's outputs: one of RELEASES."""
    return SEES.get(attack, LOGITS)


def sees_all(attack: str) -> bool:
    """Whether an attack sees all outputs, and of all queries where it can use them."""
    return released_to(attack) == LOGITS and attack not in ONE_QUERY


def counts(attack: str, released: str | None) -> bool:
    """Whether an attack can be made where `released` is returned: with that, or with less.

    Of probabilities all can be made, if not to the last digit. None, where nothing is said about a release:
    the attacks that see everything. Never one that could ask more.
    """
    if attack in ONE_QUERY:
        return False
    sees = RELEASES.index(released_to(attack))
    if released is None:
        return sees == 0
    return released == PROBABILITIES or sees >= RELEASES.index(released)


def counts_persons(rows: Iterable[Row]) -> bool:
    """Whether rows of privacy.csv count persons: then there are some on the slice ROWS, too."""
    return any(row["slice"] == ROWS for row in rows)


def on_logits(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of attacks that see everything; all rows where none does, as in an audit of labels."""
    rows = list(rows)
    return [row for row in rows if sees_all(row["attack"])] or rows


PRIVACY_COLUMNS = (
    "variant",
    "epoch",
    "attack",
    "slice",
    "n_member",
    "n_nonmember",
    "accuracy",
    "val_accuracy",
    *METRICS,
    "leaks",
    "note",
)
HALVES_COLUMNS = (*PRIVACY_COLUMNS, "half")
ROC_COLUMNS = ("variant", "epoch", "attack", "slice", "fpr", "tpr")

STRONGEST, STRONGEST_ON_OUTPUTS = "strongest", "strongest on outputs"
"""Rows of plots/curves.csv that repeat the attack with the highest AUC at a checkpoint."""
CURVES_COLUMNS = (
    "variant",
    "epoch",
    "attack",
    "kind",
    "by",
    *with_ends("auc"),
    *with_ends("advantage"),
    *with_ends("tpr_at_1pct_fpr"),
    "accuracy",
    "val_accuracy",
    "epsilon_fixed_split",
)
CANARY_COLUMNS = (
    "variant",
    "epoch",
    "attack",
    *with_ends("auc"),
    *with_ends("tpr_at_1pct_fpr"),
    "epsilon_one_run",
    "epsilon_one_run_fdp",
    "epsilon_ceiling",
)
PLOTTED_ROC_COLUMNS = ("variant", "epoch", "checkpoint", "attack", "kind", "fpr", "tpr")
PLOTTED_TRAINING_COLUMNS = (
    "variant",
    "epoch",
    "running_loss",
    "running_accuracy",
    "val_loss",
    "val_accuracy",
    "epsilon",
)
HISTOGRAM_COLUMNS = ("variant", "epoch", "side", "low", "high", "count")
EXPOSED_COLUMNS = (
    "variant",
    "rank",
    "index",
    "label",
    "ranking",
    "score",
    "found_at_fpr",
    "loss",
    "probability",
)
RECORD_AUC_COLUMNS = (
    "variant",
    "epoch",
    "slice",
    "n_member",
    "record_auc",
    *with_ends("share"),
    "noise",
    "noise_high",
)

HISTORY_COLUMNS = ("variant", "epoch", *HISTORY)

TEXT_COLUMNS = frozenset(
    {"variant", "attack", "kind", "by", "checkpoint", "slice", "half", "side", "leaks", "note", "ranking"}
)
"""Columns of text; all others are numbers."""
