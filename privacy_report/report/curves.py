"""The small tables that git keeps and `dvc plots` draws: attacks and training by epoch, and a few ROC curves.

Their floats have six significant digits, far more than the intervals support; the full tables are in data/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from privacy_report.pipeline.contract import (
    CURVES_COLUMNS,
    ENTIRE,
    PLOTTED_ROC_COLUMNS,
    PLOTTED_TRAINING_COLUMNS,
    STRONGEST,
    STRONGEST_ON_OUTPUTS,
    kind_of,
)
from privacy_report.pipeline.tables import Row, where, write_table
from privacy_report.report.study import ATTACKS, MORE_THAN_OUTPUTS, OUTPUTS_ONLY, Study
from privacy_report.report.tables import grouped

DIGITS = 6
MOST_POINTS = 60  # of a ROC curve: one for every 5 pixels of the chart


def write(study: Study, folder: Path) -> None:
    """Write curves.csv, training.csv and roc.csv to `folder`."""
    training = (
        {column: row[column] for column in PLOTTED_TRAINING_COLUMNS}
        for rows in study.training.values()
        for row in rows
    )
    write_table(folder / "curves.csv", curves(study), CURVES_COLUMNS, DIGITS)
    write_table(folder / "training.csv", training, PLOTTED_TRAINING_COLUMNS, DIGITS)
    write_table(folder / "roc.csv", rocs(study), PLOTTED_ROC_COLUMNS, DIGITS)


def curves(study: Study) -> Iterator[Row]:
    """What each attack finds on the entire dataset at each checkpoint, and then what the strongest finds.

    `by` names the attack that a row repeats, where it repeats one. The strongest has the highest AUC, and
    all cells of its row are its own; a placebo has rows, but it is no attack and never the strongest.
    """
    for (variant, epoch), rows in grouped(where(study.privacy, slice=ENTIRE), "variant", "epoch").items():
        yield from (_curve(row, row["attack"], "") for row in rows)
        for name, kinds in ((STRONGEST, ATTACKS), (STRONGEST_ON_OUTPUTS, OUTPUTS_ONLY)):
            if (row := study.strongest(variant, epoch, "auc", kinds)) is not None:
                yield _curve(row, name, row["attack"])


def _curve(row: Row, attack: str, by: str) -> Row:
    named = row | {"attack": attack, "kind": kind_of(row["attack"]), "by": by}
    return {column: named[column] for column in CURVES_COLUMNS}


def rocs(study: Study) -> Iterator[Row]:
    """ROC curves of the strongest attack (by AUC) on outputs and of the strongest that sees more.

    At the recommended and at the last checkpoint of each variant; `checkpoint` says which, or both.
    """
    for variant in study.labels:
        which: dict[int, list[str]] = {}
        for name, epoch in study.shown(variant).items():
            which.setdefault(epoch, []).append(name)
        for epoch, names in which.items():
            for kinds in (OUTPUTS_ONLY, MORE_THAN_OUTPUTS):
                if (best := study.strongest(variant, epoch, "auc", kinds)) is None:
                    continue
                named = {"checkpoint": " and ".join(names), "kind": kind_of(best["attack"])}
                for row in thinned(study.roc.get((variant, float(epoch), best["attack"]), [])):
                    yield {column: (row | named)[column] for column in PLOTTED_ROC_COLUMNS}


def thinned(curve: list[Row]) -> list[Row]:
    """At most MOST_POINTS points of a curve, evenly spaced in log(FPR); those at 0 have no place there.

    curve: rows with ascending `fpr` and `tpr`. Each kept point is at most as far right as the place it stands
    for, so a thinned curve never promises more members than the whole one; the last is kept.
    """
    drawable = [row for row in curve if row["fpr"] > 0 and row["tpr"] > 0]
    if len(drawable) <= MOST_POINTS:
        return drawable
    places = np.log([row["fpr"] for row in drawable])
    wanted = np.linspace(places[0], places[-1], MOST_POINTS)
    return [drawable[i] for i in np.unique(np.searchsorted(places, wanted, side="right") - 1)]
