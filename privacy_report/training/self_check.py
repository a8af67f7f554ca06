"""Whether what a private epoch applied to the weights is the mechanism that its epsilon is computed for.

Each check is a p-value under "the trainer is sound". Most are exact: noise that is normal and independent has
squares that are chi-square and correlations whose squares are Beta(1/2, (k - 1)/2); batch sizes that are
binomial become normal by their own distribution function, ties broken at random. What must hold always
has p 0 or 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 1e-6
"""Chance that a sound run is ended by any check in any epoch."""
CHECKS = (
    "clipping",
    "recomputed",
    "sampling sizes",
    "sampling examples",
    "repeated noise",
    "noise of successive steps",
    "noise and the first step's",
    "noise of different variables",
    "divisor",
    "noise of a variable",
    "noise of the epoch",
    "noise of a step",
)
"""In the order in which they are named when several fail: causes before what they cause."""
CLIP_ROUNDING = 1e-6
RECOMPUTED = 0.01
"""Of the recomputed sum: what another order of additions in float32 may change."""
FAR = 35.0
"""Standard deviations; a float tells no tail beyond."""
TIES = 0x73697A65
"""Of the random numbers that break the ties of batch sizes."""


class Drawn(NamedTuple):
    """An epoch's batches as they were drawn, with probability q of n examples each.

    rows: int32 (steps, capacity), of which sizes (steps,) count. handed: the sizes (steps,) of what is
    trained on, which are smaller where examples are left out (`absent`).
    """

    rows: np.ndarray
    sizes: np.ndarray
    n: int
    q: float
    handed: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What an epoch's steps applied, noise in units of the standard deviation that was claimed.

    Noise is what the optimizer got, times the expected batch size, less the sum before the noise.
    dimensions: weights per variable (v,). A row per step: squares, the noise's squared norm of each variable
    (steps, v); products, its inner products with the step before and with the first step (steps, 2), 0 in row
    0; sizes of the batches (steps,); largest, the norm of the largest clipped gradient over the clipping norm
    (steps,); signs, of some coordinates of the noise, bool (steps, bits). pairs: of each two neighbouring
    variables, over the epoch, the inner product and squared norms of as many coordinates as both have
    (v - 1, 3). recomputed: how far the sum of one step is from its recomputation, over the norm of that; None
    where it was not recomputed.
    """

    dimensions: np.ndarray
    squares: np.ndarray
    products: np.ndarray
    pairs: np.ndarray
    sizes: np.ndarray
    largest: np.ndarray
    signs: np.ndarray
    recomputed: float | None


class Check(NamedTuple):
    """One check of an epoch: p, under a sound trainer, and what was found, in words."""

    name: str
    p: float
    found: str


def checks(epoch: int, drawn: Drawn, seen: Seen, before: np.ndarray, now: np.ndarray) -> list[Check]:
    """All checks of an epoch, in the order of CHECKS; p is NaN where one could not be made.

    before, now: the `fingerprints` of the earlier epochs and of this one, uint64.
    """
    all_checks = [
        _clipping(seen),
        _recomputed(seen),
        *_sampling(epoch, drawn, seen),
        _repeated(seen, before, now),
        *_correlations(seen),
        *_variance(seen),
    ]
    assert tuple(check.name for check in all_checks) == CHECKS
    return all_checks


def adjusted(epoch: int, p: float) -> float:
    """A p-value of epoch 1, 2, ... corrected for all checks of a run of any length, at most 1.

    Bonferroni's correction with the weight 6 / (pi epoch)^2, which add up to 1: how long a run will be is not
    known in its first epoch.
    """
    return float(np.minimum(1.0, p * len(CHECKS) * (np.pi * epoch) ** 2 / 6))  # NaN stays


def rounded(p: float) -> float:
    """A corrected p-value down to a power of ten: whoever reads it learns little of the noise."""
    return float(10.0 ** np.floor(np.log10(np.maximum(p, 1e-300))))  # NaN stays


def fingerprints(seen: Seen, key: bytes) -> np.ndarray:
    """A number for the noise of each step, uint64 (steps,): the same for the same noise and key.

    A hash of signs, which rounding leaves alone. key: at most 64 bytes, as secret as the noise; without it
    anybody could try whether a noise that they suspect is the right one.
    """
    hashes = [blake2b(np.packbits(row).tobytes(), key=key, digest_size=8).digest() for row in seen.signs]
    return np.frombuffer(b"".join(hashes), np.uint64)


def _clipping(seen: Seen) -> Check:
    largest = float(seen.largest.max(initial=0.0))
    p = float(largest <= 1 + CLIP_ROUNDING)
    return Check("clipping", p, f"an example's clipped gradient has {largest:.6g} times the clipping norm")


def _recomputed(seen: Seen) -> Check:
    if seen.recomputed is None:
        return Check("recomputed", np.nan, "")
    p = float(seen.recomputed <= RECOMPUTED)
    says = (
        f"the clipped sum of a step is {seen.recomputed:.1%} off the sum of gradients that are clipped one "
    )
    return Check("recomputed", p, says + "by one")


