"""The outputs of a target model on members and non-members: the file between score and attack.

Somebody else's model is audited from the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_arrays

LARGEST = 1e100
"""Differences of logits whose squares are still finite, and so all that attacks compute of them."""


@dataclass(frozen=True)
class Outputs:
    """What a target model says about its members and its non-members.

    `*_logits` are float arrays (n, n_classes); `*_labels` are integer arrays (n,) in [0, n_classes).
    Where a file has `*_probs` instead (an audit of somebody's model), their logarithms stand in for
    logits: softmax gives the same probabilities back.
    Raises UserError that names `source` for wrong shapes, NaN, labels out of range or an empty side.
    """

    member_logits: np.ndarray
    member_labels: np.ndarray
    nonmember_logits: np.ndarray
    nonmember_labels: np.ndarray
    source: str = "outputs"

    def __post_init__(self) -> None:
        for side in ("member", "nonmember"):
            logits = np.asarray(getattr(self, f"{side}_logits"))
            labels = np.asarray(getattr(self, f"{side}_labels"))
            self._check(side, logits, labels)
            object.__setattr__(self, f"{side}_logits", logits)
            object.__setattr__(self, f"{side}_labels", labels.astype(np.int64))
        n_member, n_nonmember = self.member_logits.shape[1], self.nonmember_logits.shape[1]
        if n_member != n_nonmember:
            self._refuse(f"member_logits have {n_member} classes and nonmember_logits {n_nonmember}")

    def _refuse(self, why: str) -> None:
        raise UserError(f"{self.source}: {why}")

    def _check(self, side: str, logits: np.ndarray, labels: np.ndarray) -> None:
        if logits.ndim != 2 or logits.shape[1] < 2 or not np.issubdtype(logits.dtype, np.floating):
            self._refuse(
                f"{side}_logits must be floats of shape (n, n_classes), n_classes >= 2, "
                f"got {logits.dtype} {logits.shape}"
            )
        if not len(logits):
            self._refuse(f"{side}_logits are empty: both members and non-members are needed")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != logits.shape[:1]:
            self._refuse(
                f"{side}_labels must be integers of shape ({len(logits)},), got {labels.dtype} {labels.shape}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            sound = np.ptp(logits.astype(np.float64), axis=1) <= LARGEST  # false for NaN and infinity
        if bad := int(np.count_nonzero(~sound)):
            self._refuse(
                f"{side}_logits hold NaN, infinity or differences above {LARGEST} "
                f"in {bad} of {len(logits)} rows"
            )
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            self._refuse(
                f"{side}_labels must lie in 0..{logits.shape[1] - 1}, got {labels.min()}..{labels.max()}"
            )

    @property
    def n_classes(self) -> int:
        return self.member_logits.shape[1]


OUTPUT_ARRAYS = ("member_logits", "member_labels", "nonmember_logits", "nonmember_labels")


def output_arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    """The four arrays of a score file, labels as int32."""
    arrays = {name: getattr(outputs, name) for name in OUTPUT_ARRAYS}
    return arrays | {name: arrays[name].astype(np.int32) for name in ("member_labels", "nonmember_labels")}


def read_outputs(path: Path | str) -> Outputs:
    """Read a score file; UserError when it is damaged, incomplete or holds impossible values."""
    return outputs_of(read_arrays(path), path)


def outputs_of(arrays: Mapping[str, np.ndarray], path: Path | str) -> Outputs:
    """The outputs among a score file's arrays; UserError that names `path` as `read_outputs`."""
    arrays = dict(arrays)
    for side in ("member", "nonmember"):
        logits, probs = f"{side}_logits", f"{side}_probs"
        if (logits in arrays) == (probs in arrays):
            raise UserError(f"{path}: needs exactly one of {logits} and {probs}, has {sorted(arrays)}")
        if f"{side}_labels" not in arrays:
            raise UserError(f"{path}: lacks {side}_labels, has {sorted(arrays)}")
        if probs in arrays:
            arrays[logits] = _log_probabilities(arrays[probs], probs, path)
    return Outputs(**{name: arrays[name] for name in OUTPUT_ARRAYS}, source=str(path))


def _log_probabilities(probs: np.ndarray, name: str, path: Path | str) -> np.ndarray:
    """Logarithms of probabilities, zeros floored at the smallest normal number of their type."""
    if probs.ndim != 2 or not np.issubdtype(probs.dtype, np.floating):
        raise UserError(
            f"{path}: {name} must be floats of shape (n, n_classes), got {probs.dtype} {probs.shape}"
        )
    if not (np.isfinite(probs).all() and (probs >= 0).all() and np.allclose(probs.sum(axis=1), 1, atol=1e-3)):
        raise UserError(f"{path}: {name} must be probabilities: each at least 0, each row summing to 1")
    return np.log(np.maximum(probs, np.finfo(probs.dtype).tiny))
