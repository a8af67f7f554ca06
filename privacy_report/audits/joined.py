"""Canaries' scores and coins that carry ids, joined by them: by position any two of a length would fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.audits.labels import plain
from privacy_report.errors import UserError

SCORES, SCORE_ID = "canary_scores", "canary_id"
COINS, COIN_ID = "canary_is_member", "canary_coin_id"
MOST_SHOWN = 3


def joined(arrays: Mapping[str, np.ndarray], path: Path | str) -> Mapping[str, np.ndarray]:
    """The arrays less the canaries' ids, with the coins in the order of the scores; as they are without ids.

    Ids are integers or text (m,): canary_id next to canary_scores, canary_coin_id next to canary_is_member.
    UserError of one line for one array without the others, for ids of another type or shape, ids that come
    twice, and canaries that have only a score or only a coin.
    """
    if not {SCORE_ID, COIN_ID} & arrays.keys():
        return arrays
    if missing := [name for name in (SCORES, SCORE_ID, COINS, COIN_ID) if name not in arrays]:
        raise UserError(
            f"{path}: {SCORE_ID} (next to {SCORES}) and {COIN_ID} (next to {COINS}) go together, "
            f"lacks {missing[0]}"
        )
    wanted, place = (_places(arrays, *names, path) for names in ((SCORE_ID, SCORES), (COIN_ID, COINS)))
    _refuse(f"{path}: {SCORE_ID} has canaries without a coin", wanted.keys() - place.keys())
    _refuse(f"{path}: {COIN_ID} has canaries without a score", place.keys() - wanted.keys())
    order = np.array([place[canary_id] for canary_id in wanted], np.int64)
    kept = {name: values for name, values in arrays.items() if name not in (SCORE_ID, COIN_ID)}
    return kept | {COINS: arrays[COINS][order]}


def _places(arrays: Mapping[str, np.ndarray], name: str, of: str, path: Path | str) -> dict[Any, int]:
    """Each id, in the order of the array, and its place in it."""
    ids = plain(arrays[name], f"{path}: {name}")
    if ids.shape != arrays[of].shape or ids.ndim != 1 or ids.dtype.kind not in "iuU":
        shape = arrays[of].shape
        raise UserError(
            f"{path}: {name} must be integers or text {shape}, as {of}, got {ids.dtype} {ids.shape}"
        )
    places = {canary_id: place for place, canary_id in enumerate(ids.tolist())}
    if len(places) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        _refuse(f"{path}: {name} has canaries more than once", values[counts > 1].tolist())
    return places


def _refuse(what: str, ids: Iterable[Any]) -> None:
    """UserError that names the first of some ids, if there are any."""
    if refused := sorted(ids):
        more = f" and {len(refused) - MOST_SHOWN} more" if len(refused) > MOST_SHOWN else ""
        raise UserError(f"{what}: {', '.join(map(repr, refused[:MOST_SHOWN]))}{more}")
