"""Persons: the rows of one person are scored together, and statistics count persons instead of rows.

Rows of one person are alike, so that statistics which take them for independent find leaks where there are
none. What is said of rows next to persons has an interval that is clustered by person.
"""

from __future__ import annotations

import numpy as np

from privacy_report.attack.intervals import PRIOR, interval_of_auc, placements
from privacy_report.attack.roc import Roc, auc, sorted_roc
from privacy_report.pipeline.measured import MAX, MEAN, Row

NOTE = "rows of persons: the interval is clustered by person"
LOPSIDED = "rows of persons: few persons have most of them, so there is no interval"
FEWEST = 20
"""Persons a side, at least, as many as they are worth (`effective`): no interval of rows holds below."""


def by_person(
    at: np.ndarray, scores: np.ndarray, heads: np.ndarray, person_score: str
) -> tuple[np.ndarray, np.ndarray]:
    """One score for each person: the heads int (m,) of those scored, and their scores (m,), descending.

    at: int (n,), positions of rows, and scores float (n,), descending; heads: int, for each position that of
    the first row of its person (`signals.Examples.heads`); person_score: one of PERSON_SCORES.
    """
    unique_heads, person = np.unique(heads[at], return_inverse=True)
    together = combined(scores, person, person_score)
    order = np.argsort(-together)
    return unique_heads[order], together[order]


def combined(scores: np.ndarray, person: np.ndarray, person_score: str) -> np.ndarray:
    """What `person_score`, one of PERSON_SCORES, makes of the scores of each person's rows, (..., m).

    scores: float (..., n) of rows; person: int (n,), whose row each is, of 0 to m - 1, each with a row.
    """
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    rows = scores[..., order]
    if person_score == MAX:
        return np.maximum.reduceat(rows, starts, axis=-1)
    sums = np.add.reduceat(rows, starts, axis=-1, dtype=np.float64)
    return sums / np.bincount(person) if person_score == MEAN else sums


def mean(values: np.ndarray, persons: np.ndarray) -> float:
    """The mean over persons int (n,) of the mean of each one's values (n,)."""
    _, person = np.unique(persons, return_inverse=True)
    return float((np.bincount(person, weights=values) / np.bincount(person)).mean())


def of_rows(scores: np.ndarray, is_member: np.ndarray, persons: np.ndarray) -> Row:
    """The AUC of rows, with an interval that is clustered by person: auc, auc_low, auc_high and note.

    scores float (n,), descending, with both sides present; persons int (n,), each on one side. Without an
    interval where some side is worth fewer than FEWEST persons.
    """
    curve = sorted_roc(scores, is_member)
    pairs = min(effective(persons[is_member == side]) for side in (True, False))
    if pairs < FEWEST:
        return {"auc": auc(curve), "auc_low": None, "auc_high": None, "note": LOPSIDED}
    low, high = interval_of_auc(curve, clustered_variance(curve, is_member, persons, PRIOR), pairs)
    return {"auc": auc(curve), "auc_low": low, "auc_high": high, "note": NOTE}


def effective(persons: np.ndarray) -> float:
    """How many persons with equally many rows persons int (n,) are worth: n^2 / sum n_i^2 (Kish 1965)."""
    sizes = np.unique(persons, return_counts=True)[1]
    return float(len(persons) ** 2 / np.dot(sizes, sizes))


def clustered_variance(curve: Roc, is_member: np.ndarray, persons: np.ndarray, prior: float = 0.0) -> float:
    """Variance of the AUC of rows that belong to persons (Obuchowski 1997).

    curve: of the rows in the order of is_member bool (n,) and persons int (n,), scores descending. DeLong's
    placements, summed within each person, who is on one side only, so that the sides do not covary. Where
    each person has one row this is `intervals.delong_variance`. `prior` is as there: so many persons, each
    credited with AUC (1 - AUC) / 3 times the ratio of the variance of persons to that of rows. Persons count
    as `effective` has them: with some who have many more rows than others, fewer decide.
    """
    group = np.repeat(np.arange(len(curve.thresholds)), np.diff(curve.tp) + np.diff(curve.fp))
    value = auc(curve)
    variance = 0.0
    for side, placed in zip((True, False), placements(curve), strict=True):
        _, person = np.unique(persons[is_member == side], return_inverse=True)
        apart = placed[group[is_member == side]] - value
        sums = np.bincount(person, weights=apart)
        n, of_one = effective(person), np.dot(apart, apart) / len(apart)
        freedom = n - 1 + prior
        if freedom <= 0:
            return np.inf
        squares = (n / len(apart)) ** 2 * np.dot(sums, sums)
        ratio = squares / n / of_one if of_one else 1.0
        variance += (squares + prior * value * (1.0 - value) / 3 * ratio) / freedom / n
    return float(variance)
