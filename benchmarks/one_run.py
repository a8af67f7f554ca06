"""Measure whether the one-run bound of epsilon is honest, where the truth is known, next to the older bound.

Mechanisms that tell coins: randomised response, whose epsilon is what it is (bounds above it are errors);
coins that have nothing to do with the scores; and a (0, delta)-private one, which in a few runs gives many
coins away at once, so that its canaries are anything but independent. The older bound is the audited epsilon
of a fixed split (`epsilon_bound`), which counts canaries as independent trials.

Next to these mechanisms, one whose canaries share one privacy loss (`shared_loss`), with the bound that takes
losses for independent, for contrast; and the bound of the number of guesses that shows most (`best_of_many`).

`python -m benchmarks.one_run` writes benchmarks/one_run.json and prints Markdown, with names of parts these
alone; every draw is seeded by its number.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from privacy_report.attack import epsilon_bound
from privacy_report.attack.findings import SELECTS
from privacy_report.attack.one_run import (
    OF_GUESSES,
    _refutes_gaussian,
    correct_guesses,
    epsilon_low,
    epsilon_of_gaussian,
    p_value,
)
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import LEVEL
from privacy_report.pipeline.files import read_json, write_json

DRAWS = 2_000
DELTA = 1e-5
"""At which epsilon is bounded where all canaries share one loss."""
SHARED = [(mu, m, r) for mu in (0.5, 1.0, 2.0) for m, r in ((1_000, 1_000), (1_000, 200), (10_000, 2_500))]
"""mu of the Gaussian trade-off curve, canaries and guesses."""
MANY_R = range(10, 1_001, 2)
"""Numbers of guesses that are tried, of 1,000 canaries, where the result picks one."""

Told = Callable[[np.random.Generator, np.ndarray], np.ndarray]
"""(generator, coins bool (m,)) -> what the mechanism tells, scores (m,)."""


@dataclass(frozen=True)
class Case:
    """A mechanism on m canaries, its epsilon (`truth`) at delta; theory: chance that a guess is right."""

    tell: Told
    m: int
    truth: float
    delta: float
    theory: float | None = None


def randomised_response(epsilon: float) -> Told:
    """Each coin, told truly with probability e^epsilon / (1 + e^epsilon)."""

    def tell(rng: np.random.Generator, coins: np.ndarray) -> np.ndarray:
        true = rng.random(len(coins)) < 1 / (1 + np.exp(-epsilon))
        return np.where(coins == true, 1.0, -1.0)

    return tell


def nothing(rng: np.random.Generator, coins: np.ndarray) -> np.ndarray:
    """Scores that have nothing to do with the coins: the same as coins that are permuted."""
    return rng.normal(size=len(coins))


def many_at_once(delta: float, given_away: int) -> Told:
    """(0, delta)-private: gives away so many random coins at once, in delta m / given_away of the runs."""

    def tell(rng: np.random.Generator, coins: np.ndarray) -> np.ndarray:
        scores = rng.uniform(-0.5, 0.5, len(coins))
        if rng.random() < delta * len(coins) / given_away:
            at = rng.permutation(len(coins))[:given_away]
            scores[at] = np.where(coins[at], 1.0, -1.0)
        return scores

    return tell


def cases() -> dict[str, Case]:
    """All mechanisms by name."""
    mechanisms = {
        f"randomised response, epsilon {epsilon:g}": Case(
            randomised_response(epsilon), 1_000, epsilon, delta, 1 / (1 + np.exp(-epsilon))
        )
        for epsilon, delta in ((0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (4.0, 0.0))
    }
    mechanisms["coins permuted"] = Case(nothing, 1_000, 0.0, 0.0)
    for m, delta, many in (
        (1_000, 1e-3, (10, 20, 50, 200, 1_000)),
        (10_000, 1e-3, (50, 100, 200, 1_000)),
        (1_000, 1e-2, (40, 60, 100)),
    ):
        for given_away in many:
            name = f"(0, {delta:g}) gives {given_away} away at once, m = {m}"
            mechanisms[name] = Case(many_at_once(delta, given_away), m, 0.0, delta)
    return mechanisms


@cache
def bound(m: int, r: int, v: int, delta: float) -> float:
    return epsilon_low(m, r, v, delta)


def older_bound(scores: np.ndarray, coins: np.ndarray, delta: float, rng: np.random.Generator) -> float:
    """The audited epsilon of these canaries as a fixed split, without `check_delta`."""
    order = np.argsort(-scores, kind="stable")
    selects = rng.random(len(scores)) < SELECTS
    counts = epsilon_bound.tail_counts(scores[order], coins[order], selects, delta)
    return epsilon_bound.epsilon_low(counts, delta)


def exactly(case: Case) -> tuple[float | None, float | None]:
    """Median of the bound, and chance that it is above the truth, where guesses are independent."""
    if case.theory is None:
        return None, None
    r = case.m // OF_GUESSES
    rights = np.arange(r + 1)
    bounds = np.array([bound(case.m, r, int(v), case.delta) for v in rights])
    above = stats.binom.pmf(rights, r, case.theory)[bounds > case.truth].sum()
    return float(bounds[int(stats.binom.median(r, case.theory))]), float(above)


def measure(name: str, case: Case, draws: int = DRAWS) -> dict[str, Any]:
    """Shares of draws in which a bound is above the truth, and the one-run bound's median."""
    r, ours, older = case.m // OF_GUESSES, np.empty(draws), np.empty(draws)
    for seed in range(draws):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        coins = rng.random(case.m) < 0.5
        scores = case.tell(rng, coins)
        ours[seed] = bound(case.m, r, correct_guesses(scores, coins, r), case.delta)
        older[seed] = older_bound(scores, coins, case.delta, rng)
    median, above = exactly(case)
    return {
        "truth": case.truth,
        "delta": case.delta,
        "canaries": case.m,
        "guesses": r,
        "draws": draws,
        "above_truth": float((ours > case.truth).mean()),
        "median": float(np.median(ours)),
        "median_of_theory": median,
        "above_truth_of_theory": above,
        "older_above_truth": float((older > case.truth).mean()),
    }


