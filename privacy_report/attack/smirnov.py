"""The one-sided two-sample Kolmogorov-Smirnov test, by counting the paths that the two samples can take.

Both sides sorted together are a lattice path of m and n steps, and without a difference all paths are equally
likely. The statistic reaches d where the path touches a boundary; the first touch is in one of n columns.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, special

EXACT = 100
"""Examples of the smaller side up to which paths are counted exactly, whatever the sizes: 0.1 ms."""


def p_value(excess: int, n_member: int, n_nonmember: int) -> float:
    """P(max (TPR - FPR) >= d) when both sides have one distribution and no ties.

    `excess` is d * n_member * n_nonmember, an integer. Exact up to EXACT examples on the smaller side, and
    where one size divides the other; else within 2% (tests/attack/test_smirnov.py), down to p-values of
    1e-12.
    """
    m, n = max(n_member, n_nonmember), min(n_member, n_nonmember)  # the test is the same in both orders
    if excess <= 0:
        return 1.0
    # Column by column of the smaller side: how far the path has to come to touch the boundary.
    column = np.arange((m * n - excess) // m + 1)
    row = -(-(excess + m * column) // n)
    first = _first_touches if n <= EXACT else _first_touches_of_a_line
    return min(1.0, float(first(column, row, m, n).sum()))


def _first_touches(column: np.ndarray, row: np.ndarray, m: int, n: int) -> np.ndarray:
    """P(first touch) a column: P(pass a point) is the sum over earlier first touches, solved for these."""
    rest = _log_paths(m - row, n - column)
    passes = np.exp(_log_paths(row, column) + rest - _log_paths(m, n))
    rows, columns = (np.maximum(np.subtract.outer(at, at), 0) for at in (row, column))
    passes_after = np.exp(np.minimum(_log_paths(rows, columns) + np.subtract.outer(rest, rest), 0.0))
    return linalg.solve_triangular(passes_after, passes, lower=True, check_finite=False)


def _first_touches_of_a_line(column: np.ndarray, row: np.ndarray, m: int, n: int) -> np.ndarray:
    """P(first touch) a column by the ballot theorem, exact where the boundary passes through the points.

    Of the paths to a point on a line of slope m / n that starts `ahead` of the path's origin, a share of
    ahead / (row + column) touches the line there first (Barbier 1887). Where m / n is no integer, each point
    lies a little off the boundary, and the line through the point itself is taken.
    """
    ahead = row - m * column / n
    log_paths = _log_paths(row, column) + _log_paths(m - row, n - column) - _log_paths(m, n)
    return ahead / (row + column) * np.exp(log_paths)


def _log_paths(rows: np.ndarray | int, columns: np.ndarray | int) -> np.ndarray:
    """Logarithm of the number of lattice paths of so many steps in both directions."""
    return special.gammaln(rows + columns + 1) - special.gammaln(rows + 1) - special.gammaln(columns + 1)
