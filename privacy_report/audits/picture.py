"""The ROC curves of an audit, for a notebook or a paper: one a measured attack, on the entire dataset."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from privacy_report.attack import tables
from privacy_report.audits.models import Attacked
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import ENTIRE, PLACEBO, kind_of
from privacy_report.pipeline.tables import where


def roc(attacked: Attacked, ax: Axes | None = None) -> Axes:
    """Draw the curves of the last checkpoint with their AUC, the strongest first, and what chance gives.

    Both axes are logarithmic and begin at one half of a non-member: below one there is nothing to be seen.
    UserError where canaries' scores alone were audited.
    """
    if attacked.last is None:
        raise UserError(f"{attacked.name}: has canaries' scores alone, curves are of a model's outputs")
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    epoch = max(attacked.results)
    rows = [row for row in where(attacked.rows, epoch=epoch, slice=ENTIRE) if row["auc"] is not None]
    attacks = [row for row in rows if kind_of(row["attack"]) != PLACEBO]
    curves = list(tables.roc_rows(attacked.name, {epoch: attacked.results[epoch]}))
    least = 0.5 / len(attacked.last.nonmember_labels)
    for row in sorted(attacks, key=lambda row: -row["auc"]):
        points = list(where(curves, attack=row["attack"], slice=ENTIRE))
        fpr, tpr = ([max(point[name], least) for point in points] for name in ("fpr", "tpr"))
        ax.plot(fpr, tpr, drawstyle="steps-post", label=f"{row['attack']}, AUC {row['auc']:.3f}")
    ax.plot([least, 1], [least, 1], color="gray", linestyle=":", label="chance")
    ax.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1), title=attacked.name)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    legend = ax.legend(loc="lower right", fontsize="small")
    for text in (ax.title, *legend.get_texts()):
        text.set_parse_math(False)  # names are somebody's: "$" is a dollar
    return ax
