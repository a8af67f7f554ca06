"""An epoch of `cnn2` on CIFAR-10 from the memory-mapped file, as stage train runs it, and from memory.

The two in turn, each in a process of its own that trains three epochs, of which the last two count.
`python -m benchmarks.mapped_epoch` prints JSON: medians of seconds, and their ratio.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import numpy as np

from benchmarks.codelab import PREPARED, ROOT, clock, trainer_of
from privacy_report.pipeline.component import Component
from privacy_report.training.data import Data

MODES = {"mapped": "r", "memory": None}
ROUNDS = 3


def epochs(way: str) -> list[float]:
    """Seconds of two epochs, after a first one that warms up."""
    from privacy_report.training.schema import SMALL_CNN, Variant

    names = ("images", "labels", "member", "nonmember")
    arrays = [np.load(PREPARED / f"{name}.npy", mmap_mode=MODES[way]) for name in names]
    trainer = trainer_of("cnn2", Variant("cnn2", Component(SMALL_CNN)), Data(*arrays, n_classes=10))
    return [clock(lambda number=number: trainer.run(number)) for number in (1, 2, 3)][1:]


def main() -> None:
    if sys.argv[1:]:
        print(json.dumps(epochs(sys.argv[1])))
        return
    seconds: dict[str, list[float]] = {way: [] for way in MODES}
    for _ in range(ROUNDS):
        for way, times in seconds.items():
            command = [sys.executable, "-m", "benchmarks.mapped_epoch", way]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            times += json.loads(done.stdout.splitlines()[-1])
    medians = {way: statistics.median(times) for way, times in seconds.items()}
    print(json.dumps(medians | {"ratio": medians["mapped"] / medians["memory"]}, indent=2))


if __name__ == "__main__":
    main()
