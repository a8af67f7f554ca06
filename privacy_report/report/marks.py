"""What the pictures of attackers share: what a line stands for, names of measures, the recommended star."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from privacy_report.pipeline.tables import Row
from privacy_report.report.study import ATTACKS, MORE_THAN_OUTPUTS, OUTPUTS_ONLY, Study
from privacy_report.report.style import INK, LINES, PAPER, Look

CHANCE = {"auc": 0.5, "advantage": 0.0, "tpr_at_1pct_fpr": 0.01}
NAMES = {
    "auc": "AUC (0.5 is chance)",
    "advantage": "Attacker's advantage (0 is chance)",
    "tpr_at_1pct_fpr": "Members found at 1% FPR",
}


def attackers(study: Study) -> dict[str, Sequence[str]]:
    """What a line stands for -> the kinds of attacks of which it shows the strongest.

    Two lines per variant where there are attacks that see more than outputs, one where there are none or
    many variants.
    """
    if study.many or not study.attacks(MORE_THAN_OUTPUTS):
        return {"strongest attack": ATTACKS}
    kinds_of = {"outputs only": OUTPUTS_ONLY, "references, early checkpoints": MORE_THAN_OUTPUTS}
    return {name: kinds for name, kinds in kinds_of.items() if study.attacks(kinds)}


def star(
    study: Study, look: Look, variant: str, ax: Axes, x: Callable[[Row], float], column: str, color: str = ""
) -> None:
    """Mark the recommended checkpoint, in the variant's colour or in another one."""
    epoch = study.recommended(variant)
    row = None if epoch is None else study.strongest(variant, epoch, column)
    if row is not None:
        at = x(row), row[column]
        size, edge = (8, 0.4) if study.many else (11, 0.8)
        color = color or look.color(variant)
        ax.plot(*at, marker="*", ms=size, color=color, mec=PAPER, mew=edge, ls="none", zorder=5)


def keys_of_lines(names: Sequence[str]) -> list[Line2D]:
    """Say in ink which line style means what, where there are several."""
    if len(names) < 2:
        return []
    return [Line2D([], [], color=INK, ls=line, label=name) for name, line in zip(names, LINES, strict=False)]
