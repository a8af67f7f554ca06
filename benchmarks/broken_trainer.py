"""What catches a private trainer that is broken? Eleven faults, and the sound trainer, on digits.

Each run claims epsilon 1 and has both kinds of canaries at once, 1,000 mislabelled examples and 5,000
gradients. A fault is caught by the self-check, when a corrected p-value is below its level (training then
goes on here, to see the rest); by gradient canaries, or by the black-box audit of the mislabelled ones, when
the bound of epsilon by Steinke's theorem is above the claim. The one that assumes a Gaussian trade-off curve
is next to it.

`python -m benchmarks.broken_trainer` writes benchmarks/broken_trainer.json, run by run; runs that are there
already are not made again. One trainer of each kind serves all of its seeds (`many_seeds`).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.faults import FAULTS, fault
from benchmarks.many_seeds import ManySeeds
from privacy_report.attack.canaries import audit_coins
from privacy_report.attack.one_run import one_run
from privacy_report.attack.signals import Examples
from privacy_report.datasets import digits
from privacy_report.datasets.canaries import World, world
from privacy_report.datasets.canary_draw import drawn
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.command import run
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.training import self_check
from privacy_report.training.backend import keras
from privacy_report.training.private_arrays import COINS, P_VALUES, SCORES
from privacy_report.training.schema import Privacy, Variant

SEEDS, SOUND_SEEDS, FIRST = 20, 100, 30
SOUND = "sound"
AUDITS = ("gradient canaries", "black box")
CLAIM, DELTA, MISLABELLED = 1.0, 1e-5, 1_000
CONFIG = Variant(
    label="digits",
    model=Component("benchmarks.broken_trainer.two_layers"),
    batch_size=128,
    learning_rate=0.003,
    epochs=60,
    epochs_per_report=1,
    privacy=Privacy(target_epsilon=CLAIM, delta=DELTA),
    canaries=CanaryParams(5_000, "gradient"),
)


def two_layers(shape: tuple[int, ...], n_classes: int) -> keras.Model:
    """A small model of 9,610 weights on digits, quick to train."""
    layers = keras.layers
    hidden = layers.Dense(128, activation="tanh")
    return keras.Sequential([layers.Input(shape), layers.Flatten(), hidden, layers.Dense(n_classes)])


def examples(seed: int) -> World:
    """The digits, nearly all of them members, with the mislabelled canaries of a seed."""
    dataset, member = digits.load(), np.arange(1_700, dtype=np.int32)
    rest = np.arange(1_700, len(dataset.labels), dtype=np.int32)
    prepared = Prepared(dataset.images, dataset.labels, member, rest, {"n_classes": len(dataset.class_names)})
    return world(prepared, drawn(prepared, CanaryParams(MISLABELLED, seed=seed)))


def audited(
    seed: int, name: str | None, config: Variant = CONFIG, made: dict[str | None, ManySeeds] | None = None
) -> dict[str, Any]:
    """One run of a trainer with a fault, or of the sound one, and what catches it.

    made: the trainers so far, by their faults, to which one that is missing is added.
    """
    planted, made = examples(seed), {} if made is None else made
    with fault(name), mock.patch.object(self_check, "LEVEL", 0.0):
        if name not in made:
            made[name] = ManySeeds(config, planted)
        runs = made[name]
        state = runs.run(seed, planted)
    logits = runs.trainer.predict(planted.everyone.images, planted.canary).astype(np.float64)
    outputs = Examples(logits, planted.everyone.labels[planted.canary], planted.is_member)
    bounds = (one_run(state[SCORES], state[COINS], DELTA), audit_coins(outputs, DELTA))
    return {
        "seed": seed,
        "claimed": float(state["history/epsilon"]),
        "val_accuracy": float(state["history/val_accuracy"]),
        "self-check": failed(state[P_VALUES]),
        **{kind: asdict(bound) for kind, bound in zip(AUDITS, bounds, strict=True)},
    }


def failed(p: np.ndarray) -> dict[str, Any] | None:
    """The first epoch that fails a check, and the checks that it fails; None where none does."""
    bad = np.nan_to_num(p, nan=1.0) < self_check.LEVEL
    if not bad.any():
        return None
    epoch = int(np.argmax(bad.any(axis=1)))
    return {"epoch": epoch + 1, "checks": [self_check.CHECKS[i] for i in np.flatnonzero(bad[epoch])]}


def wanted(seeds: int, sound_seeds: int) -> Iterator[tuple[str, int]]:
    """Which runs to make, in order: the first sound ones, then all faults in turn, then more sound ones."""
    yield from ((SOUND, seed) for seed in range(min(FIRST, sound_seeds)))
    yield from ((name, seed) for seed in range(seeds) for name in FAULTS)
    yield from ((SOUND, seed) for seed in range(FIRST, sound_seeds))


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each fault")
    parser.add_argument("--sound-seeds", type=int, default=SOUND_SEEDS)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of CPU, after which no run begins")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results: dict[str, list[dict[str, Any]]] = read_json(args.out) if args.out.exists() else {}
    made: dict[str | None, ManySeeds] = {}
    for name, seed in wanted(args.seeds, args.sound_seeds):
        runs, start = results.setdefault(name, []), time.process_time()
        if seed < len(runs):
            continue
        if start > 60 * args.minutes:
            break
        runs.append(audited(seed, None if name == SOUND else name, made=made))
        write_json(args.out, results)
        print(f"{name}, {time.process_time() - start:.1f} s of CPU: {runs[-1]}", flush=True)


if __name__ == "__main__":
    run(main)
