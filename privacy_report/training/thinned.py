"""Epochs of which the store keeps only a rest: the history, and the digest of the state that was dropped."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from privacy_report.errors import UserError
from privacy_report.pipeline import memo, store
from privacy_report.pipeline.memo import Arrays

DROPPED = "dropped"


def is_rest(arrays: Arrays) -> bool:
    """Whether this is what is left of an epoch."""
    return DROPPED in arrays


def digest_of(arrays: Arrays) -> str:
    """The digest of an epoch's arrays, of those that are left as of those that were dropped."""
    return str(arrays[DROPPED]) if is_rest(arrays) else memo.arrays_digest(arrays)


def thin(key: str, arrays: Arrays) -> None:
    """Keep only the rest of an epoch."""
    rest = {name: value for name, value in arrays.items() if name == "epoch" or name.startswith("history/")}
    store.refill("epoch", key, rest | {DROPPED: np.array(memo.arrays_digest(arrays))})


def thin_all(keys: Iterable[str]) -> None:
    """Keep only the rests of epochs."""
    for key in keys:
        entry = store.get("epoch", key)
        if entry is not None and not is_rest(entry.arrays):
            thin(key, entry.arrays)


def again(rest: Arrays, arrays: Arrays, name: str) -> Arrays:
    """The arrays of an epoch that was trained again; UserError where they are not those that were dropped."""
    if memo.arrays_digest(arrays) != digest_of(rest):
        raise UserError(
            f"{name}: the store had dropped it, and it comes out different here (another processor?); "
            "`privacy-report store prune --all` starts anew"
        )
    return arrays
