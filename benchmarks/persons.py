"""How often intervals are wrong where several rows are of one person, and the truth is known.

200 members and 200 non-members of 10 rows each. A row's score is sqrt(c) times a number of its person plus
sqrt(1 - c) times its own, both standard normal, so that two rows of a person have correlation c; where there
is a leak, members' rows score 0.358 higher: the AUC of rows is 0.6. False alarms are 95% intervals that
exclude 0.5 where nothing leaks; coverage is the share of intervals that hold the true AUC where there is a
leak. "persons": persons by their highest score; "rows, clustered": rows, with the interval that is clustered
by person; "rows, naive": rows taken for independent.

Where persons have unequally many rows (`unequal`), nothing leaks, and the r-th person of a side has 100 / r
of them, at least one.

`python -m benchmarks.persons` writes benchmarks/persons.json, and with `--unequal`
benchmarks/persons_unequal.json; every draw is seeded by its number and setting.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from privacy_report.attack.intervals import advantage_p, auc_interval
from privacy_report.attack.persons import by_person, effective, of_rows
from privacy_report.attack.roc import sorted_roc
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.measured import LEVEL, MAX

PERSONS, ROWS = 200, 10
CORRELATIONS = (0.0, 0.2, 0.5)
ROWS_AUC = 0.6
SHIFT = float(np.sqrt(2) * ndtri(ROWS_AUC))
UNEQUAL = (200, 400, 1000)
"""Persons on each side."""
KINDS = ("persons", "rows, clustered", "rows, naive")
STREAM = 53

Interval = tuple[float, float]


def draw(correlation: float, shift: float, number: int) -> tuple[dict[str, Interval], float]:
    """The interval of each of KINDS in one draw, and the p-value by which a leak of persons is declared."""
    rng = np.random.default_rng([STREAM, round(100 * correlation), shift > 0, number])
    person = np.repeat(np.arange(2 * PERSONS), ROWS)
    scores = np.sqrt(1 - correlation) * rng.normal(size=len(person))
    scores += np.sqrt(correlation) * rng.normal(size=2 * PERSONS)[person] + shift * (person < PERSONS)
    at = np.argsort(-scores)
    is_member = person < PERSONS
    heads, together = by_person(at, scores[at], ROWS * person, MAX)
    curve = sorted_roc(together, is_member[heads])
    clustered = of_rows(scores[at], is_member[at], person[at])
    intervals = {
        "persons": auc_interval(curve),
        "rows, clustered": (clustered["auc_low"], clustered["auc_high"]),
        "rows, naive": auc_interval(sorted_roc(scores[at], is_member[at])),
    }
    return intervals, advantage_p(curve)


def persons_auc(correlation: float, shift: float) -> float:
    """P(highest of a member's rows > highest of a non-member's), by quadrature."""
    x = np.linspace(-8, 10, 4001)
    nodes, weights = np.polynomial.hermite_e.hermegauss(96)
    weights = weights / weights.sum()

    def below(values: np.ndarray) -> np.ndarray:
        given = (values[:, None] - np.sqrt(correlation) * nodes) / np.sqrt(1 - correlation)
        return ndtr(given) ** ROWS @ weights

    middle = (x[1:] + x[:-1]) / 2
    return float(np.diff(below(x)) @ below(middle + shift))


def measure(correlation: float, draws: int) -> list[dict[str, Any]]:
    """A row for each of KINDS: false alarms without a leak, coverage and power with it."""
    none = [draw(correlation, 0.0, number) for number in range(draws)]
    leak = [draw(correlation, SHIFT, number) for number in range(draws)]
    rows = []
    for kind in KINDS:
        truth = persons_auc(correlation, SHIFT) if kind == "persons" else ROWS_AUC
        alarms = np.mean([not low <= 0.5 <= high for low, high in (intervals[kind] for intervals, _ in none)])
        ends = np.array([intervals[kind] for intervals, _ in leak])
        covered = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
        rows.append(
            {
                "correlation": correlation,
                "kind": kind,
                "draws": draws,
                "false_alarms": float(alarms),
                "coverage": float(covered),
                "auc": truth,
                "half_width": float(np.mean(ends[:, 1] - ends[:, 0]) / 2),
                "leaks_declared": float(np.mean([p <= LEVEL for _, p in none]))
                if kind == "persons"
                else None,
            }
        )
    return rows


def unequal(persons: int, draws: int) -> dict[str, Any]:
    """How often the interval of rows excludes 0.5, persons being on each side; what they are worth."""
    sizes = np.maximum(1, 100 // np.arange(1, persons + 1))
    person = np.repeat(np.arange(2 * persons), np.tile(sizes, 2))
    alarms = 0
    for number in range(draws):
        rng = np.random.default_rng([STREAM, persons, number])
        scores = rng.normal(size=2 * persons)[person] + rng.normal(size=len(person))
        at = np.argsort(-scores)
        row = of_rows(scores[at], person[at] < persons, person[at])
        alarms += not row["auc_low"] <= 0.5 <= row["auc_high"]
    worth = effective(person[person < persons])
    return {"persons": persons, "effective": worth, "draws": draws, "false_alarms": alarms / draws}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--unequal", action="store_true", help="persons with unequally many rows alone")
    args = parser.parse_args(argv)
    if args.unequal:
        path = Path(__file__).with_name("persons_unequal.json")
        write_json(path, [unequal(persons, args.draws) for persons in UNEQUAL])
    else:
        write_json(
            args.out, [row for correlation in CORRELATIONS for row in measure(correlation, args.draws)]
        )


if __name__ == "__main__":
    run(main)
