"""Which early checkpoints and which epoch of the references an attack uses: without a label of the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack.evidence import ReferenceFiles
from privacy_report.attack.queries import models_combined
from privacy_report.attack.reference_checks import choose_epochs
from privacy_report.attack.references import TooFewError
from privacy_report.pipeline.digests import Arrays

MOST_EARLY = 4
"""Early checkpoints used at most: later ones have memorised what they are compared with."""


def early_epochs(epochs: Sequence[int], epoch: int) -> list[int]:
    """The early checkpoints that stand in for references at `epoch`: the first half of those before it, at
    most four, at least one where there is any. A rule fixed without labels.
    """
    before = sorted(other for other in epochs if other < epoch)
    return before[: max(1, min(MOST_EARLY, len(before) // 2))]


def chosen(files: ReferenceFiles) -> Arrays:
    """`nearest`: the references' epochs; `chosen`: those from which a target at each is attacked.

    By `choose_epochs`; the nearest where there are too few references to attack each other.
    """
    try:
        chosen_epochs = choose_epochs(_Loaded(files.phi), files.memberships(), files.phi)
    except TooFewError:
        chosen_epochs = {epoch: epoch for epoch in files.phi}
    return {"nearest": np.array(list(chosen_epochs)), "chosen": np.array(list(chosen_epochs.values()))}


@dataclass(frozen=True)
class _Loaded(Mapping[int, np.ndarray]):
    """The arrays of files by epoch, each read when it is asked for."""

    files: Mapping[int, Path]

    def __getitem__(self, epoch: int) -> np.ndarray:
        return models_combined(np.load(self.files[epoch], allow_pickle=False))

    def __iter__(self) -> Iterator[int]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)
