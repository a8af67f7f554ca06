"""Does the one-run audit catch a private trainer that is none? On digits, with 1,000 mislabelled canaries.

The broken trainer claims its epsilon, and neither clips nor adds noise; the sound one is the pipeline's own.
Each is trained once a seed, with its own coins, weights and batches, and audited by the losses of the
canaries, at the delta of the claim. A bound above the claim is an alarm.

`python -m benchmarks.broken_trainer` writes benchmarks/broken_trainer.json and prints a line a run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack.canaries import audit_coins
from privacy_report.attack.signals import Examples
from privacy_report.datasets import digits
from privacy_report.datasets.canaries import World, world
from privacy_report.datasets.canary_draw import drawn
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.command import run
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import write_json
from privacy_report.training.data import of_variant
from privacy_report.training.epochs import Gradient, mean_gradient
from privacy_report.training.job import NOWHERE
from privacy_report.training.plan import job_of
from privacy_report.training.private import Private
from privacy_report.training.schema import SMALL_CNN, Privacy, Variant
from privacy_report.training.target import trainer_of

SEEDS = 10
CLAIM, DELTA = 1.0, 1e-5
CONFIG = Variant(
    label="digits",
    model=Component(SMALL_CNN, {"filters": 16, "dense_units": 128}),
    batch_size=128,
    learning_rate=0.003,
    epochs=60,
    epochs_per_report=60,
    privacy=Privacy(target_epsilon=CLAIM, delta=DELTA),
    canaries=CanaryParams(1_000),
)
TRAINERS = {"broken": True, "sound": False}


def without_privacy(self: Private, model: Any) -> Gradient:
    """The gradient of a trainer that forgot to clip and to add noise."""
    return mean_gradient(model)


def examples(seed: int) -> World:
    """The digits, nearly all of them members, with the canaries of a seed."""
    found, member = digits.load(), np.arange(1_700, dtype=np.int32)
    rest = np.arange(1_700, len(found.labels), dtype=np.int32)
    about = {"n_classes": len(found.class_names)}
    assert CONFIG.canaries is not None
    params = replace(CONFIG.canaries, seed=seed)
    prepared = Prepared(found.images, found.labels, member, rest, about)
    return world(prepared, drawn(prepared, params))


def trained(found: World, seed: int, epochs: int) -> tuple[np.ndarray, float]:
    """Logits (m, n_classes) of the canaries after training, and the epsilon that it claims."""
    config = replace(CONFIG, seed=seed, epochs=epochs, epochs_per_report=epochs)
    trainer = trainer_of(job_of("digits", config, NOWHERE), of_variant(found.everyone), found.absent)
    for epoch in range(1, epochs + 1):
        state = trainer.run(epoch)
    return trainer.predict(found.everyone.images, found.canary), float(state["history/epsilon"])


def audited(seed: int, broken: bool, epochs: int = CONFIG.epochs) -> dict[str, Any]:
    """One run of one trainer, and its audit."""
    found, gradient = examples(seed), Private.gradient
    try:
        if broken:
            Private.gradient = without_privacy  # type: ignore[method-assign]
        logits, claimed = trained(found, seed, epochs)
    finally:
        Private.gradient = gradient  # type: ignore[method-assign]
    outputs = Examples(logits.astype(np.float64), found.everyone.labels[found.canary], found.is_member)
    audit = audit_coins(outputs, DELTA)
    caught = bool(audit.epsilon_one_run > claimed)
    return {"seed": seed, "claimed": claimed, "caught": caught, **asdict(audit)}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results: dict[str, list[dict[str, Any]]] = {}
    for name, broken in TRAINERS.items():
        results[name] = []
        for seed in range(args.seeds):
            results[name].append(audited(seed, broken))
            print(name, results[name][-1], flush=True)
    write_json(args.out, results)


if __name__ == "__main__":
    run(main)
