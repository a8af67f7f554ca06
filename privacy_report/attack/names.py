"""How many members an attacker can name when at most a stated share of the names may be wrong.

The attacker holds scores of some people who are certainly no members. Each candidate gets the conformal
p-value (1 + how many of them score at least as high) / (1 + how many there are), and the procedure of
Benjamini & Hochberg (1995) says whom to name. The p-values depend on each other positively, so that the
expected share of wrong names is at most the rate (Bates et al. 2023, arXiv 2104.08279; of membership arXiv
2508.07066). Ties count against the attacker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from privacy_report.attack.roc import Roc
from privacy_report.pipeline.measured import FLOOR, NAMED, Row

CUTS = 5
"""Random cuts of the non-members into two halves, each of which calibrates the other once."""
MOST_RATE = max(rate for rate, _ in NAMED.values())


@dataclass(frozen=True)
class Above:
    """How many candidates score strictly above the examples of a calibration set of n, best example first.

    member, nonmember: int (at most n,), of `n_member` and `n_nonmember` candidates; those at which a p-value
    is above every rate may be left out.
    """

    member: np.ndarray
    nonmember: np.ndarray
    n: int
    n_member: int
    n_nonmember: int

    def named(self, rate: float, share: float) -> tuple[int, int]:
        """How many members, and how many non-members, are named at `rate` where `share` are members.

        Counts of candidates; each side weighs as if `share` of all candidates were members, as if its
        examples were repeated. Repeated p-values depend positively, too, so that the bound stays.
        """
        p = np.arange(1, len(self.member) + 1) / (self.n + 1)
        weights = share / max(1, self.n_member), (1 - share) / max(1, self.n_nonmember)
        named = weights[0] * self.member + weights[1] * self.nonmember
        kept = np.flatnonzero(p <= rate * named * (1 + 1e-12))
        return (int(self.member[kept[-1]]), int(self.nonmember[kept[-1]])) if len(kept) else (0, 0)


def halves(curve: Roc, rng: np.random.Generator) -> tuple[Above, Above]:
    """Two random halves of the non-members, each calibrating for the members and the other half."""
    group = np.repeat(np.arange(len(curve.thresholds)), np.diff(curve.fp))  # of tied scores, best first
    first = rng.permutation(curve.n_nonmember) < curve.n_nonmember // 2
    above = []
    for calibrates in (first, ~first):
        others = np.concatenate([[0], np.cumsum(~calibrates)])
        n = curve.n_nonmember - int(others[-1])
        at = group[calibrates][: int(MOST_RATE * (n + 1)) + 1]
        above.append(Above(curve.tp[at], others[curve.fp[at]], n, curve.n_member, int(others[-1])))
    return above[0], above[1]


def floor(n_member: int, n_nonmember: int, rate: float, share: float) -> int:
    """The least number of members that can be named at `rate` without a wrong name among them.

    No p-value is below 1 / (h + 1) with half of the non-members, h, to calibrate by, and to name k of the
    members and nobody else takes 1 / (h + 1) <= rate * share * k / n_member. Fewer stay unseen.
    """
    half = n_nonmember - n_nonmember // 2
    return math.ceil(n_member / (rate * share * (half + 1)) * (1 - 1e-12))


def measure(curve: Roc, n_member: int, rng: np.random.Generator) -> Row:
    """The columns of NAMED and their floors: means over CUTS cuts and both of their halves.

    `n_member` members are spoken of; where fewer were scored, as by a trained attack, those stand for all.
    None where all members are fewer than the floor.
    """
    cuts = [half for _ in range(CUTS) for half in halves(curve, rng)]
    scale = n_member / curve.n_member
    row: Row = {}
    for column, (rate, stated) in NAMED.items():
        share = curve.n_member / (curve.n_member + curve.n_nonmember) if stated is None else stated
        least = floor(curve.n_member, curve.n_nonmember, rate, share)
        value = scale * float(np.mean([half.named(rate, share)[0] for half in cuts]))
        row[column] = value if least <= curve.n_member else None
        row[column + FLOOR] = float(math.ceil(scale * least))
    return row
