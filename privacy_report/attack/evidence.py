"""What an attacker holds next to a checkpoint's outputs: its early checkpoints, and reference models.

Which of them are used is decided without a look at any label of the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack import signals
from privacy_report.attack.reference_checks import choose_epochs, nearest
from privacy_report.attack.references import References, TooFewError
from privacy_report.errors import UserError
from privacy_report.pipeline.outputs import read_outputs

MOST_EARLY = 4
"""Early checkpoints used at most: later ones have memorised what they are compared with."""
TRAINS = "trains.npy"


def early_epochs(epochs: Sequence[int], epoch: int) -> list[int]:
    """The early checkpoints that stand in for references at `epoch`: the first half of those before it, at
    most four, at least one where there is any. A rule fixed without labels.
    """
    before = sorted(other for other in epochs if other < epoch)
    return before[: max(1, min(MOST_EARLY, len(before) // 2))]


def early_phi(files: Sequence[Path]) -> np.ndarray:
    """Logit-scaled confidences float32 (k, n) of score files, members first."""
    return np.stack([signals.pool(read_outputs(file)).phi.astype(np.float32) for file in files])


@dataclass(frozen=True)
class ReferenceFiles:
    """What stage reference wrote for a variant: who trained on whom, and phi by epoch.

    phi files: float32 (models, n) by epoch; trains: the file of bool (models, n), members first.
    """

    trains: Path
    phi: dict[int, Path]

    def memberships(self) -> np.ndarray:
        """Bool (models, n): which reference trained on which example."""
        return np.load(self.trains, allow_pickle=False)

    def at(self, epoch: int) -> References:
        """The references as they were after `epoch` epochs. UserError where one of them diverged."""
        return References(np.load(self.phi[epoch], allow_pickle=False), self.memberships())

    def nearest(self, epoch: int) -> int:
        """The references' epoch that stands for a target at `epoch` (`reference_checks.nearest`)."""
        return nearest(self.phi, epoch)

    def chosen(self) -> dict[str, np.ndarray]:
        """`nearest`: the references' epochs; `chosen`: those from which a target at each is attacked.

        By `choose_epochs`; the nearest where there are too few references to attack each other.
        """
        try:
            found = choose_epochs(_Loaded(self.phi), self.memberships(), self.phi)
        except TooFewError:
            found = {epoch: epoch for epoch in self.phi}
        return {"nearest": np.array(list(found)), "chosen": np.array(list(found.values()))}


@dataclass(frozen=True)
class _Loaded(Mapping[int, np.ndarray]):
    """The arrays of files by epoch, each read when it is asked for."""

    files: Mapping[int, Path]

    def __getitem__(self, epoch: int) -> np.ndarray:
        return np.load(self.files[epoch], allow_pickle=False)

    def __iter__(self) -> Iterator[int]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def reference_files(folder: Path) -> ReferenceFiles | None:
    """The files in a folder of stage reference; None where no references were trained."""
    trains = folder / TRAINS
    if not trains.is_file():
        raise UserError(f"{trains}: no such file; `dvc repro reference@{folder.name}` makes it")
    phi = {int(path.stem.removeprefix("phi_")): path for path in sorted(folder.glob("phi_*.npy"))}
    return ReferenceFiles(trains, phi) if phi else None
