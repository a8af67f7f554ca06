"""Draw what is found of the targets by what a service returns, from benchmarks/labels.json.

Run from the repository's root: `python benchmarks/released_plot.py FILE.png`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from privacy_report.pipeline.contract import REFERENCES, RELEASES, kind_of
from privacy_report.pipeline.files import read_json

COLUMN = "tpr_at_1pct_fpr"
LEFT_OUT = "label_reference"  # of the two attacks on labels the weaker one
COLOURS = {"without reference models": "#0072B2", "with 16 reference models": "#D55E00"}


def draw(path: Path) -> None:
    """Members found at 1% FPR with 95% intervals, a panel a variant."""
    targets = read_json(Path(__file__).with_name("labels.json"))["released"]
    figure, axes = plt.subplots(1, len(targets), figsize=(9.6, 3.2), sharey=True, layout="constrained")
    for ax, (target, rows) in zip(axes, targets.items(), strict=True):
        for (name, colour), shift in zip(COLOURS.items(), (-0.12, 0.12), strict=True):
            mine = [
                row
                for row in rows
                if (kind_of(row["attack"]) == REFERENCES) == name.startswith("with ")
                and row["attack"] != LEFT_OUT
            ]
            at = np.array([RELEASES.index(row["released"]) for row in mine]) + shift
            values, low, high = (
                np.array([100 * row[COLUMN + end] for row in mine]) for end in ("", "_low", "_high")
            )
            ax.errorbar(
                at, values, [values - low, high - values], fmt="o", ms=4, lw=1, color=colour, label=name
            )
        ax.axhline(1, color="0.4", lw=0.8, ls=(0, (2, 2)))
        ax.set_xticks(range(len(RELEASES)), RELEASES, rotation=40, ha="right")
        ax.set_title(target.replace(", ", ", epoch "))
    axes[0].set_ylabel("Members found at 1% FPR (%)")
    axes[-1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