def losses(rng: np.random.Generator, mu: float, n: int) -> np.ndarray:
    """|log(p(x) / q(x))| of n draws, where p and q are the densities of N(mu, 1) and N(0, 1)."""
    return np.abs(mu * mu / 2 + mu * rng.standard_normal(n))


def told_right(rng: np.random.Generator, losses: np.ndarray) -> int:
    """How many coins are told truly: each by randomised response, with error 1 / (1 + exp(loss))."""
    return int(np.count_nonzero(rng.random(len(losses)) < 1 / (1 + np.exp(-losses))))


def least(r: int, refutes: Callable[[int], bool]) -> int:
    """The smallest number of right guesses, up to r, that refutes the truth; r + 1 where none does."""
    low, high = 0, r + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if refutes(middle) else (middle + 1, high)
    return low


def shared_loss(mu: float, m: int, r: int, draws: int = DRAWS) -> dict[str, Any]:
    """Shares of draws in which a bound is above the truth, where one |loss| is that of all canaries.

    Each person sees exactly mu-Gaussian privacy. "independent" rejects the true mu where more guesses are
    right than in 95% of draws whose losses are independent, the r largest of m guessed: what bounds by order
    statistics (Xiang et al. 2025, arXiv 2509.08704) count on.
    """
    epsilon = epsilon_of_gaussian(mu, DELTA)
    rng = np.random.default_rng([m, r, zlib.crc32(f"independent {mu}".encode())])
    independent = [told_right(rng, np.partition(losses(rng, mu, m), m - r)[m - r :]) for _ in range(draws)]
    from_on = {
        "epsilon_one_run": least(r, lambda v: p_value(m, r, v, epsilon, DELTA) <= LEVEL),
        "epsilon_one_run_fdp": least(r, lambda v: _refutes_gaussian(mu, m, r, v, LEVEL)),
        "independent": int(np.quantile(independent, 1 - LEVEL, method="higher")) + 1,
    }
    rights = np.empty(draws, int)
    for seed in range(draws):
        rng = np.random.default_rng([seed, m, r, zlib.crc32(f"shared {mu}".encode())])
        rights[seed] = told_right(rng, np.repeat(losses(rng, mu, 1), r))
    above = {name: float((rights >= v).mean()) for name, v in from_on.items()}
    return {"mu": mu, "canaries": m, "guesses": r, "truth": epsilon, "draws": draws, "above_truth": above}


def _refuted_at_0(m: int, r: int, v: int) -> bool:
    return p_value(m, r, v, 0.0, 0.0) <= LEVEL


def best_of_many(draws: int = DRAWS) -> dict[str, Any]:
    """Shares of draws at epsilon 0 in which a bound is above it: of r = 200, and the largest of MANY_R."""
    m, last = MANY_R[-1], np.array(MANY_R) // 2 - 1
    from_on = np.array([least(r, partial(_refuted_at_0, m, r)) for r in MANY_R])
    above = np.empty((draws, len(MANY_R)), bool)
    for seed in range(draws):
        rng = np.random.default_rng([seed, zlib.crc32(b"best of many")])
        coins = rng.random(m) < 0.5
        coins = coins[np.argsort(nothing(rng, coins))]
        rights = np.cumsum(~coins) + np.cumsum(coins[::-1])  # of the lowest and the highest 1, 2, ...
        above[seed] = rights[last] >= from_on
    settings = {"canaries": m, "guesses": [MANY_R[0], m], "draws": draws}
    fixed = float(above[:, MANY_R.index(m // OF_GUESSES)].mean())
    return settings | {"fixed": fixed, "largest": float(above.any(axis=1).mean())}


def shared_cells(row: dict[str, Any]) -> list[str]:
    """A row of the table of shared losses in docs/canaries.md."""
    counts = [f"{row['mu']:g}", f"{row['canaries']:,}", f"{row['guesses']:,}"]
    return [*counts, f"{row['truth']:.2f}", *(f"{share:.1%}" for share in row["above_truth"].values())]


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """A row of the table in docs/canaries.md."""
    shares = [row["above_truth"], row["above_truth_of_theory"], row["older_above_truth"]]
    ours, theory, older = ("-" if share is None else f"{share:.1%}" for share in shares)
    medians = ["-" if value is None else f"{value:.3f}" for value in (row["median"], row["median_of_theory"])]
    return [name, str(row["guesses"]), ours, theory, *medians, older]


PARTS: dict[str, Callable[[], Any]] = {
    "rows": lambda: {name: measure(name, case) for name, case in cases().items()},
    "shared_loss": lambda: [shared_loss(*case) for case in SHARED],
    "best_of_many": best_of_many,
}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], help="what to measure again; all by default"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results = read_json(args.out) if args.parts else {}
    results |= {key: PARTS[key]() for key in args.parts or PARTS}
    write_json(args.out, results)
    for name, row in results["rows"].items():
        print(f"| {' | '.join(cells(name, row))} |")
    for row in results["shared_loss"]:
        print(f"| {' | '.join(shared_cells(row))} |")
    print(results["best_of_many"])


if __name__ == "__main__":
    run(main)
