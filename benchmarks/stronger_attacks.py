"""Look for an attack that finds more members than `rmia` does with the same reference training.

First every idea of attack_ideas.py on the references of one variant: each reference is attacked by those
outside its pair, and its own membership, which the attacker drew, is the truth. No label of a target is
used. Then the few that are left, on what chose none of them: the references of other variants, and the
targets, once.

`python -m benchmarks.stronger_attacks [--data DATA]` reads DATA/reference and DATA/score, and writes
benchmarks/stronger_attacks.json. `--only tried|left|targets` repeats a part.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import t

from benchmarks.attack_ideas import (
    Idea,
    Models,
    all_features,
    ideas,
    learned,
    logistic,
    single,
    smoothed,
    snapshots,
)
from benchmarks.parts import measure
from privacy_report.attack.confidence import logit_confidence
from privacy_report.attack.evidence import ReferenceFiles, reference_files
from privacy_report.attack.intervals import auc_interval, tpr_interval
from privacy_report.attack.reference_checks import choose_epochs
from privacy_report.attack.roc import auc, roc_curve, tpr_at_fpr
from privacy_report.errors import UserError
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import LEVEL
from privacy_report.pipeline.outputs import read_outputs

FPRS = {"tpr_at_1pct_fpr": 0.01, "tpr_at_0p1pct_fpr": 0.001}
MEASURES = ("auc", *FPRS)
DISCOVERY, CONFIRMATION = VARIANTS = ("cnn2", "cnn3")
ATTACKED = (20, 10, 6)
LEARNED_AT = 20
"""The one epoch at which learned attackers are tried: they take most of the time."""
TARGETS = (6, 10, 20, 50)
BASELINE = "rmia, the chosen epoch"

Results = dict[str, dict[str, dict[str, float]]]


def left(chosen: int) -> dict[str, Idea]:
    """What is tried on fresh models next to the baseline: fixed before a look at any of them."""
    return {
        BASELINE: partial(single, epoch=chosen),
        "rmia, the target's own epoch": single,
        "rmia over snapshots": snapshots,
        "rmia over snapshots, the target's last two checkpoints": partial(
            smoothed, count=2, kind="log p of mean phi"
        ),
        "logistic regression": partial(learned, features=all_features, build=logistic),
    }


def read_references(data: Path, variant: str) -> tuple[ReferenceFiles, Models]:
    files = reference_files(data / "reference" / variant)
    if files is None or len(files.memberships()) < 4:
        raise UserError(
            f"{data / 'reference' / variant}: got fewer than two pairs of references, allowed: more"
        )
    phi = np.stack([np.load(files.phi[epoch]) for epoch in sorted(files.phi)])
    return files, Models(phi, tuple(sorted(files.phi)), files.memberships())


def read_target(data: Path, variant: str) -> Models:
    """The target's checkpoints, members first, and its labels in the place of memberships."""
    phi, files = [], sorted((data / "score" / variant).glob("epoch_*.npz"))
    for file in files:
        outputs = read_outputs(file)
        sides = [
            (outputs.member_logits, outputs.member_labels),
            (outputs.nonmember_logits, outputs.nonmember_labels),
        ]
        phi.append(np.concatenate([logit_confidence(*side) for side in sides]).astype(np.float32))
    if not files:
        raise UserError(f"{data / 'score' / variant}: no score files; `dvc repro score@{variant}` makes them")
    is_member = np.arange(len(phi[0])) < len(outputs.member_labels)
    epochs = tuple(int(file.stem.removeprefix("epoch_")) for file in files)
    return Models(np.stack(phi)[:, None], epochs, is_member[None])


def measures(scores: np.ndarray, is_member: np.ndarray) -> list[float]:
    curve = roc_curve(scores[is_member], scores[~is_member])
    return [auc(curve), *(tpr_at_fpr(curve, fpr) for fpr in FPRS.values())]


