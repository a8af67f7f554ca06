"""Private models on scattering features: the search that `conf/variant/scatter_dp.yaml` comes from.

The features are computed once, into a temporary folder: they are not learnt. They are rounded to 16 bits
there. The layers behind them are trained by the library's own trainer, as a variant's would be. A trial may
end early: its noise is that of the whole run. It needs data/prepare (`dvc repro prepare`) and 2 GB of disk;
trials that the file has are not run again.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.datasets import prepared
from privacy_report.pipeline.component import Component

from privacy_report.training import backend  # isort: skip - sets TensorFlow up before it is imported
from privacy_report.training import scattering
from privacy_report.training.backend import keras, tf
from privacy_report.training.data import Data, of_variant
from privacy_report.training.private import Private
from privacy_report.training.schema import Privacy, Variant
from privacy_report.training.trainer import Trainer

OUT = Path(__file__).with_name("private_models.csv")
SGD = Component("keras.optimizers.SGD", {"momentum": 0.9})
WHOLE = "privacy_report.training.scattering.scatter_cnn"
HEAD = "benchmarks.private_models.head"
DELTA = 1e-5
IMAGES = (32, 32, 3)


@dataclass(frozen=True)
class Trial:
    """One setting. filters: of `scatter_cnn`, none for a linear model; ends: its last epoch.

    whole: trained as a variant is, from the images on, so that the front runs in every epoch.
    """

    epsilon: float
    learning_rate: float
    angles: int = 4
    filters: tuple[int, ...] = ()
    batch_size: int = 4096
    l2_norm_clip: float = 0.1
    epochs: int = 30
    ends: int = 30
    whole: bool = False

    @property
    def cells(self) -> dict[str, str]:
        return {
            "angles": str(self.angles),
            "filters": " ".join(map(str, self.filters)),
            "batch_size": str(self.batch_size),
            "learning_rate": str(self.learning_rate),
            "l2_norm_clip": str(self.l2_norm_clip),
            "target_epsilon": str(self.epsilon),
            "epochs": str(self.epochs),
            "features": "every epoch" if self.whole else "once",
        }

    @property
    def settings(self) -> dict[str, Any]:
        return {"angles": self.angles, "filters": list(self.filters)}

    @property
    def variant(self) -> Variant:
        return Variant(
            label="Trial",
            model=Component(WHOLE if self.whole else HEAD, self.settings),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            optimizer=SGD,
            epochs=self.epochs,
            epochs_per_report=1,
            privacy=Privacy(l2_norm_clip=self.l2_norm_clip, target_epsilon=self.epsilon, delta=DELTA),
        )


SHORT = Trial(epsilon=3.0, learning_rate=4.0, ends=4)
CHOSEN = [Trial(epsilon=epsilon, learning_rate=8.0, epochs=20, ends=20) for epsilon in (8.0, 3.0, 1.0)]
TRIALS = [
    *(replace(SHORT, learning_rate=rate) for rate in (8.0, 16.0)),
    *(replace(SHORT, filters=(32,), learning_rate=rate) for rate in (4.0, 16.0)),
    *(Trial(epsilon=epsilon, learning_rate=4.0) for epsilon in (8.0, 3.0, 1.0)),
    Trial(epsilon=8.0, learning_rate=16.0, epochs=20, ends=20),
    Trial(epsilon=1.0, learning_rate=8.0, epochs=10, ends=10),
    Trial(epsilon=8.0, learning_rate=8.0),
    *CHOSEN,
    replace(CHOSEN[0], whole=True, ends=2),
    Trial(epsilon=8.0, learning_rate=16.0, filters=(32,), epochs=20, ends=20),
]


def head(shape: tuple[int, ...], n_classes: int, angles: int, filters: list[int]) -> keras.Model:
    """The layers of `scatter_cnn` behind its front, for features of that front."""
    del shape
    whole = scattering.scatter_cnn(IMAGES, n_classes, angles=angles, filters=filters)
    front, *layers = whole.layers
    return keras.Sequential([keras.layers.Input(front.output_shape[1:]), *layers])


def features(data: Data, angles: int, folder: str) -> Data:
    """The same examples by their scattering features, float16 on disk."""
    front = scattering.scattering(data.images.shape[1:], angles=angles)
    run = tf.function(lambda images: front(backend.to_input(images)), reduce_retracing=True)
    shape = (len(data.images), *front.output_shape[1:])
    scattered = np.lib.format.open_memmap(Path(folder, f"{angles}.npy"), "w+", np.float16, shape)
    for start in range(0, len(scattered), backend.PREDICT_BATCH):
        rows = slice(start, start + backend.PREDICT_BATCH)
        scattered[rows] = run(tf.constant(data.images[rows])).numpy()
    return replace(data, images=scattered)


def rows_of(trial: Trial, data: Data) -> Iterator[dict[str, str]]:
    """Train it; a row an epoch."""
    regime = Private("trial", trial.variant, len(data.train))
    trainer = Trainer("trial", trial.variant, data, regime)
    for epoch in range(1, trial.ends + 1):
        started = time.process_time()
        history = trainer.run(epoch)
        yield trial.cells | {
            "noise_multiplier": f"{regime.noise_multiplier:.4f}",
            "epoch": str(epoch),
            "epsilon": f"{history['history/epsilon']:.3f}",
            "val_accuracy": f"{history['history/val_accuracy']:.4f}",
            "cpu_seconds": f"{time.process_time() - started:.1f}",
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prepared", type=Path, default=prepared.FOLDER, help="the folder data/prepare")
    args = parser.parse_args()
    done = list(csv.DictReader(OUT.open())) if OUT.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        images, of_angles = of_variant(prepared.read(args.prepared)), dict[int, Data]()
        for trial in TRIALS:
            wanted = trial.cells | {"epoch": str(trial.ends)}
            if any(wanted.items() <= row.items() for row in done):
                continue
            if not trial.whole and trial.angles not in of_angles:
                of_angles[trial.angles] = features(images, trial.angles, folder)
            rows = []
            for row in rows_of(trial, images if trial.whole else of_angles[trial.angles]):
                print(*row.values(), flush=True)
                rows.append(row)
            done = [row for row in done if not trial.cells.items() <= row.items()] + rows
            with OUT.open("w", newline="") as file:
                writer = csv.DictWriter(file, done[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(done)


if __name__ == "__main__":
    main()
