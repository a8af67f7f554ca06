"""The outputs of a target model on members and non-members: the file between score and attack.

Somebody else's model is audited from the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.mapped import map_arrays

LARGEST = 1e100
"""Differences of logits whose squares are still finite, and so all that attacks compute of them."""


@dataclass(frozen=True)
class Logarithms:
    """Logarithms of probabilities (n, n_classes), taken where they are read.

    Zeros are floored at the smallest normal number of their type.
    """

    probs: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.probs.shape

    @property
    def ndim(self) -> int:
        return self.probs.ndim

    @property
    def dtype(self) -> np.dtype:
        return self.probs.dtype

    @property
    def base(self) -> np.ndarray:
        return self.probs

    def __getitem__(self, span: slice, /) -> np.ndarray:
        return np.log(np.maximum(self.probs[span], np.finfo(self.dtype).tiny))


@dataclass(frozen=True)
class Outputs:
    """What a target model says about its members and its non-members.

    `*_logits` are float arrays (n, n_classes), in memory or mapped; `*_labels` are integer arrays (n,) in
    [0, n_classes). Where a file has `*_probs` instead (an audit of somebody's model), their logarithms stand
    in for logits: softmax gives the same probabilities back. `*_query_phi`, of both sides or of none: float
    (queries - 1, n), the logit-scaled confidences of what else was asked next to the example itself.
    Raises UserError that names `source` for wrong shapes, NaN, labels out of range or an empty side.
    """

    member_logits: np.ndarray | Logarithms
    member_labels: np.ndarray
    nonmember_logits: np.ndarray | Logarithms
    nonmember_labels: np.ndarray
    source: str = "outputs"
    member_query_phi: np.ndarray | None = None
    nonmember_query_phi: np.ndarray | None = None

    def __post_init__(self) -> None:
        for side in ("member", "nonmember"):
            logits = getattr(self, f"{side}_logits")
            logits = logits if isinstance(logits, Logarithms) else np.asarray(logits)
            labels = np.asarray(getattr(self, f"{side}_labels"))
            self._check(side, logits, labels)
            object.__setattr__(self, f"{side}_logits", logits)
            object.__setattr__(self, f"{side}_labels", labels.astype(np.int64))
        n_member, n_nonmember = self.member_logits.shape[1], self.nonmember_logits.shape[1]
        if n_member != n_nonmember:
            self._refuse(f"member_logits have {n_member} classes and nonmember_logits {n_nonmember}")
        self._check_queries()

    @property
    def queries(self) -> int:
        """How many there are of each example, the example itself included."""
        return 1 if self.member_query_phi is None else 1 + len(self.member_query_phi)

    def _check_queries(self) -> None:
        arrays = [getattr(self, name) for name in QUERY_ARRAYS]
        if all(array is None for array in arrays):
            return
        counts = []
        for name, array in zip(QUERY_ARRAYS, arrays, strict=True):
            n = len(getattr(self, name.replace("query_phi", "labels")))
            if array is None or array.ndim != 2 or array.shape[1] != n or not np.isfinite(array).all():
                got = "none" if array is None else f"{array.dtype} {array.shape}"
                self._refuse(f"{name} must be finite floats of shape (queries - 1, {n}), got {got}")
            counts.append(len(array))
        if len(set(counts)) > 1:
            self._refuse(f"{' and '.join(QUERY_ARRAYS)} have {' and '.join(map(str, counts))} queries")

    def _refuse(self, why: str) -> None:
        raise UserError(f"{self.source}: {why}")

    def _check(self, side: str, logits: np.ndarray | Logarithms, labels: np.ndarray) -> None:
        if logits.ndim != 2 or logits.shape[1] < 2 or not np.issubdtype(logits.dtype, np.floating):
            self._refuse(
                f"{side}_logits must be floats of shape (n, n_classes), n_classes >= 2, "
                f"got {logits.dtype} {logits.shape}"
            )
        if not logits.shape[0]:
            self._refuse(f"{side}_logits are empty: both members and non-members are needed")
        if not np.issubdtype(labels.dtype, np.integer) or labels.shape != logits.shape[:1]:
            self._refuse(
                f"{side}_labels must be integers of shape ({logits.shape[0]},), "
                f"got {labels.dtype} {labels.shape}"
            )
        if bad := sum(_count_unsound(block) for _, block in blocks(logits)):
            self._refuse(
                f"{side}_logits hold NaN, infinity or differences above {LARGEST} "
                f"in {bad} of {logits.shape[0]} rows"
            )
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            self._refuse(
                f"{side}_labels must lie in 0..{logits.shape[1] - 1}, got {labels.min()}..{labels.max()}"
            )

    @property
    def n_classes(self) -> int:
        return self.member_logits.shape[1]


OUTPUT_ARRAYS = ("member_logits", "member_labels", "nonmember_logits", "nonmember_labels")
QUERY_ARRAYS = ("member_query_phi", "nonmember_query_phi")


def output_arrays(outputs: Outputs) -> dict[str, np.ndarray]:
    """The four arrays of a score file, labels as int32; six where more than the examples was asked."""
    arrays = {name: getattr(outputs, name) for name in OUTPUT_ARRAYS}
    arrays |= {name: arrays[name].astype(np.int32) for name in ("member_labels", "nonmember_labels")}
    return arrays | {name: array for name in QUERY_ARRAYS if (array := getattr(outputs, name)) is not None}


def read_outputs(path: Path | str) -> Outputs:
    """Read a score file, its logits block by block; UserError when it is damaged, incomplete or impossible.

    path: an .npz, or a folder of .npy files; see `mapped.map_arrays`.
    """
    arrays = map_arrays(path)
    return outputs_of(arrays, path, [name for name in QUERY_ARRAYS if name in arrays])


def outputs_of(arrays: Mapping[str, np.ndarray], path: Path | str, more: Iterable[str] = ()) -> Outputs:
    """The outputs among a score file's arrays; UserError that names `path` as `read_outputs`.

    more: those of QUERY_ARRAYS to take, too. Somebody's own audit takes none.
    """
    with_logits: dict[str, np.ndarray | Logarithms] = dict(arrays)
    for side in ("member", "nonmember"):
        logits, probs = f"{side}_logits", f"{side}_probs"
        if (logits in arrays) == (probs in arrays):
            raise UserError(f"{path}: needs exactly one of {logits} and {probs}, has {sorted(arrays)}")
        if f"{side}_labels" not in arrays:
            raise UserError(f"{path}: lacks {side}_labels, has {sorted(arrays)}")
        if probs in arrays:
            _check_probabilities(arrays[probs], probs, path)
            with_logits[logits] = Logarithms(arrays[probs])
    names = (*OUTPUT_ARRAYS, *more)
    return Outputs(**{name: with_logits[name] for name in names}, source=str(path))  # type: ignore[arg-type]


def _check_probabilities(probs: np.ndarray, name: str, path: Path | str) -> None:
    """UserError for what is no array of probabilities, each row summing to 1."""
    if probs.ndim != 2 or not np.issubdtype(probs.dtype, np.floating):
        raise UserError(
            f"{path}: {name} must be floats of shape (n, n_classes), got {probs.dtype} {probs.shape}"
        )
    for _, block in blocks(probs):
        sums = block.sum(axis=1)
        if not (np.isfinite(block).all() and (block >= 0).all() and np.allclose(sums, 1, atol=1e-3)):
            raise UserError(f"{path}: {name} must be probabilities: each at least 0, each row summing to 1")


def _count_unsound(logits: np.ndarray) -> int:
    """Rows that hold NaN, infinity or differences that are too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.ptp(logits.astype(np.float64), axis=1) <= LARGEST  # false for NaN and infinity
    return int(np.count_nonzero(~sound))
