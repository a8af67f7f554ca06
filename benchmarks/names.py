"""How many of the names that are given at a stated error rate are wrong, where the truth is known.

5,000 candidates, and as many other non-members to calibrate by as there are among them. "Everybody": all
members score 2 standard deviations higher; "half": every second member by 5; "ties": the same, scores rounded
to halves; "equal": all scores are the same; "nobody": members score like non-members. Of a share of 0 every
candidate is a non-member. The false discovery rate is the mean share of wrong names, 0 where nobody is named.

`python -m benchmarks.names` writes benchmarks/names.json; every draw is seeded by its number and setting.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from privacy_report.attack.names import halves
from privacy_report.attack.roc import roc_curve
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json

N = 5_000
SHARES, RATES = (0.5, 0.1, 0.0), (0.1, 0.01)
STREAM = 41

Scores = tuple[np.ndarray, np.ndarray]
"""Members' and non-members' scores."""


def _shifted(rng: np.random.Generator, n_member: int, n_nonmember: int, shift: float, share: float) -> Scores:
    members, nonmembers = rng.normal(size=n_member), rng.normal(size=n_nonmember)
    members[: round(share * n_member)] += shift
    return members, nonmembers


def _rounded(scores: Scores) -> Scores:
    member, nonmember = (np.round(2 * side) / 2 for side in scores)
    return member, nonmember


SETTINGS: dict[str, Callable[[np.random.Generator, int, int], Scores]] = {
    "everybody": lambda rng, m, n: _shifted(rng, m, n, 2.0, 1.0),
    "half": lambda rng, m, n: _shifted(rng, m, n, 5.0, 0.5),
    "ties": lambda rng, m, n: _rounded(_shifted(rng, m, n, 5.0, 0.5)),
    "equal": lambda rng, m, n: (np.zeros(m), np.zeros(n)),
    "nobody": lambda rng, m, n: _shifted(rng, m, n, 0.0, 0.0),
}


def draw(setting: str, share: float, number: int) -> dict[float, tuple[int, int]]:
    """Rate -> members and non-members that are named in one draw, with the first half calibrating."""
    rng = np.random.default_rng([STREAM, crc32(setting.encode()), round(100 * share), number])
    n_member = round(share * N)
    members, nonmembers = SETTINGS[setting](rng, n_member, 2 * N - 2 * n_member)
    if not n_member:  # a curve has both sides: one example that scores below all others, of weight 0
        members = np.array([nonmembers.min() - 1.0])
    half = halves(roc_curve(members, nonmembers), rng)[0]
    return {rate: half.named(rate, share) for rate in RATES}


def measure(setting: str, share: float, draws: int) -> list[dict[str, Any]]:
    """A row a rate: the false discovery rate with its standard error, and the mean number of names."""
    outcomes = [draw(setting, share, number) for number in range(draws)]
    rows = []
    for rate in RATES:
        right, wrong = np.array([outcome[rate] for outcome in outcomes], float).T
        shares = wrong / np.maximum(1, right + wrong)
        rows.append(
            {
                "setting": setting,
                "share": share,
                "rate": rate,
                "draws": draws,
                "false_discovery_rate": float(shares.mean()),
                "standard_error": float(shares.std(ddof=1) / np.sqrt(draws)),
                "members_named": float(right.mean()),
                "nobody_named": float(np.mean(right + wrong == 0)),
            }
        )
    return rows


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    rows = [row for name in SETTINGS for share in SHARES for row in measure(name, share, args.draws)]
    write_json(args.out, {"rows": rows})
    for row in rows:
        print(row, flush=True)


if __name__ == "__main__":
    run(main)
