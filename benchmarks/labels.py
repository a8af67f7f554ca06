"""Attackers who see labels only, or little more: are they honest, what do they find, do they beat `rmia`?

- *calibration*: the tables of reference_calibration.py for the attacks on labels. A label is right where phi
  is above 0: where p is above one half.
- *recipe*: each reference of a variant is attacked by those outside its pair, and its own membership is the
  truth, as in stronger_attacks.py: attacks on labels, and their combinations with `rmia` and with early
  checkpoints, next to `rmia`.
- *released*: what the attacks of each release find of the targets at their last checkpoints.

`python -m benchmarks.labels [--data DATA]` reads DATA/reference and DATA/score, and writes
benchmarks/labels.json; `--only calibration|recipe|released` repeats a part.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from scipy.stats import rankdata

from benchmarks import reference_calibration
from benchmarks.attack_ideas import Idea, Models, single
from benchmarks.parts import measure
from benchmarks.reference_calibration import COUNTS, Case
from benchmarks.stronger_attacks import (
    BASELINE,
    Results,
    chosen_epoch,
    compared,
    read_references,
    read_target,
    recipe,
)
from privacy_report.attack import released
from privacy_report.attack.choice import early_epochs
from privacy_report.attack.confidence import mean_doubt
from privacy_report.attack.references import References
from privacy_report.audits.attacks import audit, audit_params
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import LOGITS, RELEASES, released_to, with_ends
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.outputs import read_outputs

VARIANTS, TARGETS = ("cnn2", "cnn3"), ("cnn2", "cnn3", "cnn3_dp")
ATTACKED = (20, 10)
SHOWN = (*with_ends("auc"), *with_ends("tpr_at_1pct_fpr"), *with_ends("tpr_at_0p1pct_fpr"))
NAMED = ("named_at_10pct_fdr", "named_at_10pct_fdr_floor")


def on_labels(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """(name, scores (n,)) of every attack on labels."""
    right = (case.target_phi > 0).astype(float)
    yield "gap", released.alone(right)
    yield "label_reference", released.label_reference(right, case.references)
    yield "label_reference_offline", released.label_reference_offline(right, case.references)


def calibration(data: Path, draws: int, out: Path) -> dict[str, dict[str, float]]:
    """Rows as of reference_calibration.json; the outputs of real models are those of `cnn2`.

    Tables of so many draws that `out` has already are left as they are, and each new one is written there.
    """
    kept = read_json(out) if out.exists() else {}
    results = kept.get("calibration", {})
    files, _ = read_references(data, "cnn2")
    target = read_target(data, "cnn2")
    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder, "cnn2_phi.npz")
        last = max(files.phi)
        phi, trains = np.load(files.phi[last]), files.memberships()
        np.savez(real, phi=phi, is_member=trains, target_phi=target.phi[-1, 0])
        for table, draw, gap in reference_calibration.tables(real):
            for count in COUNTS:
                if results.get(f"{table}, {count}, gap", {}).get("draws") == draws:
                    continue
                truth = reference_calibration.true_auc(gap, count, on_labels)
                stream = crc32(table.encode())
                rows = reference_calibration.summarise(draw, count, draws, truth, stream, on_labels)
                results |= {f"{table}, {count}, {name}": row for name, row in rows.items()}
                print(table, count, {name: row["leaks"] for name, row in rows.items()}, flush=True)
                write_json(out, kept | {"calibration": results})
    return results


def _right(attacked: Models) -> np.ndarray:
    return (attacked.phi[-1, 0] > 0).astype(float)


def _references(models: Models, epoch: int) -> References:
    return References(models.phi[models.epochs.index(epoch)], models.trains)


def label_idea(attacked: Models, models: Models, epoch: int, name: str) -> np.ndarray:
    """An attack of `released` on the attacked model's labels."""
    references = _references(models, epoch)
    score = {
        "gap": lambda right, _: released.alone(right),
        "likelihood ratio": released.label_reference,
        "one-sided": released.label_reference_offline,
    }[name]
    return score(_right(attacked), references)


def early_doubt(attacked: Models) -> np.ndarray:
    """1 - mean p at the attacked model's own early checkpoints."""
    early = early_epochs(attacked.epochs, attacked.epochs[-1])
    return mean_doubt(attacked.phi[[attacked.epochs.index(epoch) for epoch in early], 0])


def one_sided_and_early(attacked: Models, models: Models, epoch: int) -> np.ndarray:
    """A right label, surprising to the OUT references and to the model's own past."""
    return label_idea(attacked, models, epoch, "one-sided") * early_doubt(attacked)


def ranks_added(attacked: Models, models: Models, epoch: int) -> np.ndarray:
    """Ranks of `rmia` plus ranks of the one-sided attack on labels."""
    return rankdata(single(attacked, models, epoch=epoch)) + rankdata(
        label_idea(attacked, models, epoch, "one-sided")
    )


def ideas(epoch: int) -> dict[str, Idea]:
    """What is compared, references being taken at `epoch`."""
    return {
        BASELINE: partial(single, epoch=epoch),
        "labels: gap": partial(label_idea, epoch=epoch, name="gap"),
        "labels: likelihood ratio": partial(label_idea, epoch=epoch, name="likelihood ratio"),
        "labels: one-sided": partial(label_idea, epoch=epoch, name="one-sided"),
        "labels: one-sided, early checkpoints": partial(one_sided_and_early, epoch=epoch),
        "rmia and labels: ranks added": partial(ranks_added, epoch=epoch),
    }


def recipes(data: Path) -> dict[str, Results]:
    """ "variant, epoch" -> what each idea finds, and the difference to `rmia`."""
    results = {}
    for variant in VARIANTS:
        files, models = read_references(data, variant)
        for epoch in ATTACKED:
            tried = ideas(chosen_epoch(files, epoch))
            results[f"{variant}, {epoch}"] = compared(recipe(models, tried, epoch), BASELINE)
    return results


def targets(data: Path) -> dict[str, list[dict[str, Any]]]:
    """ "variant, epoch" -> rows on the entire dataset: of what is released, and of `threshold` and `rmia`."""
    by_target = {}
    for variant in TARGETS:
        files, _ = read_references(data, variant)
        path = max((data / "score" / variant).glob("epoch_*.npz"))
        epoch = int(path.stem.removeprefix("epoch_"))
        params = audit_params(["threshold", "rmia"], ["entire"], released=RELEASES[1:])
        references = files.at(chosen_epoch(files, epoch))
        rows, _ = audit(read_outputs(path), params, variant, references=references)
        by_target[f"{variant}, {epoch}"] = [
            {"attack": row["attack"], "released": released_to(row["attack"]), "leaks": row["leaks"]}
            | {name: row[name] for name in (*SHOWN, *NAMED)}
            for row in sorted(rows, key=lambda row: RELEASES.index(released_to(row["attack"])))
        ]
    assert all(rows[0]["released"] == LOGITS for rows in by_target.values())
    return by_target


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", choices=("calibration", "recipe", "released"))
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    parts = {
        "released": targets,
        "recipe": recipes,
        "calibration": partial(calibration, draws=args.draws, out=args.out),
    }
    measure(parts, args.only, args.data, args.out)


if __name__ == "__main__":
    run(main)
