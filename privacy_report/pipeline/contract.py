"""The names that cross stages: columns, slices, sides, and the one level of confidence.

Whoever writes a table and whoever reads it take the names from here, so that a renamed column is one edit.
"""

from __future__ import annotations

from privacy_report.pipeline.history import HISTORY

LEVEL = 0.05
"""One minus the confidence of every interval, and the level at which leaks are declared."""

ENTIRE = "entire dataset"
CLASS, GROUP, LOSS_PERCENTILE = "class=", "group=", "loss_percentile="
CORRECT, INCORRECT = "correct", "incorrect"
CANARIES = "canaries"
"""The slice of those that are members by a coin each; no other slice has them."""
GIVEN_BEFOREHAND = (ENTIRE, CLASS, GROUP)
"""Slices (or their prefixes) whose members no output of the model decides. Differential privacy bounds no
attack within the others: there the comparison is conditional on the output."""

SELECT, REPORT = "select", "report"
"""The two halves of the examples: one to choose a checkpoint by, one to report it."""

OUTPUTS, EARLY, REFERENCES, PLACEBO = "outputs", "early", "references", "placebo"
ATTACK_KINDS = {
    "lira": REFERENCES,
    "lira_offline": REFERENCES,
    "rmia": REFERENCES,
    "rmia_offline": REFERENCES,
    "bavaria": REFERENCES,
    "trajectory": EARLY,
    "placebo": PLACEBO,
}
"""Attack -> what its attacker sees next to the target's outputs; of attacks not named here nothing."""


def kind_of(attack: str) -> str:
    """What an attack needs: outputs; early (the target's own early checkpoints); references (models that the
    attacker trained); placebo (no attack: a row whose AUC is 0.5 unless members and non-members differ)."""
    return ATTACK_KINDS.get(attack, OUTPUTS)


FPRS = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0p1pct_fpr": 0.001}
"""Column -> the false positive rate at which it gives the share of members found."""
ENDS = ("", "_low", "_high")


def with_ends(column: str) -> tuple[str, str, str]:
    """A measured column and the columns of its 95% interval's ends."""
    return column, f"{column}_low", f"{column}_high"


EPSILON_JOINT = "epsilon_fixed_split_joint"
"""The lower bound of epsilon that holds, with 95% confidence, for all rows of a variant at once."""

METRICS = (
    *with_ends("auc"),
    *with_ends("advantage"),
    "advantage_p",
    "ppv",
    *(name for column in FPRS for name in with_ends(column)),
    "balanced_accuracy",
    "epsilon_fixed_split",
    EPSILON_JOINT,
)
"""What is measured on each attack, slice and checkpoint."""

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

HISTORY_COLUMNS = ("variant", "epoch", *HISTORY)

TEXT_COLUMNS = frozenset(
    {"variant", "attack", "kind", "by", "checkpoint", "slice", "half", "side", "leaks", "note", "ranking"}
)
"""Columns of text; all others are numbers."""
