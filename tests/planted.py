"""A target, its early checkpoints and reference models in miniature: made-up logits that show membership."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.attack.references import References
from privacy_report.pipeline.files import write_arrays
from privacy_report.pipeline.outputs import Outputs, output_arrays
from privacy_report.training.memberships import halves

CLASSES = 3


@dataclass(frozen=True)
class Planted:
    """Logits of a target's checkpoints and of k references on the same examples, members first.

    checkpoints: epoch -> float32 (n, CLASSES); references: float32 (k, n, CLASSES); trains: bool (k, n).
    """

    n_member: int
    labels: np.ndarray
    checkpoints: dict[int, np.ndarray]
    references: np.ndarray
    trains: np.ndarray

    def outputs(self, epoch: int) -> Outputs:
        """The target's outputs at a checkpoint."""
        logits, m = self.checkpoints[epoch], self.n_member
        return Outputs(logits[:m], self.labels[:m], logits[m:], self.labels[m:])

    def phi(self, logits: np.ndarray) -> np.ndarray:
        """Confidences float32 (k, n) of logits (k, n, CLASSES)."""
        return np.stack([logit_confidence(of_model, self.labels) for of_model in logits]).astype(np.float32)

    @property
    def as_references(self) -> References:
        return References(self.phi(self.references), self.trains)


def planted(
    k: int = 4,
    n_member: int = 60,
    n_nonmember: int = 60,
    gap: float = 2.0,
    noise: float = 0.5,
    fraction: float = 0.5,
) -> Planted:
    """Checkpoints 2, 4 and 6, which know their members ever better, and k references that know theirs.

    An example's hardness is common to all models; the label's logit is higher by `gap` for those trained on.
    """
    n = n_member + n_nonmember
    rng = np.random.default_rng(n)
    labels, hardness = np.arange(n) % CLASSES, rng.normal(1.0, 1.5, (n, CLASSES))
    trains = halves(n, k, 0, fraction) if k else np.zeros((0, n), bool)

    def logits(knows: np.ndarray) -> np.ndarray:
        values = hardness + noise * rng.standard_normal((n, CLASSES))
        values[np.arange(n), labels] += gap * knows
        return values.astype(np.float32)

    is_member = np.arange(n) < n_member
    checkpoints = {epoch: logits(is_member * epoch / 6) for epoch in (2, 4, 6)}
    references = np.array([logits(row) for row in trains]).reshape(k, n, CLASSES)
    return Planted(n_member, labels, checkpoints, references, trains)


def write_target(world: Planted, variant: str = "cnn2") -> None:
    """What stage attack reads of a target in the working folder: score files, and who the members are."""
    Path("data/prepare").mkdir(parents=True, exist_ok=True)
    np.save("data/prepare/member.npy", np.arange(world.n_member, dtype=np.int32))
    write_arrays(f"data/canaries/{variant}.npz", {"index": np.empty(0, np.int32)})
    for epoch in world.checkpoints:
        write_arrays(f"data/score/{variant}/epoch_{epoch:04}.npz", output_arrays(world.outputs(epoch)))


def write_references(folder: Path, trains: np.ndarray, phis: Mapping[int, np.ndarray]) -> Path:
    """What stage reference writes to `folder`: memberships, and confidences by epoch. The folder."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "trains.npy", trains)
    for epoch, phi in phis.items():
        np.save(folder / f"phi_{epoch:04}.npy", phi)
    return folder
