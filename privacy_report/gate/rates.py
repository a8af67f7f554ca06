"""Bounds of a rate that was counted, and of a share beyond what noise gives."""

from __future__ import annotations

import math
from collections.abc import Iterable

from scipy.special import betaincinv

from privacy_report.pipeline.contract import ENTIRE, LEVEL
from privacy_report.pipeline.tables import Row, where

EXPOSED_AT = 0.9
"""The own AUC from which on a member counts as exposed."""


def rate_low(k: float, n: float, tail: float) -> float:
    """Lower bound of a rate of which k in n were seen, with error `tail` (Clopper & Pearson 1934)."""
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))


def rate_high(k: float, n: float, tail: float) -> float:
    """The upper bound likewise."""
    return 1.0 - rate_low(n - k, n, tail)


def exposed_beyond_noise(rows: Iterable[Row]) -> tuple[float, float]:
    """Both ends of the share of members whose own AUC is at least EXPOSED_AT, less what noise alone gives.

    rows: record_auc.csv. Each end errs in at most 2.5%; a lower one above 0 says that it is not noise alone.
    NaN where nothing was measured.
    """
    for row in where(rows, slice=ENTIRE, record_auc=EXPOSED_AT):
        n, noise = row["n_member"], row["noise"]
        reach = round(row["share"] * n)
        return rate_low(reach, n, LEVEL / 2) - noise, rate_high(reach, n, LEVEL / 2) - noise
    return math.nan, math.nan
