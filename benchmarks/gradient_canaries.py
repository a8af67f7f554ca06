"""What gradient canaries show without any model: what those of trained models are held against.

5,000 canaries own one coordinate each and are in by a fair coin. In each of 3,000 steps a canary that is in
is drawn with probability 0.01 and adds 1 to its coordinate; all coordinates get noise, of the standard
deviation that epsilon 8 needs or of a part of it. The score takes the noise for what is claimed. The
committed `cnn3_dp_gradient` is one run of such a training.

The same on digits, in ten runs without a model and in ten trainings of one: 1,000 canaries, 280 steps,
sampling probability 64 / 898.

`python -m benchmarks.gradient_canaries` writes benchmarks/gradient_canaries.json, ten runs per factor;
`--digits` only the part on digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import broken_trainer
from benchmarks.many_seeds import ManySeeds
from privacy_report.attack.one_run import OneRun, one_run
from privacy_report.datasets import digits
from privacy_report.datasets.canaries import world
from privacy_report.datasets.canary_draw import drawn
from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.datasets.prepared import Prepared
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.training.accounting import noise_for
from privacy_report.training.private_arrays import COINS, SCORES
from privacy_report.training.schema import Privacy

M, STEPS, Q, EPSILON, DELTA = 5_000, 3_000, 0.01, 8.0, 1e-5
FACTORS = (1.0, 0.9, 0.7, 0.5)
"""The noise's standard deviation over the claimed one."""
SEEDS = 10
DIGITS = replace(
    broken_trainer.CONFIG,
    batch_size=64,
    epochs=20,
    privacy=Privacy(target_epsilon=EPSILON, delta=DELTA),
    canaries=CanaryParams(1_000, "gradient"),
)
MEMBERS = 898
BOUNDS = ("epsilon_one_run", "epsilon_one_run_fdp")


def scores(
    sigma: float, factor: float, seed: int, m: int = M, q: float = Q, steps: int = STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Scores float (m,) by the likelihood ratio under `sigma`, and coins bool (m,)."""
    rng = np.random.default_rng([seed, round(100 * factor)])
    coins, score = rng.random(m) < 0.5, np.zeros(m)
    for _ in range(steps):
        x = (rng.random(m) < q) * coins + factor * sigma * rng.standard_normal(m)
        score += np.log(1 - q + q * np.exp((x - 0.5) / sigma**2))
    return score, coins


def bounds(audits: Iterable[OneRun]) -> dict[str, list[float]]:
    """Both bounds of each run, by Steinke's theorem and with a Gaussian trade-off curve."""
    rows = [asdict(audit) for audit in audits]
    return {name: [row[name] for row in rows] for name in BOUNDS}


def measure() -> dict[str, Any]:
    """Factor -> the bounds of each run."""
    sigma = noise_for(EPSILON, Q, STEPS, DELTA)
    results: dict[str, Any] = {"noise_multiplier": sigma, "canaries": M, "steps": STEPS, "runs": {}}
    for factor in FACTORS:
        runs = bounds(one_run(*scores(sigma, factor, seed), DELTA) for seed in range(SEEDS))
        results["runs"][f"{factor:g}"] = runs
        print(factor, runs, flush=True)
    return results


def on_digits() -> dict[str, Any]:
    """The bounds of ten runs without a model and of ten trainings, which have the same noise and sampling."""
    dataset, rows = digits.load(), np.arange(len(digits.load().labels), dtype=np.int32)
    about = {"n_classes": len(dataset.class_names)}
    split = Prepared(dataset.images, dataset.labels, rows[:MEMBERS], rows[MEMBERS:], about)
    everyone = world(split, drawn(split, None))
    trained = ManySeeds(DIGITS, everyone)
    private, canaries = trained.private, trained.canaries
    m, q, sigma, steps = len(canaries.is_member), canaries.q, private.noise_multiplier, private.steps
    steps *= DIGITS.epochs
    states = (trained.run(seed, everyone) for seed in range(SEEDS))
    return {
        "canaries": m,
        "members": MEMBERS,
        "batch_size": DIGITS.batch_size,
        "steps": steps,
        "noise_multiplier": sigma,
        "without a model": bounds(
            one_run(*scores(sigma, 1.0, seed, m, q, steps), DELTA) for seed in range(SEEDS)
        ),
        "trained": bounds(one_run(state[SCORES], state[COINS], DELTA) for state in states),
    }


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--digits", action="store_true", help="only what is on digits")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results = read_json(args.out) if args.digits else measure()
    write_json(args.out, results | {"digits": on_digits()})


if __name__ == "__main__":
    run(main)
