"""Stage score: the logits of every member and non-member at each checkpoint of one variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from privacy_report.datasets import canaries
from privacy_report.errors import UserError
from privacy_report.pipeline.command import run, track, variant_named
from privacy_report.pipeline.contract import CANARIES
from privacy_report.pipeline.digests import Arrays, file_digest
from privacy_report.pipeline.files import empty_folder, read_arrays, write_arrays
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.pipeline.tables import read_rows
from privacy_report.training.announce import announce
from privacy_report.training.plan import Scores, scores, source_of
from privacy_report.training.schema import Variant

INPUTS, OUTPUTS = Path("data/train"), Path("data/score")
ROUNDED = 0.002
"""By how much a validation accuracy may differ between training and scoring, for rounding."""


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "score",
        "Run each checkpoint data/train/VARIANT/epoch_NNNN.npz over all members and non-members. "
        "Writes data/score/VARIANT/epoch_NNNN.npz with member_logits, member_labels, nonmember_logits, "
        "nonmember_labels: the file format of `privacy-report audit`. If the variant has more queries, there "
        "are also member_query_phi and nonmember_query_phi. Canaries are apart, in "
        "data/score/VARIANT/canaries/epoch_NNNN.npz, where those that are in are the members.",
    )
    announce(f"score@{name}")

    def inputs() -> tuple[dict[Path, str], Scores]:
        files, config = _checkpoints(INPUTS / name), load(f"variants.{name}", Variant)
        planned = scores(config.model, source_of(name), config.queries)
        return {file: file_digest(file) for file in files}, planned

    with exclusive(f"score@{name}", inputs) as (checkpoints, planned):
        kept, parts = Memo(f"score@{name}"), {"": False}
        if len(canaries.read(canaries.path_of(name)).index):
            parts[CANARIES] = True
        empty_folder(OUTPUTS / name)
        accuracies = {row["epoch"]: row["val_accuracy"] for row in read_rows(INPUTS / name / "history.csv")}
        for file in track(checkpoints, len(checkpoints), f"score@{name}: checkpoints"):
            state = read_arrays(file)
            for folder, of_canaries in parts.items():
                arrays = planned.of(kept, state, str(file), of_canaries)
                if not of_canaries:
                    _check(file, arrays, accuracies[float(file.stem.removeprefix("epoch_"))])
                write_arrays(OUTPUTS / name / folder / file.name, arrays)
        kept.close()


def _check(file: Path, arrays: Arrays, accuracy: float) -> None:
    """UserError where these outputs are not of the model whose validation accuracy training has noted.

    That is a model with something random that its weights do not have: each time it is built it is another.
    """
    labels = arrays["nonmember_labels"]
    found = float(np.mean(arrays["nonmember_logits"].argmax(axis=1) == labels))
    if abs(found - accuracy) > ROUNDED + 1 / len(labels):
        raise UserError(
            f"{file}: has a validation accuracy of {found:.4f}, and had {accuracy:.4f} in training; what a "
            "model draws at random must be a weight of one of its layers"
        )


def _checkpoints(source: Path) -> list[Path]:
    """All checkpoints of a variant; UserError when there are none."""
    files = sorted(source.glob("epoch_*.npz"))
    if not files:
        name = source.name
        raise UserError(
            f"{source}: no checkpoints; `dvc repro train@{name}` makes them, if {name!r} is a variant"
        )
    return files


if __name__ == "__main__":
    run(checked(main))
