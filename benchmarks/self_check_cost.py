"""What the self-check and 5,000 gradient canaries cost: a private epoch as a ratio to one without either.

Three ways through the same epochs, in turn, in one process: without anybody watching, with the self-check,
and with gradient canaries next to it. The model and the settings are those of cnn3_dp, on random images of
CIFAR-10's size. One step in every fifth epoch is recomputed; that is timed alone and a fifth of it added.
Ratios, of each round, are of CPU time, which other work on the machine moves little, and of wall time.

`python -m benchmarks.self_check_cost` prints the seconds and ratios, and writes them with `--out`.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.datasets.canary_params import CanaryParams
from privacy_report.pipeline.command import run
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import write_json
from privacy_report.training import epochs, models, objective, optimizers, private_gradient, watch
from privacy_report.training.backend import tf
from privacy_report.training.private import Private
from privacy_report.training.schema import SMALL_CNN, Privacy, Variant

SHAPE, CLASSES, N = (32, 32, 3), 10, 50_000
PLAIN, CHECKED, CANARIES = "neither", "self-check", "self-check and 5,000 gradient canaries"
KINDS = ("cpu", "wall")
CONFIG = Variant(
    label="as cnn3_dp",
    model=Component(SMALL_CNN, {"num_conv": 3, "activation": "tanh"}),
    batch_size=500,
    learning_rate=0.002,
    privacy=Privacy(noise_multiplier=0.6855),
)


class Unwatched(Private):
    """Private training as it is without self-check."""

    def gradient(self, model: Any, loss: objective.Loss) -> epochs.Gradient:
        clip = self.privacy.l2_norm_clip
        return private_gradient.gradient(model, clip, self.noise_multiplier, self.batch_size, loss=loss)

    def applied(self, gradients: Sequence[tf.Tensor]) -> None:
        pass


def ways() -> dict[str, Private]:
    """Way of training -> its regime."""
    twin = replace(CONFIG, canaries=CanaryParams(5_000, "gradient"))
    return {
        PLAIN: Unwatched("v", CONFIG, N),
        CHECKED: Private("v", CONFIG, N),
        CANARIES: Private("v", twin, N),
    }


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of CPU, and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def measure(rounds: int, steps: int) -> dict[str, Any]:
    """Medians over rounds of the seconds of `steps` steps by each way, and of their ratios, with ranges."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N, *SHAPE), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, N).astype(np.int32)
    regimes, runners = ways(), {}
    for name, regime in regimes.items():
        model = models.build(CONFIG.model, SHAPE, CLASSES, 0)
        regime.steps = steps
        gradient, optimizer = regime.gradient(model, objective.cross_entropy), optimizers.build(CONFIG)
        runners[name] = epochs.epoch_runner(
            model, optimizer, images, labels, np.arange(N), gradient, regime.applied
        )
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runners}
    recomputed = (math.nan, math.nan)
    for epoch in range(1, rounds + 2):
        for name, runner in runners.items():
            rows, sizes, seeds = regimes[name].batches(epoch)
            batches = epochs.Batches(rows[:steps], sizes[:steps], seeds[:steps])
            took = timed(partial(runner, batches))
            if epoch > 1:  # the first traces the graph
                seconds[name].append(took)
            elif name == CHECKED:
                seen = regimes[name]._watch
                assert seen is not None
                seen.seen()  # traces its graph
                recomputed = timed(seen.seen)
        print(epoch, {name: so_far[-1] for name, so_far in seconds.items() if so_far}, flush=True)
    share = steps * CONFIG.batch_size / N / watch.EVERY  # of a recomputed step is that of the timed steps
    results: dict[str, Any] = {
        "rounds": rounds,
        "steps": steps,
        "recomputed_step": dict(zip(KINDS, recomputed, strict=True)),
    }
    for name in runners:
        more = 0.0 if name == PLAIN else share
        results[name] = {}
        for i, kind in enumerate(KINDS):
            times = [spent[i] + more * recomputed[i] for spent in seconds[name]]
            ratios = [total / plain[i] for total, plain in zip(times, seconds[PLAIN], strict=True)]
            results[name] |= {kind: statistics.median(times), f"{kind}_ratio": statistics.median(ratios)}
            results[name][f"{kind}_ratios"] = [min(ratios), max(ratios)]
    return results


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=20, help="of each timed epoch")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    results = measure(args.rounds, args.steps)
    print(results)
    if args.out:
        write_json(args.out, results)


if __name__ == "__main__":
    run(main)
