"""What a private run costs: epsilon of the Poisson-subsampled Gaussian mechanism, and the noise for a target.

All numbers are dp-accounting's, for neighbouring datasets that differ by adding or removing one
example. Sources: PLD, Koskela et al. 2020 and Doroshenko et al. 2022; RDP, Mironov et al. 2019.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

from dp_accounting import dp_event, mechanism_calibration, pld, rdp
from dp_accounting.pld import privacy_loss_distribution
from scipy.stats import binom

from privacy_report.errors import UserError
from privacy_report.training.schema import SMALLEST_NOISE

OVERFLOW = 1e-9  # chance that any step of a run draws more examples than the buffer holds
NOISE_TOLERANCE = 1e-4  # of a solved noise multiplier; rounded up, never down
BRACKET = 0.8  # the search for a noise multiplier narrows its interval by this factor
LARGEST_DELTA = 0.5  # times the members; the same as attack.epsilon_bound.GIVEN_AWAY
QUICK_ORDERS = (*range(2, 64), 128, 256, 512)  # Renyi orders that are exact binomial sums


class Epsilon(NamedTuple):
    """Upper bounds of epsilon at the asked delta: by privacy loss distributions (tighter) and by Renyi DP."""

    pld: float
    rdp: float


def spent_epsilon(noise_multiplier: float, sampling_probability: float, steps: int, delta: float) -> Epsilon:
    """Epsilon after `steps` steps that draw each example with `sampling_probability`.

    noise_multiplier: the noise's standard deviation over the clipping norm. The first call for a
    (noise, probability) takes about 0.7 s, each further number of steps about 0.25 s. 0 steps cost 0.
    """
    if steps == 0:
        return Epsilon(0.0, 0.0)
    _check_noise(noise_multiplier)
    by_step = _privacy_loss(noise_multiplier, sampling_probability)
    with _without_warnings():
        renyi = rdp.RdpAccountant().compose(_event(noise_multiplier, sampling_probability), steps)
    return Epsilon(
        float(by_step.self_compose(steps).get_epsilon_for_delta(delta)), float(renyi.get_epsilon(delta))
    )


def noise_for(target_epsilon: float, sampling_probability: float, steps: int, delta: float) -> float:
    """The least noise multiplier (to 1e-4, on the safe side) whose epsilon by PLD is at most the target.

    Takes some seconds. Raises UserError when no multiplier of 0.1..10000 reaches the target.
    """
    # A coarser grid than that of `spent_epsilon`: ten times faster, pessimistic by about 1e-3 of the target.
    interval = min(1e-3, max(2e-4, target_epsilon / 3000))

    def exact() -> pld.PLDAccountant:
        return pld.PLDAccountant(value_discretization_interval=interval)

    def quick() -> rdp.RdpAccountant:
        return rdp.RdpAccountant(QUICK_ORDERS)

    def event(noise: float) -> dp_event.DpEvent:
        return dp_event.SelfComposedDpEvent(_event(noise, sampling_probability), steps)

    def solve(accountant: Callable, low: float, high: float) -> float:
        bracket = mechanism_calibration.ExplicitBracketInterval(low, high)
        return mechanism_calibration.calibrate_dp_mechanism(
            accountant, event, target_epsilon, delta, bracket, tol=NOISE_TOLERANCE
        )

    try:  # the quick accountant first: it asks for more noise, and the exact one is slow at little noise
        high = solve(quick, SMALLEST_NOISE, 1e4) + NOISE_TOLERANCE
        low = high * BRACKET
        while low >= SMALLEST_NOISE and exact().compose(event(low)).get_epsilon(delta) < target_epsilon:
            low, high = low * BRACKET, low
        return float(solve(exact, max(low, SMALLEST_NOISE), high))
    except ValueError:
        raise UserError(
            f"privacy.target_epsilon: got {target_epsilon}, which no noise multiplier of "
            f"{SMALLEST_NOISE}..10000 gives in {steps} steps at delta {delta}"
        ) from None


def check_delta(delta: float, n_member: int) -> None:
    """Refuse a delta at which publishing a random member whole would count as private, or nearly so.

    At a larger one no claim can be audited (`privacy_report.attack.epsilon_bound.check_delta`).
    """
    if not 0 < delta <= LARGEST_DELTA / n_member * (1 + 1e-9):
        raise UserError(
            f"privacy.delta: got {delta}, allowed: above 0 and at most {LARGEST_DELTA}/{n_member} = "
            f"{LARGEST_DELTA / n_member:.2g} (at 1/n_member one member may be published outright)"
        )


def batch_capacity(n: int, expected_batch_size: int, steps: int) -> int:
    """The least buffer that all of a run's `steps` Poisson batches fit, except with a chance of at most 1e-9.

    The chance is bounded by steps times the tail of Binomial(n, expected_batch_size / n).
    """
    capacity = int(binom.isf(OVERFLOW / steps, n, expected_batch_size / n))
    while overflow_probability(n, expected_batch_size, steps, capacity) > OVERFLOW:
        capacity += 1
    return min(capacity, n)


def overflow_probability(n: int, expected_batch_size: int, steps: int, capacity: int) -> float:
    """A bound of the chance that any of `steps` Poisson batches is larger than `capacity`."""
    return min(steps * float(binom.sf(capacity, n, expected_batch_size / n)), 1.0)


def _check_noise(noise_multiplier: float) -> None:
    if not (math.isfinite(noise_multiplier) and noise_multiplier >= SMALLEST_NOISE):
        raise UserError(
            f"privacy.noise_multiplier: got {noise_multiplier}, allowed: at least {SMALLEST_NOISE} "
            "(with less noise epsilon has no useful value)"
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """dp-accounting logs a line for each Renyi order it leaves out, which only loosens the bound."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _event(noise_multiplier: float, sampling_probability: float) -> dp_event.DpEvent:
    return dp_event.PoissonSampledDpEvent(sampling_probability, dp_event.GaussianDpEvent(noise_multiplier))


@lru_cache(maxsize=8)
def _privacy_loss(
    noise_multiplier: float, sampling_probability: float
) -> privacy_loss_distribution.PrivacyLossDistribution:
    """The privacy loss of one step, at dp-accounting's default resolution."""
    return privacy_loss_distribution.from_gaussian_mechanism(
        noise_multiplier, sampling_prob=sampling_probability, value_discretization_interval=1e-4
    )
