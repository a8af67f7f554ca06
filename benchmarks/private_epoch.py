"""What privacy costs: a private epoch as a ratio to the plain one at the same batch size.

Three ways through the same epoch loop, in turn, in one process: the ordinary mean gradient, our clipped
and noised gradient, and the same by tf.vectorized_map over the whole batch. Random images of CIFAR-10's
size: the cost does not depend on the pixels. All batches have the stated size, so that the work is equal.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from privacy_report.pipeline.component import Component

from privacy_report.training import backend  # isort: skip - sets TensorFlow up before it is imported
import tensorflow as tf

from privacy_report.training import epochs, models, sampling
from privacy_report.training import private_gradient as private
from privacy_report.training.schema import SMALL_CNN

BATCH_SIZES = (50, 250, 500)
SHAPE, CLASSES = (32, 32, 3), 10
CLIP, NOISE = 1.0, 1.0


def vectorized_gradient(model: backend.keras.Model, batch_size: int) -> epochs.Gradient:
    """DP-SGD's gradient the generic way: tf.vectorized_map over single examples."""

    def one(example: tuple[tf.Tensor, tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = model(example[0][None], training=True)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(example[1][None], logits)[0]
        gradients = tape.gradient(loss, model.trainable_variables)
        # not tf.linalg.global_norm, which vectorized_map turns into a loop over the examples
        norm = tf.sqrt(tf.add_n([tf.reduce_sum(gradient * gradient) for gradient in gradients]))
        factor = tf.minimum(1.0, CLIP / norm)
        return [gradient * factor for gradient in gradients], loss, logits[0]

    def gradient(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor):
        clipped, losses, logits = tf.vectorized_map(one, (images, labels))
        noise = private.noise(model.trainable_variables, NOISE * CLIP, seed)
        return (
            [(tf.reduce_sum(a, 0) + b) / batch_size for a, b in zip(clipped, noise, strict=True)],
            losses,
            logits,
        )

    return gradient


def ways(batch_size: int) -> dict[str, Callable[[backend.keras.Model], epochs.Gradient]]:
    """Way of training -> model -> its gradient."""
    return {
        "plain": epochs.mean_gradient,
        "private": lambda model: private.gradient(model, CLIP, NOISE, batch_size),
        "vectorized_map": lambda model: vectorized_gradient(model, batch_size),
    }


def measure(batch_size: int, num_conv: int = 2, examples: int = 5000, rounds: int = 5) -> dict[str, float]:
    """Median seconds of `examples` examples (whole batches of them) by each way, the ways in turn."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (examples, *SHAPE), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, examples).astype(np.int32)
    steps = examples // batch_size
    batches = epochs.Batches(
        rng.permutation(examples)[: steps * batch_size].astype(np.int32).reshape(steps, batch_size),
        np.full(steps, batch_size, np.int32),
        sampling.step_seeds(0, 1, steps),
    )
    model_of = Component(SMALL_CNN, {"num_conv": num_conv})
    runners = {}
    for name, make in ways(batch_size).items():
        model = models.build(model_of, SHAPE, CLASSES, 0)
        optimizer = backend.keras.optimizers.Adam(0.001)
        runners[name] = epochs.epoch_runner(
            model, optimizer, images, labels, np.arange(len(labels)), make(model)
        )
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, run in runners.items():
            started = time.perf_counter()
            run(batches)
            if number:  # the first traces the graph
                seconds[name].append(time.perf_counter() - started)
    return {
        name: statistics.median(values) * examples / (steps * batch_size) for name, values in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument("--num-conv", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the seconds as JSON instead of a table")
    args = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # what vectorized_map says about its own loops
    results = {size: measure(size, args.num_conv, args.examples, args.rounds) for size in BATCH_SIZES}
    if args.json:
        print(json.dumps(results))
        return
    table = Table(title=f"private epoch, {args.num_conv} convolutions, {args.examples} examples")
    for column in ("batch", "plain, s", "private, s", "ratio", "vectorized_map, s", "ratio"):
        table.add_column(column, justify="right")
    for size, row in results.items():
        plain, ours, theirs = row["plain"], row["private"], row["vectorized_map"]
        table.add_row(
            str(size),
            f"{plain:.2f}",
            f"{ours:.2f}",
            f"{ours / plain:.2f}",
            f"{theirs:.2f}",
            f"{theirs / plain:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
