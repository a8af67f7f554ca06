"""The small tables that git keeps; `dvc plots` draws attacks and training by epoch, and a few ROC curves.

Their floats have six significant digits, far more than the intervals support; the full tables are in data/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from privacy_report.gate.twins import canary_rows
from privacy_report.pipeline.contract import (
    CANARY_COLUMNS,
    CURVES_COLUMNS,
    ENTIRE,
    PLOTTED_ROC_COLUMNS,
    PLOTTED_TRAINING_COLUMNS,
    STRONGEST,
    STRONGEST_ON_OUTPUTS,
    kind_of,
)
from privacy_report.pipeline.tables import Row, where, write_table
from privacy_report.report.canaries import twins
from privacy_report.report.study import ATTACKS, MORE_THAN_OUTPUTS, OUTPUTS_ONLY, Study
from privacy_report.report.study_files import grouped

DIGITS = 6
MOST_POINTS = 40  # of a ROC curve: one for every 8 pixels of the chart


def write(study: Study, folder: Path) -> None:
    """Write curves.csv, training.csv, canaries.csv and roc.csv to `folder`."""
    training = (
        {column: row[column] for column in PLOTTED_TRAINING_COLUMNS}
        for rows in study.training.values()
        for row in rows
    )
    write_table(folder / "curves.csv", curves(study), CURVES_COLUMNS, DIGITS)
    write_table(folder / "training.csv", training, PLOTTED_TRAINING_COLUMNS, DIGITS)
    write_table(folder / "canaries.csv", canaries(study), CANARY_COLUMNS, DIGITS)
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


def canaries(study: Study) -> Iterator[Row]:
    """What each attack finds of the canaries at a twin's last checkpoint, and the audit of that run.

    Of canaries that are gradients there is the audit alone.
    """
    for twin in twins(study):
        rows, audit = canary_rows(twin, study.root), study.one_run(twin) or {}
        last = max((row["epoch"] for row in rows), default=None)
        last_rows = list(where(rows, epoch=last)) or ([{"variant": twin}] if audit else [])
        for row in last_rows:
            yield {column: row.get(column, audit.get(column)) for column in CANARY_COLUMNS}


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
                named = {column: best[column] for column in ("variant", "epoch", "attack")}
                named |= {"checkpoint": " and ".join(names), "kind": kind_of(best["attack"])}
                for fpr, tpr in thinned(study.curve(best)).tolist():
                    yield named | {"fpr": fpr, "tpr": tpr}


def thinned(curve: np.ndarray) -> np.ndarray:
    """At most MOST_POINTS points of a curve, evenly spaced in log(FPR); those at 0 have no place there.

    curve: rates (n, 2), ascending. Of each place the last point that is not after it is kept, so the last of
    all is. Read as steps, from each point to the right, fewer points never promise more members than all; a
    straight line between two of them may.
    """
    drawable = curve[(curve > 0).all(axis=1)]
    if len(drawable) <= MOST_POINTS:
        return drawable
    places = np.log(drawable[:, 0])
    wanted = np.linspace(places[0], places[-1], MOST_POINTS)
    return drawable[np.unique(np.searchsorted(places, wanted, side="right") - 1)]
