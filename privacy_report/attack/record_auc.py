"""How exposure is spread over the members: each one's own AUC, and what noise alone would give.

A record's AUC is that of telling, by phi of this record alone, models that trained on it from models that did
not. References measure it; with few of them it is noisy, and some records look exposed by chance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from privacy_report.attack.evidence import ReferenceFiles
from privacy_report.attack.example_exposure import known_spreads
from privacy_report.attack.persons import combined
from privacy_report.attack.references import References, TooFewError
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.measured import MAX

AUCS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
"""At which the curve is taken."""
MOST = 1024
"""Most memberships that are tried, drawn at random. Up to 20 references in pairs have no more."""
BLOCK = 4096
"""Examples at a time."""
TIE = 1e-9
"""Of the spread: a gap that is so little too small reaches an AUC by chance, so that no rounding decides."""


def of_members(
    trains: Path,
    phi: Path,
    n_member: int,
    persons: np.ndarray | None = None,
    person_score: str = MAX,
) -> Arrays:
    """`record_auc` float (m,) and `by_noise` float32 (m, len(AUCS)) of the members, or of their persons.

    trains, phi: files of the references, members first. persons: int (n,), whose row each is; then the arrays
    are of the persons who are members, by their numbers, each with the phi that `person_score` makes of the
    rows'. Nothing where the references are too few for a spread on both sides.
    """
    references = ReferenceFiles(trains, {0: phi}).at(0)
    members = np.arange(n_member)
    if persons is not None:
        everybody = np.unique(persons)
        references = of_persons(references, persons, person_score)
        members = np.flatnonzero(np.isin(everybody, persons[:n_member]))
    try:
        return {"record_auc": record_auc(references)[members], "by_noise": by_noise(references)[members]}
    except TooFewError:
        return {}


def of_persons(references: References, persons: np.ndarray, person_score: str) -> References:
    """The same references on persons instead of rows, by their numbers; all rows of one are IN, or none.

    persons int (n,); person_score: one of PERSON_SCORES, of the rows' phi.
    """
    _, first, person = np.unique(persons, return_index=True, return_inverse=True)
    return References(combined(references.phi, person, person_score), references.is_member[:, first])


def record_auc(references: References) -> np.ndarray:
    """Phi((mu_in - mu_out) / sqrt(s_in^2 + s_out^2)) of each example, float (n,).

    The AUC of normal phi with these means, and with the spreads that all examples share (see `exposure`).
    Below 0.5 where models are less confident of what they trained on. NaN for an example without a reference
    on one side; UserError where no example has two on each.
    """
    gap = references.inside.mean - references.outside.mean
    return ndtr(gap / np.hypot(*known_spreads(references)))


def by_noise(references: References) -> np.ndarray:
    """How likely each example reaches each of AUCS by chance alone, float32 (n, len(AUCS)).

    References draw what they train on without looking. So where nothing of an example depends on who trained
    on it, its memberships could as well be those of any other example. Each example is given the memberships
    of each other, and its chance is the share with which it reaches the AUC. This is a permutation test: no
    distribution of phi is assumed, and an example on which models differ widely has a larger chance. For an
    exposed example the chance is too large, since its gap counts as noise, so the excess over noise is
    understated. UserError as of `record_auc`.
    """
    rows, weights = np.unique(references.is_member.T, axis=0, return_counts=True)
    if len(rows) > MOST:
        some = np.random.default_rng(0).choice(references.n, MOST, replace=False)
        rows, weights = references.is_member.T[some], np.ones(MOST, int)
    sides = rows.sum(axis=1), (~rows).sum(axis=1)
    known = np.minimum(*sides) > 0
    rows, weights = rows[known], weights[known]
    inside, outside = (side[known][:, None] for side in sides)
    contrast = np.where(rows, 1 / inside, -1 / outside)  # (m, k): times phi it is mu_in - mu_out
    needed = (ndtri(AUCS) - TIE) * np.hypot(*known_spreads(references))
    chance = np.empty((references.n, len(AUCS)), np.float32)
    for start in range(0, references.n, BLOCK):
        at = slice(start, start + BLOCK)
        gaps = references.phi[:, at].T.astype(np.float64) @ contrast.T
        for i, gap in enumerate(needed):
            chance[at, i] = (gaps >= gap) @ weights / weights.sum()
    return chance