def _sampling(epoch: int, drawn: Drawn, seen: Seen) -> Iterator[Check]:
    """Binomial batch sizes, and examples that come once by chance alone."""
    steps, n, q = len(drawn.sizes), drawn.n, drawn.q
    low, at = stats.binom.cdf(drawn.sizes - 1, n, q), stats.binom.pmf(drawn.sizes, n, q)
    between = np.random.default_rng([TIES, epoch]).random(steps)
    z = np.clip(stats.norm.ppf(np.clip(low + between * at, 0, 1)), -FAR, FAR)
    p = min(
        1.0, 2 * min(_both(stats.norm, z.sum() / np.sqrt(steps)), _both(stats.chi2, np.sum(z * z), steps))
    )
    if not np.array_equal(seen.sizes, drawn.handed):
        p = 0.0
    sizes = f"{len(seen.sizes)} batches of {seen.sizes.min()} to {seen.sizes.max()} examples"
    yield Check("sampling sizes", p, f"{sizes}, which are no Poisson samples of {n} examples at q = {q:.4g}")

    rows = drawn.rows[np.arange(drawn.rows.shape[1]) < drawn.sizes[:, None]]
    once = int(np.count_nonzero(np.bincount(rows, minlength=n) == 1))
    p = _both(stats.binom, once, n, stats.binom.pmf(1, steps, q), discrete=True)
    says = f"{once} of {n} examples were drawn exactly once, as in no Poisson samples at q = {q:.4g}"
    yield Check("sampling examples", p, says)


def _repeated(seen: Seen, before: np.ndarray, now: np.ndarray) -> Check:
    """Whether noise is that of another step, of this epoch or an earlier one; of those that have noise."""
    now = now[seen.signs.any(axis=1)]
    every = np.concatenate([before, now])
    repeated = len(every) - len(np.unique(every))
    pairs, bits = len(now) * len(every), min(seen.signs.shape[1], 64)
    p = min(1.0, pairs * 0.5**bits) if repeated else 1.0
    return Check("repeated noise", p, f"{repeated} steps have the noise of another step of this run")


def _correlations(seen: Seen) -> Iterator[Check]:
    norms, d = np.sqrt(seen.squares.sum(axis=1)), int(seen.dimensions.sum())
    others = {"noise of successive steps": norms[:-1], "noise and the first step's": norms[:1]}
    for column, (name, other) in enumerate(others.items()):
        with np.errstate(invalid="ignore"):
            r = seen.products[1:, column] / (norms[1:] * other)
        yield _correlation(name, r, np.full(len(r), d))
    with np.errstate(invalid="ignore"):
        r = seen.pairs[:, 0] / np.sqrt(seen.pairs[:, 1] * seen.pairs[:, 2])
    common = np.minimum(seen.dimensions[1:], seen.dimensions[:-1]) * len(seen.squares)
    yield _correlation("noise of different variables", r, common)


def _correlation(name: str, r: np.ndarray, dimensions: np.ndarray) -> Check:
    """The largest of some correlations of normal vectors of mean 0, each of so many dimensions.

    NaN is the correlation of no noise.
    """
    r, dimensions = r[dimensions > 1], dimensions[dimensions > 1]
    if not len(r):
        return Check(name, np.nan, "")
    p = stats.beta.sf(np.minimum(np.nan_to_num(r) ** 2, 1.0), 0.5, (dimensions - 1) / 2)
    worst = int(np.argmin(p))
    return Check(name, min(1.0, float(p[worst]) * len(r)), f"noise correlates by {r[worst]:.3f}")


def _variance(seen: Seen) -> Iterator[Check]:
    """Squared noise against chi-square: with the batch's size, and of variables, epoch and steps."""
    steps, d = seen.squares.sum(axis=1), int(seen.dimensions.sum())
    upper, lower = stats.chi2.sf(steps, d), stats.chi2.cdf(steps, d)
    z = np.where(lower < 0.5, stats.norm.ppf(lower), stats.norm.isf(upper)).clip(-FAR, FAR)
    weights = seen.sizes - seen.sizes.mean()
    slope = float(weights @ z / np.sqrt(weights @ weights)) if weights.any() else 0.0
    says = "noise depends on the drawn batch size: is the sum divided by it, and not by the expected one?"
    yield Check("divisor", _both(stats.norm, slope), says)

    by_variable, sizes = seen.squares.sum(axis=0), seen.dimensions * len(steps)
    p = np.array([_both(stats.chi2, *pair) for pair in zip(by_variable, sizes, strict=True)])
    worst = int(np.argmin(p))
    says = f"variable {worst} has noise of {by_variable[worst] / sizes[worst]:.4g} times the variance claimed"
    yield Check("noise of a variable", min(1.0, float(p[worst]) * len(p)), says)

    total = steps.sum()
    says = f"the noise has {total / (d * len(steps)):.4g} times the variance claimed"
    yield Check("noise of the epoch", _both(stats.chi2, total, d * len(steps)), says)

    p = np.minimum(1.0, 2 * np.minimum(upper, lower))
    worst = int(np.argmin(p))
    says = f"step {worst + 1} has noise of {steps[worst] / d:.4g} times the variance claimed"
    yield Check("noise of a step", min(1.0, float(p[worst]) * len(p)), says)


def _both(law: stats.rv_continuous, value: float, *parameters: float, discrete: bool = False) -> float:
    """A two-sided p-value."""
    upper = law.sf(value - discrete, *parameters)
    return float(min(1.0, 2 * min(law.cdf(value, *parameters), upper)))