def recipe(models: Models, tried: Mapping[str, Idea], epoch: int) -> dict[str, np.ndarray]:
    """Idea -> measures (models, 3) of every reference at `epoch`, attacked by those outside its pair."""
    by_idea: dict[str, list[list[float]]] = {name: [] for name in tried}
    for j, is_member in enumerate(models.trains):
        attacked, others = models.take(np.array([j])).until(epoch), models.without_pair(j)
        for name, idea in tried.items():
            by_idea[name].append(measures(idea(attacked, others), is_member))
        print(f"epoch {epoch}: reference {j}", flush=True)
    return {name: np.array(rows) for name, rows in by_idea.items()}


def compared(by_idea: Mapping[str, np.ndarray], baseline: str) -> Results:
    """Idea -> measure -> mean and spread over the references, and the difference to the baseline.

    The two of a pair have the same attackers, so the difference's 95% interval is Student's over the pairs'
    means. Pairs share attackers, too: it is an approximation. `better`: references where it is above 0.
    """
    result: Results = {}
    for name, rows in by_idea.items():
        gap = rows - by_idea[baseline]
        pairs = gap.reshape(-1, 2, gap.shape[1]).mean(axis=1)
        half = t.isf(LEVEL / 2, len(pairs) - 1) * pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs))
        mean, spread, more, better = rows.mean(0), rows.std(0, ddof=1), gap.mean(0), (gap > 0).sum(0)
        result[name] = {
            measure: {
                "mean": mean[i],
                "spread": spread[i],
                "difference": more[i],
                "difference_low": more[i] - half[i],
                "difference_high": more[i] + half[i],
                "better": int(better[i]),
            }
            for i, measure in enumerate(MEASURES)
        }
    return result


def chosen_epoch(files: ReferenceFiles, epoch: int) -> int:
    """The references' epoch that the pipeline takes for `rmia` against a target at `epoch`."""
    phis = {e: np.load(path) for e, path in files.phi.items()}
    return choose_epochs(phis, files.memberships(), [epoch])[epoch]


def try_all(data: Path) -> dict[str, Results]:
    files, models = read_references(data, DISCOVERY)
    result = {}
    for epoch in ATTACKED:
        tried = {f"{kind} | {setting}": idea for kind, setting, idea in ideas(epoch == LEARNED_AT)}
        baseline = f"rmia, one epoch of the references | epoch {chosen_epoch(files, epoch)}"
        result[str(epoch)] = compared(recipe(models, tried, epoch), baseline)
    return result


def try_left(data: Path) -> Iterator[tuple[str, Results]]:
    """("variant, epoch, number of attackers", results), on references that chose none of the ideas."""
    files, models = read_references(data, CONFIRMATION)
    for epoch in ATTACKED:
        by_idea = recipe(models, left(chosen_epoch(files, epoch)), epoch)
        yield f"{CONFIRMATION}, {epoch}, {len(models.trains) - 2}", compared(by_idea, BASELINE)


def try_targets(data: Path) -> Iterator[tuple[str, Results]]:
    """("variant, epoch", idea -> measure -> value and its 95% interval)."""
    for variant in VARIANTS:
        files, models = read_references(data, variant)
        target = read_target(data, variant)
        for epoch in TARGETS:
            attacked, is_member, result = target.until(epoch), target.trains[0], {}
            for name, idea in left(chosen_epoch(files, epoch)).items():
                scores = idea(attacked, models)
                curve = roc_curve(scores[is_member], scores[~is_member])
                ends = [auc_interval(curve), *(tpr_interval(curve, fpr) for fpr in FPRS.values())]
                values = dict(zip(MEASURES, measures(scores, is_member), strict=True))
                result[name] = {
                    measure: {"value": values[measure], "low": low, "high": high}
                    for measure, (low, high) in zip(MEASURES, ends, strict=True)
                }
            yield f"{variant}, {epoch}", result


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", choices=("tried", "left", "targets"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    parts = {
        "tried": try_all,
        "left": lambda data: dict(try_left(data)),
        "targets": lambda data: dict(try_targets(data)),
    }
    measure(parts, args.only, args.data, args.out)


if __name__ == "__main__":
    run(main)
