"""Time the attacks on one checkpoint against the reference procedure, on the same scores in one run.

Threshold and logistic regression on the entire dataset and each class (11 slices at ten classes).
`python benchmarks/attack_speed.py [FILE.npz]`; without a file, Gaussian logits of CIFAR-10's size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from stages.artefacts import Outputs, read_outputs, write_outputs
from stages.attack.checkpoint import attack_checkpoint, attack_examples
from stages.attack.reference import ReferenceExamples
from stages.attack.schema import Attack
from stages.attack.signals import pool
from stages.cli import run

ATTACKS, SLICES = ["threshold", "logistic"], ["entire", "class"]


def synthetic(n_member: int = 50_000, n_nonmember: int = 10_000, n_classes: int = 10) -> Outputs:
    """Gaussian logits in which members' labels stand out a little more."""
    rng = np.random.default_rng(0)
    n = n_member + n_nonmember
    labels, logits = rng.integers(0, n_classes, n), rng.normal(size=(n, n_classes)).astype(np.float32)
    logits[np.arange(n), labels] += 2.0 + (np.arange(n) < n_member)
    return Outputs(logits[:n_member], labels[:n_member], logits[n_member:], labels[n_member:])


def seconds(outputs: Outputs, mode: str) -> float:
    """Wall time of one checkpoint's rows of ATTACKS on SLICES in a mode, on one thread.

    The same work in both modes, so that they compare: no halves, no risk (see `stage_seconds`).
    """
    config = Attack(mode=mode, attacks=ATTACKS, slices=SLICES)
    start = time.perf_counter()
    examples = pool(outputs)
    if mode == "reference":
        examples = ReferenceExamples(examples.logits, examples.labels, examples.is_member)
    with threadpool_limits(1):
        attack_examples(examples, config)
    return time.perf_counter() - start


def stage_seconds(outputs: Outputs) -> float:
    """Wall time of the whole attack on one checkpoint: the rows, both halves' rows and the risk."""
    config = Attack(attacks=ATTACKS, slices=SLICES)
    start = time.perf_counter()
    attack_checkpoint(outputs, config)
    return time.perf_counter() - start


def compare(outputs: Outputs, repeats: int = 3) -> dict[str, float]:
    """Seconds of ours (best of `repeats`) and of the reference procedure (once), and their ratio."""
    ours = min(seconds(outputs, "default") for _ in range(repeats))
    reference = seconds(outputs, "reference")
    return {"ours_seconds": ours, "reference_seconds": reference, "times_faster": reference / ours}


def peak_mib(scores: Path) -> float:
    """Peak resident memory of a fresh process that attacks a score file in the default mode, MiB."""
    command = [sys.executable, str(Path(__file__)), str(scores), "--memory"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "scores", nargs="?", type=Path, help="a score file, e.g. data/score/cnn2/epoch_0050.npz"
    )
    parser.add_argument(
        "--memory", action="store_true", help="only print the peak memory of one attack in MiB"
    )
    args = parser.parse_args(argv)
    outputs = read_outputs(args.scores) if args.scores else synthetic()
    if args.memory:
        seconds(outputs, "default")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    result = compare(outputs)
    scores = args.scores
    if scores is None:
        scores = Path("data/bench/synthetic.npz")
        write_outputs(scores, outputs)
    print(json.dumps(result | {"peak_mib": peak_mib(scores)}, indent=2))


if __name__ == "__main__":
    run(main)
