"""Draw what hours of training reference models buy: members found at 0.1% FPR in one target.

`rmia` with N references after E epochs of theirs, for several N and E, with the references' last checkpoint
and with all their checkpoints; and `trajectory`, which trains nothing, and the threshold on the loss.
N references are taken as often as there are disjoint sets of N; values and the ends of their intervals are
means over the sets.

`python -m benchmarks.reference_cost [--data DATA]`, after `dvc repro`, writes benchmarks/reference_cost.json
and .png. Hours are those of one core, from what stage reference noted in .store/notes, or from `--seconds`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from threadpoolctl import threadpool_limits

from privacy_report.attack.choice import early_epochs
from privacy_report.attack.confidence import log_mean_probability, log_probability, logit_confidence
from privacy_report.attack.evidence import early_phi, reference_files
from privacy_report.attack.intervals import tpr_interval
from privacy_report.attack.reference_scores import trajectory
from privacy_report.attack.roc import roc_curve, tpr_at_fpr
from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.outputs import read_outputs
from privacy_report.report.style import GRID, INK, MARKERS, PAPER, Panel, Picture, draw, write_png

FPR = 0.001
COUNTS = (1, 2, 4, 8, 16)
EPOCHS = (2, 4, 6, 10, 14, 20)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B88700")
WAYS = {"last": "rmia, the references' last checkpoint", "all": "rmia over all their checkpoints"}
DPI = 150


@dataclass(frozen=True)
class Point:
    """What `models` references find: `tpr` at FPR and its 95% interval, means over `sets` of them.

    way: of WAYS; epochs: of training of each; hours: of training, one core; least, most: of the sets.
    """

    way: str
    models: int
    epochs: int
    hours: float
    tpr: float
    low: float
    high: float
    sets: int
    least: float
    most: float


def found(scores: np.ndarray, is_member: np.ndarray) -> tuple[float, float, float]:
    """TPR at FPR and its 95% interval. UserError for too few non-members."""
    curve = roc_curve(scores[is_member], scores[~is_member])
    interval = tpr_interval(curve, FPR)
    if interval is None:
        raise UserError(f"non-members: got {curve.n_nonmember}, allowed: at least {round(5 / FPR)}")
    return tpr_at_fpr(curve, FPR), *interval


def points(
    target: np.ndarray, is_member: np.ndarray, phis: dict[int, np.ndarray], seconds: float
) -> list[Point]:
    """All points, of a target's phi (n,) and the references' `phis`: epoch -> (k, n).

    seconds: of an epoch of one reference.
    """
    result, log_p = [], log_probability(target)
    models = len(next(iter(phis.values())))
    for epoch in sorted(set(EPOCHS) & set(phis)):
        taken = {"last": [phis[epoch]], "all": [phi for other, phi in phis.items() if other <= epoch]}
        for way, count in product(WAYS, (count for count in COUNTS if count <= models)):
            sets = [range(start, start + count) for start in range(0, models - count + 1, count)]
            means = [log_mean_probability(np.concatenate([phi[s] for phi in taken[way]])) for s in sets]
            rows = [found(log_p - mean, is_member) for mean in means]
            tpr, low, high = np.mean(rows, axis=0).tolist()
            least, *_, most = sorted([*(row[0] for row in rows), tpr])
            hours = count * epoch * seconds / 3600
            result.append(Point(way, count, epoch, hours, tpr, low, high, len(sets), least, most))
    return result


def free(target: np.ndarray, is_member: np.ndarray, early: np.ndarray) -> dict[str, dict[str, float]]:
    """The attacks that train nothing."""
    scores = {"trajectory": trajectory(target, early), "threshold": log_probability(target)}
    return {
        name: dict(zip(("tpr", "low", "high"), found(s, is_member), strict=True))
        for name, s in scores.items()
    }


def seconds_noted(variant: str, models: int, epochs: int) -> float:
    """Seconds of one core that an epoch of a reference took, as stage reference noted them."""
    file = store.root() / "notes" / f"reference@{variant}.json"
    if not file.exists():
        raise UserError(f"{file}: no such file; `dvc repro reference@{variant}` makes it, or give --seconds")
    return float(read_json(file)["seconds"]) / (models * epochs)


def measure(data: Path, variant: str, epoch: int, seconds: float | None) -> dict[str, Any]:
    """Everything that is drawn, of the target at `epoch`."""
    scores = data / "score" / variant
    files = {int(file.stem.removeprefix("epoch_")): file for file in sorted(scores.glob("epoch_*.npz"))}
    references = reference_files(data / "reference" / variant)
    if epoch not in files or references is None:
        raise UserError(
            f"{variant}: got no references or no scores of epoch {epoch} in {data}, allowed: both"
        )
    outputs = read_outputs(files[epoch])
    logits = np.concatenate([outputs.member_logits, outputs.nonmember_logits])
    target = logit_confidence(logits, np.concatenate([outputs.member_labels, outputs.nonmember_labels]))
    is_member = np.arange(len(target)) < len(outputs.member_labels)
    phis = {other: np.load(path, allow_pickle=False) for other, path in references.phi.items()}
    if seconds is None:
        seconds = seconds_noted(variant, len(references.memberships()), max(phis))
    early = early_phi([files[other] for other in early_epochs(list(files), epoch)])
    return {
        "variant": variant,
        "epoch": epoch,
        "fpr": FPR,
        "seconds_per_model_and_epoch": seconds,
        "free": free(target, is_member, early),
        "points": [asdict(point) for point in points(target, is_member, phis, seconds)],
    }


def draw_way(result: dict[str, Any], way: str, top: float, ax: Axes) -> None:
    """One panel: a line for each number of references, along their epochs."""
    rows = [row for row in result["points"] if row["way"] == way]
    models = sorted({row["models"] for row in rows})
    for count, color, marker in zip(models, COLORS, MARKERS, strict=False):
        line = sorted((row for row in rows if row["models"] == count), key=lambda row: row["hours"])
        x, y = [row["hours"] for row in line], [100 * row["tpr"] for row in line]
        error = [
            [100 * (row["tpr"] - row["low"]) for row in line],
            [100 * (row["high"] - row["tpr"]) for row in line],
        ]
        label = f"{count} reference{'s' if count > 1 else ''}"
        ax.errorbar(x, y, error, color=color, marker=marker, lw=1.3, elinewidth=0.6, alpha=0.9, label=label)
    least = min(row["hours"] for row in rows)
    ax.set_xscale("symlog", linthresh=least, linscale=0.4)
    own, loss = result["free"]["trajectory"], result["free"]["threshold"]
    ends = [[100 * (own["tpr"] - own["low"])], [100 * (own["high"] - own["tpr"])]]
    ax.errorbar(
        [0], [100 * own["tpr"]], ends, color=INK, marker="*", ms=9, elinewidth=0.6, ls="", label="trajectory"
    )
    ax.axhline(100 * loss["tpr"], color=INK, lw=0.9, ls=(0, (4, 2)), label="threshold on the loss")
    ticks = [
        0,
        *(
            tick
            for tick in (0.01, 0.03, 0.1, 0.3, 1, 3, 10)
            if least < tick <= max(row["hours"] for row in rows)
        ),
    ]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(title=WAYS[way], xlabel="Hours of training references (one core)", ylim=(0, top))
    ax.set_ylabel("Members found at 0.1% false positives, %")
    ax.legend(loc="upper left", facecolor=PAPER, edgecolor=GRID)


def picture(result: dict[str, Any]) -> Picture:
    top = 105 * max(row["high"] for row in result["points"])
    panels = []
    for way in WAYS:
        panels.append(
            Panel(lambda ax, way=way: draw_way(result, way, top, ax), WAYS[way], width=5.2, height=4)
        )
    return Picture("reference_cost", panels, columns=2)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--variant", default="cnn2")
    parser.add_argument("--epoch", type=int, default=50, help="of the target")
    parser.add_argument("--seconds", type=float, help="that one epoch of one reference takes on one core")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    with threadpool_limits(1):
        result = measure(args.data, args.variant, args.epoch, args.seconds)
    write_json(args.out, result)
    write_png([draw(picture(result), DPI)], args.out.with_suffix(".png"), DPI)


if __name__ == "__main__":
    run(main)
