"""Stage train: one variant, all its epochs, a checkpoint each `epochs_per_report`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages import store
from stages.artefacts import empty_folder, read_json, write_arrays, write_json, write_table
from stages.cli import run, track
from stages.params import load
from stages.train.checkpoints import HISTORY
from stages.train.schema import Privacy, Variant

PREPARED = Path("data/prepare")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.train",
        description="Train one variant on the members of data/prepare. Writes to data/train/VARIANT "
        "epoch_NNNN.npz (weights and optimizer) and history.csv, and metrics/train/VARIANT.json. "
        "Finished epochs are taken from the store; a killed run goes on where it stopped.",
    )
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    name = parser.parse_args(argv).variant
    load(f"variants.{name}", Variant)  # what is wrong is refused before anybody waits for a lock
    folder = Path("data/train", name)
    with store.exclusive("train", name):
        config = load(f"variants.{name}", Variant)  # params.yaml may have changed in the meantime
        empty_folder(folder)
        history = []
        for epoch, arrays in track(_epochs(name, config), config.epochs, f"train@{name}: epochs"):
            if epoch in config.checkpoint_epochs:
                write_arrays(folder / f"epoch_{epoch:04}.npz", arrays)
            history.append(
                {"variant": name, "epoch": epoch} | {k: float(arrays[f"history/{k}"]) for k in HISTORY}
            )
        write_table(folder / "history.csv", history, list(history[0]))
        write_json(f"metrics/train/{name}.json", _summary(config, history[-1], arrays))


def _summary(config: Variant, last: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The last epoch's measurements, and what a private run guarantees."""
    summary = {key: value for key, value in last.items() if value == value and key != "variant"}
    summary["parameters"] = sum(value.size for key, value in arrays.items() if key.startswith("weights/"))
    if config.privacy:
        summary |= {"delta": config.privacy.delta, "reproducible": config.privacy.seed == "committed"}
    return summary


def epoch_inputs(name: str, privacy: Privacy | None = None) -> dict[str, Any]:
    """What every epoch of a variant depends on: all of the stage's inputs but the number of epochs.

    Where the noise is solved from a target epsilon, it depends on the number of epochs too.
    """
    solved = privacy is not None and privacy.target_epsilon is not None
    return store.inputs("train", name, without_params=[] if solved else [f"variants.{name}.epochs"])


def _epochs(name: str, config: Variant) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(epoch, its arrays) for each epoch, from the store where it is there, else trained now.

    An epoch's key has a digest of the epoch before it. With secret noise an epoch that was lost comes back
    different; what had been trained from the lost one is no longer the same run, and epsilon counts one run.
    """
    base = epoch_inputs(name, config.privacy)
    trainer, before = None, None
    for epoch in range(1, config.epochs + 1):
        key = store.digest(base | {"epoch": epoch, "before": before and store.arrays_digest(before)})
        arrays = store.get("epoch", key)
        if arrays is None:
            with store.timed(f"train@{name}", resumed=epoch > 1):
                trainer = trainer or _trainer(name, config)
                if before is not None:
                    trainer.restore(before)
                arrays = trainer.run(epoch)
            store.put("epoch", key, arrays)
        yield epoch, arrays
        before = arrays


def _trainer(name: str, config: Variant):
    """TensorFlow is imported only when there is work, and first by the module that sets it up."""
    from stages import backend  # noqa: F401
    from stages.train.trainer import Data, Trainer

    arrays = {key: np.load(PREPARED / f"{key}.npy") for key in ("images", "labels", "member", "nonmember")}
    return Trainer(name, config, Data(**arrays, n_classes=read_json(PREPARED / "dataset.json")["n_classes"]))


if __name__ == "__main__":
    run(main)
