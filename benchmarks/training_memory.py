"""The peak memory of training, by the number of examples that lie on the disk.

For each size a process of its own makes one epoch's batches of `cnn2` from as many images of CIFAR-10's shape
in a memory-mapped file, trains on them, and predicts as many; the number of steps is the same for all.

`python -m benchmarks.training_memory [--folder DIR]` writes benchmarks/training_memory.json. The largest file
takes 6.1 GB of the folder while it runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from privacy_report.pipeline.files import write_json

SIZES = (20_000, 200_000, 2_000_000)
EPOCH = 20_000
"""Examples that are trained on, and predicted, whatever the number on the disk."""
BATCH = 50
BLOCK = 10_000
OUT = Path(__file__).with_suffix(".json")


def images_at(path: Path, n: int) -> None:
    """Write n random images, a block at a time."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (n, 32, 32, 3))
    rng = np.random.default_rng(0)
    for start in range(0, n, BLOCK):
        images[start : start + BLOCK] = rng.integers(0, 256, (BLOCK, 32, 32, 3), np.uint8)
    images.flush()


def train(path: Path) -> dict[str, float]:
    """One epoch and one prediction on images spread over the whole file: peak memory in MB."""
    from privacy_report.pipeline.component import Component
    from privacy_report.training import backend, epochs, models
    from privacy_report.training.schema import SMALL_CNN

    images = np.load(path, mmap_mode="r")
    model = models.build(Component(SMALL_CNN), images.shape[1:], 10, seed=0)
    optimizer = backend.keras.optimizers.Adam(0.001)
    rng = np.random.default_rng(1)
    labels, rows = rng.integers(0, 10, len(images)), rng.choice(len(images), EPOCH, replace=False)
    run = epochs.epoch_runner(model, optimizer, images, labels, rows, epochs.mean_gradient(model))
    steps = EPOCH // BATCH
    order = rng.permutation(EPOCH).astype(np.int32).reshape(steps, BATCH)
    run(epochs.Batches(order, np.full(steps, BATCH, np.int32), rng.integers(0, 2**31, (steps, 2))))
    backend.predictor(model)(images, rows)
    status = Path("/proc/self/status").read_text()  # getrusage's peak has that of the process before exec
    return {"peak_mb": round(int(status.split("VmHWM:")[1].split()[0]) / 1000)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the images are written (default: a temporary one)")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        print(json.dumps(train(args.train)))
        return
    results = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        for n in SIZES:
            images_at(path := Path(folder) / "images.npy", n)
            command = [sys.executable, "-m", "benchmarks.training_memory", "--train", path]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results[str(n)] = json.loads(done.stdout)
            print(n, results[str(n)], flush=True)
    write_json(OUT, results)


if __name__ == "__main__":
    main()
