"""What near duplicates among the non-members change: test images that a training image nearly repeats.

The targets' last checkpoints are attacked with all non-members, and without those of
conf/groups/cifar10_near_duplicates.csv. `python -m benchmarks.near_duplicates [--data DATA]` reads
DATA/score, DATA/reference and DATA/prepare, and writes benchmarks/near_duplicates.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.labels import NAMED, SHOWN, TARGETS
from benchmarks.stronger_attacks import chosen_epoch, read_references
from privacy_report.attack import job
from privacy_report.attack.checkpoint import plan
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.references import References
from privacy_report.attack.signals import Examples, negative_loss, pool
from privacy_report.attack.slices import load_excluded
from privacy_report.audits.attacks import audit_params
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.outputs import read_outputs

EXCLUDED = Path("conf/groups/cifar10_near_duplicates.csv")
ATTACKS = ("threshold", "rmia")
TOP = 10
"""Non-members with the highest scores: so many decide at 0.1% FPR."""


def scores_of(name: str, examples: Examples) -> np.ndarray:
    """Scores (n,) of one of ATTACKS."""
    if name == "threshold":
        return negative_loss(examples)
    assert isinstance(examples.references, References)
    return rmia(examples.phi, examples.references)


def measured(data: Path, variant: str, excluded: tuple[int, ...]) -> dict[str, Any]:
    """Attack -> its numbers with all non-members and without the excluded rows, and who scores highest."""
    files, _ = read_references(data, variant)
    path = max((data / "score" / variant).glob("epoch_*.npz"))
    epoch = int(path.stem.removeprefix("epoch_"))
    examples = pool(read_outputs(path))
    examples = replace(examples, references=files.at(chosen_epoch(files, epoch)))
    params = audit_params(ATTACKS, ["entire"])
    results: dict[str, Any] = {"epoch": epoch}
    for name in ATTACKS:
        rows = [
            job.of_examples(examples, plan(name, params, None, some), False).rows[0]
            for some in ((), excluded)
        ]
        nonmembers = scores_of(name, examples)[~examples.is_member]
        top = np.argsort(-nonmembers, kind="stable")[:TOP]
        results[name] = {
            key: {column: row[column] for column in ("n_nonmember", *SHOWN, *NAMED)}
            for key, row in zip(("all", "without"), rows, strict=True)
        } | {"top_excluded": int(np.isin(top, excluded).sum())}
    return results


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    nonmember = np.load(args.data / "prepare/nonmember.npy")
    rows = tuple(np.flatnonzero(np.isin(nonmember, load_excluded(EXCLUDED))).tolist())
    with threadpool_limits(1):
        targets = {variant: measured(args.data, variant, rows) for variant in TARGETS}
    write_json(args.out, {"excluded": len(rows), "top": TOP, "targets": targets})
    print(targets)


if __name__ == "__main__":
    run(main)
