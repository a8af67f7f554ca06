"""Measure whether the one-run bound of epsilon is honest, where the truth is known, next to the older bound.

Mechanisms that tell coins: randomised response, whose epsilon is what it is (bounds above it are errors);
coins that have nothing to do with the scores; and a (0, delta)-private one, which in a few runs gives many
coins away at once, so that its canaries are anything but independent. The older bound is the audited epsilon
of a fixed split (`epsilon_bound`), which counts canaries as independent trials.

`python -m benchmarks.one_run` writes benchmarks/one_run.json and prints Markdown; every draw is seeded by its
number.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from privacy_report.attack import epsilon_bound
from privacy_report.attack.findings import SELECTS
from privacy_report.attack.one_run import OF_GUESSES, correct_guesses, epsilon_low
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json

DRAWS = 2_000

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
    found = {
        f"randomised response, epsilon {epsilon:g}": Case(
            randomised_response(epsilon), 1_000, epsilon, delta, 1 / (1 + np.exp(-epsilon))
        )
        for epsilon, delta in ((0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (4.0, 0.0))
    }
    found["coins permuted"] = Case(nothing, 1_000, 0.0, 0.0)
    for m, delta, many in (
        (1_000, 1e-3, (10, 20, 50, 200, 1_000)),
        (10_000, 1e-3, (50, 100, 200, 1_000)),
        (1_000, 1e-2, (40, 60, 100)),
    ):
        for given_away in many:
            name = f"(0, {delta:g}) gives {given_away} away at once, m = {m}"
            found[name] = Case(many_at_once(delta, given_away), m, 0.0, delta)
    return found


@cache
def bound(m: int, r: int, v: int, delta: float) -> float:
    return epsilon_low(m, r, v, delta)


def older_bound(scores: np.ndarray, coins: np.ndarray, delta: float, rng: np.random.Generator) -> float:
    """The audited epsilon of these canaries as a fixed split, without `check_delta`."""
    order = np.argsort(-scores, kind="stable")
    selects = rng.random(len(scores)) < SELECTS
    found = epsilon_bound.evidence(scores[order], coins[order], selects, delta)
    return epsilon_bound.epsilon_low(found, delta)


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


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """A row of the table in docs/canaries.md."""
    shares = [row["above_truth"], row["above_truth_of_theory"], row["older_above_truth"]]
    ours, theory, older = ("-" if share is None else f"{share:.1%}" for share in shares)
    medians = ["-" if value is None else f"{value:.3f}" for value in (row["median"], row["median_of_theory"])]
    return [name, str(row["guesses"]), ours, theory, *medians, older]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_run", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    rows = {name: measure(name, case) for name, case in cases().items()}
    write_json(args.out, {"rows": rows})
    for name, row in rows.items():
        print(f"| {' | '.join(cells(name, row))} |")


if __name__ == "__main__":
    run(main)
