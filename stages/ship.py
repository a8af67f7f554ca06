"""Stage ship: the recommended checkpoint of one variant as a Keras file, and its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privacy_report.datasets import prepared
from privacy_report.gate.card import Shipped, card
from privacy_report.gate.check import read_verdict
from privacy_report.gate.inputs import read_claim
from privacy_report.gate.words import KEEPS
from privacy_report.pipeline.command import run, variant_named
from privacy_report.pipeline.commit import commit
from privacy_report.pipeline.digests import file_digest
from privacy_report.pipeline.files import atomic, empty_folder, read_arrays
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.pipeline.tables import read_rows
from privacy_report.training.announce import announce
from privacy_report.training.schema import Variant

OUTPUTS = Path("models")
NO_GIT = "unknown, no git"


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "ship",
        "Write the checkpoint that the gate recommends to models/VARIANT/VARIANT.keras, which "
        "keras.models.load_model opens without this project, and its card to models/VARIANT/VARIANT.md. "
        "Without a recommendation there is only the card, which says why.",
    )
    announce(f"ship@{name}")

    def inputs() -> tuple[Variant, dict[str, Any]]:
        return load(f"variants.{name}", Variant), read_verdict(name)

    with exclusive(f"ship@{name}", inputs) as (config, verdict):
        empty_folder(OUTPUTS / name)
        epoch, shipped = verdict.get("recommended_epoch"), None
        if epoch is not None and verdict["verdict"] == KEEPS:
            shipped = _ship(name, config, f"{name}/epoch_{epoch:04}.npz")
        about = prepared.read().about
        halves, claim = read_rows(f"data/attack/{name}/halves.csv"), read_claim(name)
        text = card(name, asdict(config), verdict, halves, claim, about, commit() or NO_GIT, shipped)
        with atomic(OUTPUTS / name / f"{name}.md") as file:
            file.write(text.encode())
    print(f"{name}: {shipped.file if shipped else 'no checkpoint is recommended, no file'}", flush=True)


def _ship(name: str, config: Variant, checkpoint: str) -> Shipped:
    """Write the model of a checkpoint, and try it against the checkpoint's scores."""
    from privacy_report.training.shipped import difference, ship  # imports TensorFlow

    examples, path = prepared.read(), OUTPUTS / name / f"{name}.keras"
    ship(path, name, config.model, read_arrays(Path("data/train", checkpoint)), examples)
    tried, furthest = difference(path, config.model, examples, read_arrays(Path("data/score", checkpoint)))
    return Shipped(path.name, file_digest(path), tried, furthest)


if __name__ == "__main__":
    run(checked(main))
