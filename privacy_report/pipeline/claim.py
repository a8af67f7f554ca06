"""What a private variant claims, and what the claim does not cover: data/train/VARIANT/claim.json."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_json, write_json

FOLDER = Path("data/train")


@dataclass(frozen=True)
class Claim:
    """(epsilon, delta)-differential privacy of all weights of a run, and so of each checkpoint.

    mechanism: in words; epsilon, delta: of the `steps` steps up to `epoch`, the last that anybody compares,
    not of the one that is chosen; compared: the epochs of the checkpoints; noise_multiplier: the noise's
    standard deviation over `l2_norm_clip`; sampling_probability: of an example, in each step; not_covered:
    what the claim says nothing about, a phrase each. Raises UserError for what is no guarantee.
    """

    mechanism: str
    epsilon: float
    delta: float
    epoch: int
    compared: tuple[int, ...]
    noise_multiplier: float
    l2_norm_clip: float
    sampling_probability: float
    steps: int
    not_covered: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "compared", tuple(self.compared))  # JSON has lists
        object.__setattr__(self, "not_covered", tuple(self.not_covered))
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0 and 0 < self.delta < 1):
            raise UserError(f"claim: got epsilon {self.epsilon} at delta {self.delta}, which is no guarantee")
        if not self.compared or self.compared[-1] > self.epoch:
            raise UserError(f"claim: got epochs {self.compared}, allowed: some, none after {self.epoch}")

    def in_words(self) -> str:
        """The claim in one phrase, with the settings that it follows from."""
        return (
            f"epsilon {self.epsilon:.2f} at delta {self.delta:g} up to epoch {self.epoch}, whichever of "
            f"{len(self.compared)} checkpoints is chosen ({self.mechanism}; noise multiplier "
            f"{self.noise_multiplier:.4g}, clipping norm {self.l2_norm_clip:g}, {self.steps} steps that draw "
            f"each example with probability {self.sampling_probability:.4g})"
        )


def path_of(variant: str, folder: Path | str = FOLDER) -> Path:
    """The file of a variant's claim."""
    return Path(folder, variant, "claim.json")


def write(path: Path, claim: Claim | None) -> None:
    """Write a claim, or null where nothing is claimed."""
    write_json(path, asdict(claim) if claim else None)


def read(path: Path) -> Claim | None:
    """What `write` has written. UserError of one line where it is missing or damaged."""
    try:
        fields = read_json(path)
        return None if fields is None else Claim(**fields)
    except (FileNotFoundError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, UserError) else "missing or damaged"
        raise UserError(f"{path}: {reason}; `dvc repro train@{path.parent.name}` writes it") from None
