"""The one-sided two-sample Kolmogorov-Smirnov test, by counting the paths that the two samples can take.

Both sides sorted together are a lattice path of m and n steps, and without a difference all paths are equally
likely. The statistic reaches d where the path touches a boundary; the first touch is in one of n columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import linalg, special

EXACT = 100
"""Examples of the smaller side up to which paths are counted exactly, whatever the sizes: 0.1 ms."""
BLOCK = 2**16
"""Columns at a time, so that memory does not grow with the examples."""
TABLE = 2**20

LogFactorial = Callable[[np.ndarray | int], np.ndarray]


def p_value(excess: int, n_member: int, n_nonmember: int) -> float:
    """P(max (TPR - FPR) >= d) when both sides have one distribution and no ties.

    `excess` is d * n_member * n_nonmember, an integer. Exact up to EXACT examples on the smaller side, and
    where one size divides the other; else within 3%, at p-values down to 1e-8 (tests/attack/test_smirnov.py).
    """
    m, n = max(n_member, n_nonmember), min(n_member, n_nonmember)  # the test is the same in both orders
    if excess <= 0:
        return 1.0
    columns = (m * n - excess) // m + 1
    touches = _touches if n <= EXACT else _touches_of_a_line
    probability = 0.0
    for start in range(0, columns, BLOCK):
        column = np.arange(start, min(start + BLOCK, columns))
        row = -(-(excess + m * column) // n)  # as far as the path has to come to touch the boundary
        probability += float(touches(column, row, m, n).sum())
    return min(1.0, probability)


def _touches(column: np.ndarray, row: np.ndarray, m: int, n: int) -> np.ndarray:
    """P(first touch) a column: P(pass a point) is a sum over the first touches before, solved for these."""
    log = _log_factorial(m + n)
    rest = _log_paths(log, m - row, n - column)
    passes = np.exp(_log_paths(log, row, column) + rest - _log_paths(log, m, n))
    rows, columns = (np.maximum(np.subtract.outer(at, at), 0) for at in (row, column))
    passes_after = np.exp(np.minimum(_log_paths(log, rows, columns) + np.subtract.outer(rest, rest), 0.0))
    return linalg.solve_triangular(passes_after, passes, lower=True, check_finite=False)


def _touches_of_a_line(column: np.ndarray, row: np.ndarray, m: int, n: int) -> np.ndarray:
    """P(first touch) a column by the ballot theorem, exact where the boundary passes through the points.

    Of the paths to a point on a line of slope m / n that starts `ahead` of the path's origin, a share of
    ahead / (row + column) touches the line there first (Barbier 1887). Where m / n is no integer, each point
    lies a little off the boundary, and the line through the point itself is taken.
    """
    log = _log_factorial(m + n)
    paths = _log_paths(log, row, column) + _log_paths(log, m - row, n - column) - _log_paths(log, m, n)
    return (row - m * column / n) / (row + column) * np.exp(paths)


def _log_paths(log: LogFactorial, rows: np.ndarray | int, columns: np.ndarray | int) -> np.ndarray:
    """Logarithm of the number of lattice paths of so many steps in both directions."""
    return log(rows + columns) - log(rows) - log(columns)


def _log_factorial(largest: int) -> LogFactorial:
    """k -> log k! for integers up to `largest`; to look them up costs a tenth of computing them."""
    return _table().__getitem__ if largest < TABLE else lambda k: special.gammaln(k + 1.0)


@cache
def _table() -> np.ndarray:
    return special.gammaln(np.arange(TABLE) + 1.0)
