"""One model on two cores: the gradient of a batch as two shards, summed in a fixed order, next to the whole.

The shards have no edge between them in the graph, so that TensorFlow may run them side by side; their order
in the sum is fixed, so that results do not depend on the number of threads. Each way trains `cnn2` on random
images of CIFAR-10's shape in a process of its own, the ways in turn, with one and with two threads between
operations.
CPU seconds say what the shards cost, and bound what a second core can bring: the wall time of two idle cores
is at least half of them. Wall seconds mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

WAYS = ("whole", "two shards")
STEPS, BATCH = 400, 50


def measure(way: str) -> None:
    """Wall and CPU seconds of an epoch of STEPS batches after a warm one; printed as the last line."""
    import numpy as np

    from privacy_report.training import epochs, models, ordinary
    from privacy_report.training.backend import keras, tf
    from privacy_report.training.schema import Variant

    config = Variant(label="benchmark", batch_size=BATCH)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (STEPS * BATCH, 32, 32, 3)).astype(np.uint8)
    labels = rng.integers(0, 10, len(images))
    model = models.build(config.model, images.shape[1:], 10, 0)
    whole = epochs.mean_gradient(model)

    def sharded(images, labels, seed):
        half = tf.shape(labels)[0] // 2
        parts = [whole(images[:half], labels[:half], seed), whole(images[half:], labels[half:], seed)]
        share = tf.cast(half, tf.float32) / tf.cast(tf.shape(labels)[0], tf.float32)
        gradients = [share * a + (1 - share) * b for a, b in zip(parts[0][0], parts[1][0], strict=True)]
        return gradients, *(tf.concat([parts[0][i], parts[1][i]], 0) for i in (1, 2))

    optimizer = keras.optimizers.Adam(config.learning_rate)
    gradient = sharded if way == WAYS[1] else whole
    train = epochs.epoch_runner(model, optimizer, images, labels, np.arange(len(images)), gradient)
    batches = ordinary.Ordinary("benchmark", config, len(images)).batches(1)
    train(batches)
    cpu, wall = time.process_time(), time.monotonic()
    train(batches)
    print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}))


def seconds(way: str, threads: int) -> dict[str, float]:
    """What `measure` found, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sharded", "--way", way],
        env=os.environ | {"TF_NUM_INTEROP_THREADS": str(threads)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, help="measure one way in this process")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.way:
        measure(args.way)
        return
    places = [(way, threads) for threads in (1, 2) for way in WAYS]
    rounds = [{place: seconds(*place) for place in places} for _ in range(args.rounds)]
    for way, threads in places:
        cpu, wall = (statistics.median(run[way, threads][what] for run in rounds) for what in ("cpu", "wall"))
        print(f"{way}, {threads} threads: {cpu:.2f} CPU s, {wall:.2f} s wall, {STEPS} steps of {BATCH}")


if __name__ == "__main__":
    main()
