"""Draw plots/privacy.csv the way the codelab's own report does, to set it next to ours.

The reference joins each variant and attack into one legend entry, takes matplotlib's defaults, shows
neither intervals nor chance, and puts the legend wherever it covers the fewest points.
Run from the repository's root: `python benchmarks/reference_plot.py FILE.png`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.files import atomic
from privacy_report.report.study import Study

ATTACKS = ("threshold", "logistic")  # the codelab's


def draw(study: Study) -> Figure:
    """Vulnerability by epoch (left) and against validation accuracy (right), each with AUC and advantage."""
    figure = Figure((16, 9))
    axes = figure.subplots(2, 2)
    for row, (column, name) in enumerate((("auc", "AUC"), ("advantage", "Attacker advantage"))):
        for x, ax, label, style in (
            ("epoch", axes[row, 0], "Epoch", "-"),
            ("val_accuracy", axes[row, 1], "Accuracy", "o"),
        ):
            for variant, title in study.labels.items():
                for attack in ATTACKS:
                    rows = [row for row in study.by_attack[variant, attack] if row["slice"] == ENTIRE]
                    said = f"{title} - {attack.upper()}"
                    ax.plot([r[x] for r in rows], [r[column] for r in rows], style, label=said)
            ax.set(xlabel=label, ylabel=name, title=f"{name} vs. {label}")
            ax.legend()
    return figure


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} FILE.png")
    with atomic(sys.argv[1]) as file:
        draw(Study()).savefig(file, format="png", dpi=100, metadata={"Software": None})
