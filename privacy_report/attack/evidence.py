"""What an attacker holds next to a checkpoint's outputs: its early checkpoints, and reference models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack import signals
from privacy_report.attack.queries import models_asked_once, models_combined
from privacy_report.attack.references import References
from privacy_report.errors import UserError
from privacy_report.pipeline.outputs import read_outputs

TRAINS = "trains.npy"


def early_phi(files: Sequence[Path], every_query: bool = True) -> np.ndarray:
    """Logit-scaled confidences float32 (k, n) of score files, members first; of all queries or of one."""
    pooled = (signals.pool(read_outputs(file)) for file in files)
    return np.stack(
        [(examples if every_query else examples.asked_once).phi.astype(np.float32) for examples in pooled]
    )


@dataclass(frozen=True)
class ReferenceFiles:
    """What stage reference wrote for a variant: who trained on whom, and phi by epoch.

    phi files: float32 (models, n), or (models, queries, n), by epoch; trains: the file of bool (models, n),
    members first.
    """

    trains: Path
    phi: dict[int, Path]

    def memberships(self) -> np.ndarray:
        """Bool (models, n): which reference trained on which example."""
        return np.load(self.trains, "r", allow_pickle=False)

    def at(self, epoch: int, every_query: bool = True) -> References:
        """The references as they were after `epoch` epochs, as all queries or one show them.

        UserError where one of them diverged.
        """
        phi = np.load(self.phi[epoch], "r", allow_pickle=False)
        return References(models_combined(phi) if every_query else models_asked_once(phi), self.memberships())


def reference_files(folder: Path) -> ReferenceFiles | None:
    """The files in a folder of stage reference; None where no references were trained."""
    trains = folder / TRAINS
    if not trains.is_file():
        raise UserError(f"{trains}: no such file; `dvc repro reference@{folder.name}` makes it")
    phi = {int(path.stem.removeprefix("phi_")): path for path in sorted(folder.glob("phi_*.npy"))}
    return ReferenceFiles(trains, phi) if phi else None


def nearest(epochs: Iterable[int], target: int) -> int:
    """The epoch that stands for a target's: the nearest, of two the earlier."""
    return min(epochs, key=lambda epoch: (abs(epoch - target), epoch))
