"""A lower bound of epsilon from one training run with coin-flipped canaries, which a theorem covers.

Each of m canaries is in the training set by a fair coin of its own; nothing else in the run knows the coins.
The auditor guesses r of them, the r/2 highest scores in and the r/2 lowest out, and v guesses are right. No
(epsilon, delta)-private training lets v be large but with small probability (Steinke, Nasr & Jagielski 2023,
arXiv 2305.08846), however much the examples of the run depend on each other. r must be fixed in advance: the
best of several r is no bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from privacy_report.errors import UserError
from privacy_report.pipeline.contract import LEVEL
from privacy_report.pipeline.params import refuse

LEAST = 10
"""Canaries that an audit takes at least."""
OF_GUESSES = 5
"""One canary of so many is guessed, unless told otherwise."""
UNFAIR = 1e-6
"""Coins as uneven as that, by their binomial p-value, are no fair coins: a fixed split, as like as not."""
HALVINGS = 60
"""Of an interval of epsilons, which leave nothing that a float could tell."""


@dataclass(frozen=True)
class OneRun:
    """What one run says: counts, delta, and the bounds of epsilon at it, each with 95% confidence.

    epsilon_one_run: by Steinke et al., without assumption; epsilon_one_run_fdp: assuming a Gaussian trade-off
    curve, None at delta 0, where no such curve has a finite epsilon; epsilon_ceiling: what epsilon_one_run
    would be, were all guesses right.
    """

    canaries: int
    guesses: int
    correct: int
    delta: float
    epsilon_one_run: float
    epsilon_one_run_fdp: float | None
    epsilon_ceiling: float


def one_run(scores: np.ndarray, is_member: np.ndarray, delta: float, guesses: int | None = None) -> OneRun:
    """The audit of one run: `scores` float (m,), higher = more likely in, against the coins bool (m,).

    The order of the canaries, by which ties are broken, must not come from the coins. guesses: r, a fifth of
    the canaries unless given. UserError for other shapes, NaN, fewer than LEAST canaries, coins that are not
    fair, and an impossible r or delta.
    """
    scores, is_member = np.asarray(scores), np.asarray(is_member)
    if scores.ndim != 1 or scores.dtype.kind not in "fiu" or is_member.dtype != bool:
        raise UserError(
            f"canaries: got scores {scores.dtype} {scores.shape} and memberships {is_member.dtype} "
            f"{is_member.shape}, allowed: float (m,) and bool (m,)"
        )
    if scores.shape != is_member.shape or len(scores) < LEAST:
        raise UserError(
            f"canaries: got {len(scores)} scores and memberships of shape {is_member.shape}, "
            f"allowed: as many of both, at least {LEAST}"
        )
    if bad := int(np.isnan(scores).sum()):
        raise UserError(f"canary scores: got NaN for {bad} of {len(scores)}, allowed: numbers")
    m, inside = len(scores), int(is_member.sum())
    if stats.binomtest(inside, m).pvalue < UNFAIR:
        raise UserError(f"canaries: got {inside} in and {m - inside} out, allowed: by a fair coin each")
    r = m // OF_GUESSES if guesses is None else guesses
    if not 0 <= delta < 1:
        raise refuse("delta", delta, "0 <= delta < 1")
    if not 1 <= r <= m:
        raise refuse("guesses", r, f"1 to {m}, the canaries")
    v = correct_guesses(scores, is_member, r)
    fdp = epsilon_gaussian(m, r, v, delta) if delta else None
    return OneRun(m, r, v, float(delta), epsilon_low(m, r, v, delta), fdp, epsilon_low(m, r, r, delta))


def correct_guesses(scores: np.ndarray, is_member: np.ndarray, r: int) -> int:
    """How many of r guesses are right: the highest scores in, the lowest out, ties by position.

    An odd r has one guess more of "in".
    """
    order = np.argsort(scores, kind="stable")
    out, inside = order[: r // 2], order[len(order) - (r - r // 2) :]
    return int(np.count_nonzero(is_member[inside]) + np.count_nonzero(~is_member[out]))


def epsilon_low(m: int, r: int, v: int, delta: float, level: float = LEVEL) -> float:
    """Lower bound of epsilon at `delta` with confidence 1 - level, at least 0, from v right of r guesses.

    The largest epsilon that `p_value` refutes; whatever is private with a smaller one is so with this one.
    """
    return _largest(lambda epsilon: p_value(m, r, v, epsilon, delta) <= level, math.log(r) + 5)


def p_value(m: int, r: int, v: int, epsilon: float, delta: float) -> float:
    """At most this is the chance of v or more right guesses of r, if training is (epsilon, delta)-private.

    Source: Steinke, Nasr & Jagielski 2023 (arXiv 2305.08846).
    """
    q = 1 / (1 + math.exp(-epsilon))
    beta = float(stats.binom.sf(v - 1, r, q))
    if not delta or not v:
        return beta
    steps = np.arange(1, v + 1)
    alpha = float(np.max((stats.binom.sf(v - steps - 1, r, q) - beta) / steps))
    return min(1.0, beta + 2 * m * delta * alpha)


def epsilon_gaussian(m: int, r: int, v: int, delta: float, level: float = LEVEL) -> float:
    """Lower bound of epsilon at `delta` > 0, if the trade-off curve of training is a Gaussian's, at least 0.

    The largest mu that is refuted, as an epsilon. Source: Mahloujifar, Melis & Chaudhuri 2024
    (arXiv 2410.22235).
    """
    mu = _largest(lambda mu: _refutes_gaussian(mu, m, r, v, level), 2 * math.log(r) + 10)
    return epsilon_of_gaussian(mu, delta)


def _refutes_gaussian(mu: float, m: int, r: int, v: int, level: float) -> bool:
    """Whether v right guesses refute mu-Gaussian privacy: the recursion over i right guesses, down from v."""
    right, wrong = level * v / m, level * (r - v) / m
    for i in range(v - 1, -1, -1):
        more = max(wrong, float(special.ndtr(special.ndtri(right) - mu)))
        right += i / (r - i) * (more - wrong)
        wrong = more
    return right + wrong > r / m


def epsilon_of_gaussian(mu: float, delta: float) -> float:
    """The epsilon at `delta` > 0 of mu-Gaussian differential privacy (Dong, Roth & Su 2022)."""
    if mu == 0:
        return 0.0

    def delta_at(epsilon: float) -> float:
        second = math.exp(epsilon + special.log_ndtr(-epsilon / mu - mu / 2))
        return float(special.ndtr(-epsilon / mu + mu / 2)) - second

    return _largest(lambda epsilon: delta_at(epsilon) > delta, mu * mu / 2 + 40 * mu)


def _largest(holds: Callable[[float], bool], high: float) -> float:
    """The largest number of [0, high] up to which a condition holds, by halving; 0 where it never does."""
    if not holds(0.0):
        return 0.0
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
