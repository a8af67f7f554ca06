"""A 95% lower bound of epsilon that stays valid although the best threshold was searched for.

A mechanism that is (epsilon, delta)-differentially private has TPR <= exp(epsilon) FPR + delta and
TNR <= exp(epsilon) FNR + delta at every threshold (Kairouz et al. 2015). One part of the examples selects the
threshold and the ratio, the other part bounds that one ratio (Clopper-Pearson, half of the error to
each rate; Jagielski et al. 2020).

These are statements about many runs, and here is one. The bound counts its examples as if each were a run
of its own: it assumes that membership is exchangeable (who is a member was drawn without regard to the
examples, and the mechanism treats them alike) and that examples fall above the threshold independently. So it
is an audit at 95%, no proof. Where it goes wrong is known: delta allows a mechanism to give many members away
at once in a few runs, and such a run looks like a large epsilon. `check_delta` refuses the deltas at which
that matters.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from privacy_report.attack.intervals import lower_rate, upper_rate
from privacy_report.attack.roc import Roc, sorted_roc
from privacy_report.errors import refuse
from privacy_report.pipeline.measured import LEVEL

CANDIDATES = 48
GIVEN_AWAY = 0.5
"""Members that delta lets a mechanism give away outright, in the mean over runs, at most."""


def check_delta(delta: float, n_member: int) -> None:
    """UserError where `delta` is too large for one run on `n_member` members: above GIVEN_AWAY / n_member.

    A (0, delta)-private mechanism may give L members away at once in delta n_member / L of its runs. Then
    the bound exceeds 0 once L is large enough to be seen, ever more of them as delta grows. Simulated for
    the worst L: at delta n_member = 0.5 this is 0.4% of runs with 50,000 members and 10,000 non-members,
    1.3% with 1,000 of each, 4% with 300 and 5,000; at delta = 0.001 and 50,000 members 25%.
    """
    largest = GIVEN_AWAY / n_member
    if delta > largest * (1 + 1e-9):
        raise refuse("attack.delta", delta, f"at most {largest:.2g} ({GIVEN_AWAY:g} / {n_member} members)")


class TailCounts(NamedTuple):
    """Counts at a threshold that other examples chose: `top` of `of_top` against `bottom` of `of_bottom`.

    Members above the threshold against non-members above it, or non-members below against members below.
    """

    top: int
    of_top: int
    bottom: int
    of_bottom: int


NOTHING = TailCounts(0, 1, 0, 1)
"""Bounds epsilon by 0."""


def tail_counts(scores: np.ndarray, is_member: np.ndarray, selects: np.ndarray, delta: float) -> TailCounts:
    """The counts that bound epsilon at `delta` (and at any smaller one).

    `scores` descend; `selects` bool (n,) says which examples select the threshold, drawn without
    looking at the scores. NOTHING when a part lacks a side.
    """
    for mask in (selects, ~selects):
        if not 0 < is_member[mask].sum() < mask.sum():
            return NOTHING
    curve = sorted_roc(scores[selects], is_member[selects])
    index, member_above = _best(curve, delta)
    threshold = curve.thresholds[index - 1] if index else np.inf
    measured = sorted_roc(scores[~selects], is_member[~selects])
    at = np.searchsorted(-measured.thresholds, -threshold, side="right")
    m, n, tp, fp = measured.n_member, measured.n_nonmember, int(measured.tp[at]), int(measured.fp[at])
    return TailCounts(tp, m, fp, n) if member_above else TailCounts(n - fp, n, m - tp, m)


def epsilon_low(counts: TailCounts, delta: float, level: float = LEVEL) -> float:
    """Lower bound of epsilon at `delta` with confidence 1 - level, at least 0."""
    return max(0.0, float(_log_ratio(*counts, delta, level)))


def _log_ratio(top, of_top, bottom, of_bottom, delta: float, level: float) -> np.ndarray:
    """Lower bounds of log((top / of_top - delta) / (bottom / of_bottom)); half of the error to each rate."""
    high, low = upper_rate(bottom, of_bottom, level / 2), lower_rate(top, of_top, level / 2)
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(low - delta, 0.0)) - np.log(high)


def _best(curve: Roc, delta: float) -> tuple[int, bool]:
    """The point of the curve with the largest bound, and which of the two ratios it bounds."""
    few_fp = np.searchsorted(curve.fp, _counts(curve.n_nonmember), side="right") - 1
    few_fn = np.searchsorted(curve.tp, curve.n_member - _counts(curve.n_member), side="left")
    options = []
    for at, member_above in ((few_fp, True), (few_fn, False)):
        m, n, tp, fp = curve.n_member, curve.n_nonmember, curve.tp[at], curve.fp[at]
        counts = (tp, m, fp, n) if member_above else (n - fp, n, m - tp, m)
        bounds = _log_ratio(*counts, delta, LEVEL)
        best = int(np.argmax(bounds))
        options.append((float(bounds[best]), int(at[best]), member_above))
    _, index, member_above = max(options, key=lambda option: option[0])
    return index, member_above


@cache
def _counts(n: int) -> np.ndarray:
    """Counts from 0 to n, dense where small."""
    return np.unique(np.concatenate([[0], np.geomspace(1, n, CANDIDATES).round().astype(int)]))
