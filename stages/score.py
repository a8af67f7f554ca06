"""Stage score: the logits of every member and non-member at each checkpoint of one variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privacy_report.datasets import canaries
from privacy_report.datasets.canaries import World
from privacy_report.datasets.prepared import Prepared
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run, track, variant_named
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import empty_folder, read_arrays
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Arrays, Memo
from privacy_report.pipeline.params import load
from privacy_report.training import device
from privacy_report.training.run import score_inputs, score_key

if TYPE_CHECKING:
    from privacy_report.training.scoring import Scorer

INPUTS, OUTPUTS = Path("data/train"), Path("data/score")


def main(argv: Sequence[str]) -> None:
    name = variant_named(
        argv,
        "score",
        "Run each checkpoint data/train/VARIANT/epoch_NNNN.npz over all members and non-members. "
        "Writes data/score/VARIANT/epoch_NNNN.npz with member_logits, member_labels, nonmember_logits, "
        "nonmember_labels: the file format of `privacy-report audit`. Canaries are apart, in "
        "data/score/VARIANT/canaries/epoch_NNNN.npz, those that are in as members.",
    )
    device.announce(f"score@{name}")

    path = canaries.path_of(name)

    def inputs() -> tuple[dict[Path, str], Component, dict[str, Any]]:
        files, model = _checkpoints(INPUTS / name), load(f"variants.{name}.model", Component)
        key = score_inputs(model, canaries.files_digest(path))
        return {file: memo.file_digest(file) for file in files}, model, key

    with exclusive(f"score@{name}", inputs) as (checkpoints, model, key):
        kept, parts = Memo(f"score@{name}"), _parts(model, canaries.read_world(path))
        empty_folder(OUTPUTS / name)
        for file in track(checkpoints, len(checkpoints), f"score@{name}: checkpoints"):
            state = read_arrays(file)
            for folder, part in parts.items():

                def score(state: Arrays = state, file: Path = file, part: _Part = part) -> Arrays:
                    return part.scorer.score(state, str(file))

                own = score_key(key | ({"part": folder} if folder else {}), state)
                kept.save(OUTPUTS / name / folder / file.name, kept.recall("score", own, score))
        kept.close()


@dataclass(frozen=True)
class _Part:
    """Examples that are scored together, and their scorer: it builds a model's graph once."""

    model: Component
    found: Prepared

    @cached_property
    def scorer(self) -> Scorer:
        """TensorFlow is imported only when there is work."""
        from privacy_report.training.scoring import Scorer

        return Scorer(self.model, self.found)


def _parts(model: Component, found: World) -> dict[str, _Part]:
    """Folder below the variant's -> what is scored to it: "" for all but canaries, and these, if any."""
    parts = {"": _Part(model, found.others)}
    if len(found.canary):
        parts["canaries"] = _Part(model, found.coins)
    return parts


def _checkpoints(source: Path) -> list[Path]:
    """All checkpoints of a variant; UserError when there are none."""
    found = sorted(source.glob("epoch_*.npz"))
    if not found:
        name = source.name
        raise UserError(
            f"{source}: no checkpoints; `dvc repro train@{name}` makes them, if {name!r} is a variant"
        )
    return found


if __name__ == "__main__":
    run(main)
