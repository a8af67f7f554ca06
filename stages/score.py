"""Stage score: the logits of every member and non-member at each checkpoint of one variant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privacy_report.datasets import prepared
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run, track
from privacy_report.pipeline.component import Component
from privacy_report.pipeline.files import empty_folder, read_arrays, write_arrays
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Arrays, Memo
from privacy_report.pipeline.params import load
from privacy_report.training import device
from privacy_report.training.run import score_inputs, score_key
from privacy_report.training.schema import BackendParams

INPUTS, OUTPUTS = Path("data/train"), Path("data/score")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.score",
        description="Run each checkpoint data/train/VARIANT/epoch_NNNN.npz over all members and non-members. "
        "Writes data/score/VARIANT/epoch_NNNN.npz with member_logits, member_labels, nonmember_logits, "
        "nonmember_labels: the file format of `privacy-report audit`.",
    )
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    name = parser.parse_args(argv).variant
    print(f"score@{name}: {device.use(load('backend', BackendParams).device)}", flush=True)

    def inputs() -> tuple[dict[Path, str], Component, dict[str, Any]]:
        files, model = _checkpoints(INPUTS / name), load(f"variants.{name}.model", Component)
        key = score_inputs(model, prepared.files_digest())
        return {file: memo.file_digest(file) for file in files}, model, key

    with exclusive(f"score@{name}", inputs) as (checkpoints, model, key):
        kept, scorer = Memo(f"score@{name}"), None
        empty_folder(OUTPUTS / name)
        for file in track(checkpoints, len(checkpoints), f"score@{name}: checkpoints"):
            state = read_arrays(file)

            def score(state: Arrays = state, file: Path = file) -> Arrays:
                nonlocal scorer
                scorer = scorer or _scorer(model)
                return scorer.score(state, str(file))

            write_arrays(OUTPUTS / name / file.name, kept.recall("score", score_key(key, state), score))
        kept.close()


def _checkpoints(source: Path) -> list[Path]:
    """All checkpoints of a variant; UserError when there are none."""
    found = sorted(source.glob("epoch_*.npz"))
    if not found:
        name = source.name
        raise UserError(
            f"{source}: no checkpoints; `dvc repro train@{name}` makes them, if {name!r} is a variant"
        )
    return found


def _scorer(model: Component):
    """TensorFlow is imported only when there is work."""
    from privacy_report.training.scoring import Scorer

    return Scorer(model, prepared.read())


if __name__ == "__main__":
    run(main)
