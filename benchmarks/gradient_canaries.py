"""What gradient canaries show without any model: what the committed `cnn3_dp_gradient` is held against.

5,000 canaries own one coordinate each and are in by a fair coin. In each of 3,000 steps a canary that is in
is drawn with probability 0.01 and adds 1 to its coordinate; all coordinates get noise, of the standard
deviation that epsilon 8 needs or of a part of it. The score takes the noise for what is claimed.

`python -m benchmarks.gradient_canaries` writes benchmarks/gradient_canaries.json, ten runs a factor.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack.one_run import one_run
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.training.accounting import noise_for

M, STEPS, Q, EPSILON, DELTA = 5_000, 3_000, 0.01, 8.0, 1e-5
FACTORS = (1.0, 0.9, 0.7, 0.5)
"""The noise's standard deviation over the claimed one."""
SEEDS = 10


def scores(sigma: float, factor: float, seed: int, m: int = M) -> tuple[np.ndarray, np.ndarray]:
    """Scores float (m,) by the likelihood ratio under `sigma`, and coins bool (m,)."""
    rng = np.random.default_rng([seed, round(100 * factor)])
    coins, score = rng.random(m) < 0.5, np.zeros(m)
    for _ in range(STEPS):
        x = (rng.random(m) < Q) * coins + factor * sigma * rng.standard_normal(m)
        score += np.log(1 - Q + Q * np.exp((x - 0.5) / sigma**2))
    return score, coins


def measure() -> dict[str, Any]:
    """Factor -> the bounds of each run, by Steinke's theorem and with a Gaussian trade-off curve."""
    sigma = noise_for(EPSILON, Q, STEPS, DELTA)
    found: dict[str, Any] = {"noise_multiplier": sigma, "canaries": M, "steps": STEPS, "runs": {}}
    for factor in FACTORS:
        audits = [one_run(*scores(sigma, factor, seed), DELTA) for seed in range(SEEDS)]
        found["runs"][f"{factor:g}"] = {
            "epsilon_one_run": [audit.epsilon_one_run for audit in audits],
            "epsilon_one_run_fdp": [audit.epsilon_one_run_fdp for audit in audits],
        }
        print(factor, found["runs"][f"{factor:g}"], flush=True)
    return found


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    write_json(parser.parse_args(argv).out, measure())


if __name__ == "__main__":
    run(main)
