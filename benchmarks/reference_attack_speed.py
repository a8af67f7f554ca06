"""Seconds of the attacks with reference models on one checkpoint: ours next to a loop over the examples.

The loop is the published procedure of LiRA (Carlini et al. 2022, algorithm 1) as libraries write it down:
for each example the mean and the standard deviation of its IN and of its OUT confidences, and the difference
of two normal log densities. Random confidences: the cost does not depend on them. Ours is timed on
float32 confidences as they come from disk, its checks and each example's means included, on one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from privacy_report.attack.reference_scores import REFERENCE_SCORES
from privacy_report.attack.references import References
from privacy_report.training.memberships import halves

REFERENCES = (8, 64)
LEAST_SPREAD = 1e-30


def loop(target_phi: np.ndarray, phi: np.ndarray, is_member: np.ndarray) -> np.ndarray:
    """LiRA with a mean and a spread an example, one example after the other, float (n,)."""
    scores = []
    for i in range(len(target_phi)):
        inside, outside = phi[is_member[:, i], i], phi[~is_member[:, i], i]
        log_in = norm.logpdf(target_phi[i], np.mean(inside), np.std(inside) + LEAST_SPREAD)
        log_out = norm.logpdf(target_phi[i], np.mean(outside), np.std(outside) + LEAST_SPREAD)
        scores.append(log_in - log_out)
    return np.array(scores)


def measure(models: int, examples: int) -> dict[str, float]:
    """Way -> seconds, with `models` references of `examples` examples."""
    rng = np.random.default_rng(0)
    phi = rng.normal(3, 2, (models, examples)).astype(np.float32)
    target, is_member = rng.normal(3, 2, examples), halves(examples, models, 0)
    seconds = {}
    started = time.perf_counter()
    loop(target, phi, is_member)
    seconds["loop, lira"] = time.perf_counter() - started
    with threadpool_limits(1):
        for name, score in REFERENCE_SCORES.items():
            started = time.perf_counter()
            score(target, References(phi, is_member))
            seconds[name] = time.perf_counter() - started
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=60_000)
    examples = parser.parse_args().examples
    table = Table(title=f"scores of {examples} examples at one checkpoint")
    for column in ("references", "way", "seconds", "ratio"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for models in REFERENCES:
        seconds = measure(models, examples)
        for way, wall in seconds.items():
            table.add_row(str(models), way, f"{wall:.3f}", f"{seconds['loop, lira'] / wall:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
