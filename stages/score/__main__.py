"""Stage score: the logits of every member and non-member at each checkpoint of one variant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages import store
from stages.artefacts import empty_folder, output_arrays, write_arrays
from stages.cli import run, track
from stages.errors import UserError

PREPARED = Path("data/prepare")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.score",
        description="Run each checkpoint data/train/VARIANT/epoch_NNNN.npz over all members and non-members. "
        "Writes data/score/VARIANT/epoch_NNNN.npz with member_logits, member_labels, nonmember_logits, "
        "nonmember_labels: the file format of `python -m stages.audit`.",
    )
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    name = parser.parse_args(argv).variant
    source, target = Path("data/train", name), Path("data/score", name)
    _checkpoints(source)  # a wrong name is refused before anybody waits for a lock
    with store.exclusive("score", name):
        checkpoints = _checkpoints(source)
        empty_folder(target)
        base = score_inputs(name)
        scorer = None
        for checkpoint in track(checkpoints, len(checkpoints), f"score@{name}: checkpoints"):
            key = store.digest(base | {"checkpoint": store.file_digest(checkpoint)})
            arrays = store.get("score", key)
            if arrays is None:
                with store.timed(f"score@{name}", resumed=checkpoint != checkpoints[0]):
                    scorer = scorer or _scorer()
                    arrays = output_arrays(scorer.score(checkpoint))
                store.put("score", key, arrays)
            write_arrays(target / checkpoint.name, arrays)


def _checkpoints(source: Path) -> list[Path]:
    """All checkpoints of a variant; UserError when there are none."""
    found = sorted(source.glob("epoch_*.npz"))
    if not found:
        name = source.name
        raise UserError(
            f"{source}: no checkpoints; `dvc repro train@{name}` makes them, if {name!r} is a variant"
        )
    return found


def score_inputs(name: str) -> dict[str, Any]:
    """What every score of a variant depends on, beside its checkpoint; the others do not matter."""
    return store.inputs("score", name, without_deps=[f"data/train/{name}"])


def _scorer():
    """TensorFlow is imported only when there is work, and first by the module that sets it up."""
    from stages import backend  # noqa: F401
    from stages.score.outputs import Scorer

    images = np.load(PREPARED / "images.npy", mmap_mode="r")
    return Scorer(images, *(np.load(PREPARED / f"{name}.npy") for name in ("labels", "member", "nonmember")))


if __name__ == "__main__":
    run(main)
