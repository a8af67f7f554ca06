"""Claims of private variants, made up."""

from __future__ import annotations

from privacy_report.pipeline.claim import Claim


def claimed(epsilon: float | None, delta: float = 1e-5, compared: tuple[int, ...] = (2, 4)) -> Claim | None:
    """A claim of some epsilon, as no training has made it; None for None."""
    if epsilon is None:
        return None
    last = compared[-1]
    return Claim(
        "DP-SGD", epsilon, delta, last, compared, 0.7, 1.0, 0.01, 100 * last, ("the attacks' rates",)
    )
