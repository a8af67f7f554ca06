"""What catches a private trainer that is broken? Eleven faults, and the sound trainer, on digits.

Each run claims epsilon 1 and has both kinds of canaries at once, 1,000 mislabelled examples and 5,000
gradients. A fault is caught by the self-check, when a corrected p-value is below its level (training then
goes on here, to see the rest); by gradient canaries, or by the black-box audit of the mislabelled ones, when
the bound of epsilon by Steinke's theorem is above the claim. The one that assumes a Gaussian trade-off curve
is next to it.

`python -m benchmarks.broken_trainer` writes benchmarks/broken_trainer.json, run by run; runs that are there
already are not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.faults import FAULTS, fault
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
from privacy_report.training.data import of_variant
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.private_arrays import COINS, P_VALUES, SCORES
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.target import trainer_of

SEEDS, SOUND_SEEDS = 3, 10
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
    found, member = digits.load(), np.arange(1_700, dtype=np.int32)
    rest = np.arange(1_700, len(found.labels), dtype=np.int32)
    prepared = Prepared(found.images, found.labels, member, rest, {"n_classes": len(found.class_names)})
    return world(prepared, drawn(prepared, CanaryParams(MISLABELLED, seed=seed)))


def audited(seed: int, name: str | None, config: Variant = CONFIG) -> dict[str, Any]:
    """One run of a trainer with a fault, or of the sound one, and what catches it."""
    assert config.canaries is not None
    found = examples(seed)
    config = replace(config, seed=seed, canaries=replace(config.canaries, seed=seed))
    job = replace(job_of("digits", config, NOWHERE), config=config)
    with fault(name), mock.patch.object(self_check, "LEVEL", 0.0):
        trainer = trainer_of(job, of_variant(found.everyone), found.absent)
        for epoch in range(1, config.epochs + 1):
            state = trainer.run(epoch)
    arrays, claimed = trainer.regime.regime.arrays(), float(state["history/epsilon"])  # type: ignore[attr-defined]
    logits = trainer.predict(found.everyone.images, found.canary).astype(np.float64)
    outputs = Examples(logits, found.everyone.labels[found.canary], found.is_member)
    bounds = (one_run(arrays[SCORES], arrays[COINS], DELTA), audit_coins(outputs, DELTA))
    return {
        "seed": seed,
        "claimed": claimed,
        "val_accuracy": float(state["history/val_accuracy"]),
        "self-check": failed(arrays[P_VALUES]),
        **{kind: asdict(bound) for kind, bound in zip(AUDITS, bounds, strict=True)},
    }


def failed(p: np.ndarray) -> dict[str, Any] | None:
    """The first epoch that fails a check, and the checks that it fails; None where none does."""
    bad = np.nan_to_num(p, nan=1.0) < self_check.LEVEL
    if not bad.any():
        return None
    epoch = int(np.argmax(bad.any(axis=1)))
    return {"epoch": epoch + 1, "checks": [self_check.CHECKS[i] for i in np.flatnonzero(bad[epoch])]}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="runs of each fault")
    parser.add_argument("--sound-seeds", type=int, default=SOUND_SEEDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results: dict[str, list[dict[str, Any]]] = read_json(args.out) if args.out.exists() else {}
    for name in (SOUND, *FAULTS):
        runs = results.setdefault(name, [])
        for seed in range(len(runs), args.sound_seeds if name == SOUND else args.seeds):
            runs.append(audited(seed, None if name == SOUND else name))
            write_json(args.out, results)
            print(name, runs[-1], flush=True)


if __name__ == "__main__":
    run(main)
