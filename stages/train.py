"""Stage train: one variant, all its epochs, a checkpoint each `epochs_per_report`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from privacy_report.datasets import prepared
from privacy_report.pipeline import claim
from privacy_report.pipeline.command import run, track, variant_named
from privacy_report.pipeline.contract import HISTORY, HISTORY_COLUMNS
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.files import empty_folder, write_arrays
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.pipeline.tables import write_table
from privacy_report.training.announce import announce
from privacy_report.training.claim import claim_of
from privacy_report.training.declared import check_declared
from privacy_report.training.plan import Target, source_of, target
from privacy_report.training.private_files import write_private
from privacy_report.training.schema import Variant


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "train",
        "Train one variant on the members of data/prepare, without the canaries that are out. "
        "Writes to data/train/VARIANT epoch_NNNN.npz (weights and optimizer), history.csv, which grows with "
        "every epoch, and claim.json, which has what a private variant claims. A private variant also has "
        "privacy_check.json, the results of its self-check, and gradient_canaries.npz if it has such "
        "canaries. Finished epochs are taken from the store, into which stage fit puts them; what it lacks "
        "is trained here.",
    )
    announce(f"train@{name}")

    def inputs() -> tuple[Variant, Target]:
        config = load(f"variants.{name}", Variant)
        check_declared(config)
        return config, target(name, config, source_of(name))

    with exclusive(f"train@{name}", inputs) as (config, planned):
        folder, kept, history = Path("data/train", name), Memo(f"train@{name}"), []
        empty_folder(folder)
        epochs = planned.epochs(kept, config.epochs)
        for epoch, arrays in track(epochs, config.epochs, f"train@{name}: epochs", _says):
            if epoch in config.checkpoint_epochs:
                write_arrays(folder / f"epoch_{epoch:04}.npz", arrays)
            measured = {column: float(arrays[f"history/{column}"]) for column in HISTORY}
            history.append({"variant": name, "epoch": epoch, **measured})
            write_table(folder / "history.csv", history, HISTORY_COLUMNS)  # grows while the run goes on
            if config.privacy:
                write_private(folder, arrays)
        claim.write(folder / "claim.json", claim_of(config, prepared.read().about["n_member"], history))
        kept.close()


def _says(finished: tuple[int, Arrays]) -> str:
    """What the progress line says of an epoch."""
    _, arrays = finished
    said = {"loss": arrays["history/running_loss"], "validation accuracy": arrays["history/val_accuracy"]}
    return ", ".join(f"{name} {value:.3f}" for name, value in said.items() if not math.isnan(value))


if __name__ == "__main__":
    run(checked(main))
