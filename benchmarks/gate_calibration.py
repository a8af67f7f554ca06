"""How often the whole gate is wrong: verdicts on made-up variants whose truth is known.

Each draw is a variant of 25 checkpoints, with an audit twin where the policy asks for canaries. Its scores
are measured as the attack stage measures them and judged by `gate.policy.verdict_on`. Truth is either that
all checkpoints are exactly at a limit, so that every "keeps the policy" is false, or that nothing leaks, so
that every leak detected is.

`python -m benchmarks.gate_calibration` writes benchmarks/gate_calibration.json and prints Markdown. It takes
some five CPU minutes. Draws are seeded by their number.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from privacy_report.attack.intervals import lower_rate, upper_rate
from privacy_report.attack.measures import row_of_curve
from privacy_report.attack.one_run import one_run
from privacy_report.attack.roc import roc_curve
from privacy_report.attack.tables import with_leaks
from privacy_report.gate.policy import Evidence, checkpoints, judge, verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.gate.words import KEEPS
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import CANARIES, ENTIRE, LEVEL, REPORT, SELECT
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row

CHECKPOINTS, N_MEMBER, N_NONMEMBER, N_CANARIES = 25, 4_000, 1_200, 1_200
FPR, DELTA = 0.01, 1e-5
TOP = float(norm.isf(FPR))
LIMIT, ACCURACY = 0.1, 0.5
WIDTH = 1e-9
"""Of a cluster of memorised members: no non-member is within it."""
INDEPENDENT = (0.0,)
"""Correlations at which a choice among checkpoints helps chance most."""
STRICT = {"max_advantage": LIMIT, "max_tpr_at_1pct_fpr": 0.03, "max_class_advantage": 0.2}

Scores = tuple[np.ndarray, np.ndarray]
"""Of members (CHECKPOINTS, n) and of non-members (CHECKPOINTS, m)."""
Rows = list[Row]


def walks(rng: np.random.Generator, n: int, correlation: float) -> np.ndarray:
    """Standard normal (CHECKPOINTS, n), correlated from one checkpoint to the next."""
    values = rng.normal(size=(CHECKPOINTS, n))
    for i in range(1, CHECKPOINTS):
        values[i] = correlation * values[i - 1] + np.sqrt(1 - correlation**2) * values[i]
    return values


def alike(member: np.ndarray, nonmember: np.ndarray) -> Scores:
    """Nothing leaks."""
    return member, nonmember


def two_points(member: np.ndarray, nonmember: np.ndarray) -> Scores:
    """Two scores: an advantage of LIMIT where it is measured worst, at rates around one half."""
    of_members, of_nonmembers = norm.isf(0.5 + LIMIT / 2), norm.isf(0.5 - LIMIT / 2)
    return (member > of_members).astype(float), (nonmember > of_nonmembers).astype(float)


def smooth(member: np.ndarray, nonmember: np.ndarray) -> Scores:
    """Members are shifted: LIMIT of them are found at 1% FPR."""
    return member + TOP - norm.isf(LIMIT), nonmember


def cluster(member: np.ndarray, nonmember: np.ndarray) -> Scores:
    """LIMIT of the members, the same at all checkpoints, lie at once above the threshold of 1% FPR.

    The others are below it: LIMIT are found, and none where the threshold is estimated a little too high.
    """
    above = TOP + WIDTH * norm.cdf(member)
    below = norm.ppf(norm.cdf(member) * (1 - FPR))
    return np.where(np.arange(member.shape[1]) < LIMIT * member.shape[1], above, below), nonmember


Truth = Callable[[np.ndarray, np.ndarray], Scores]


@dataclass(frozen=True)
class Case:
    """A policy, and what is true of all checkpoints: of their examples, of the twin's canaries, of accuracy.

    others: what is true of every second checkpoint's examples and canaries instead; majority: the share of
    the larger of two classes.
    """

    limits: Mapping[str, Any]
    examples: Truth = alike
    canaries: Truth = alike
    others: tuple[Truth, Truth] | None = None
    accuracy: float = 0.7
    majority: float = 0.5
    correlations: Sequence[float] = (0.0, 0.9)


CANARY_RULE = {"max_advantage": 1.0, "max_canary_tpr_at_1pct_fpr": LIMIT}
CASES = {
    "advantage at its limit": Case({"max_advantage": LIMIT}, two_points, correlations=INDEPENDENT),
    "members found at their limit, smooth": Case({"max_tpr_at_1pct_fpr": LIMIT}, smooth),
    "members found at their limit, a cluster": Case({"max_tpr_at_1pct_fpr": LIMIT}, cluster),
    "advantage of the worst class at its limit": Case(
        {"max_class_advantage": LIMIT}, two_points, correlations=INDEPENDENT
    ),
    "canaries found at their limit, smooth": Case(CANARY_RULE, canaries=smooth),
    "canaries found at their limit, a cluster": Case(CANARY_RULE, canaries=cluster),
    "every second checkpoint: members or canaries, clusters": Case(
        {"max_tpr_at_1pct_fpr": LIMIT, "max_canary_tpr_at_1pct_fpr": LIMIT},
        examples=cluster,
        others=(alike, cluster),
    ),
    "accuracy at its limit": Case(
        {"max_advantage": 1.0, "min_val_accuracy": ACCURACY}, accuracy=ACCURACY, correlations=INDEPENDENT
    ),
    "accuracy that of the largest class": Case(
        {"max_advantage": 1.0, "min_val_accuracy": "majority"},
        accuracy=0.6,
        majority=0.6,
        correlations=INDEPENDENT,
    ),
}
NOTHING = Case(STRICT | {"max_canary_tpr_at_1pct_fpr": LIMIT}, correlations=(0.9,))


def measured(scores: Scores, at: int, members: slice, nonmembers: slice) -> Row:
    """The numbers of one row, of a part of the examples at a checkpoint."""
    member, nonmember = scores[0][at, members], scores[1][at, nonmembers]
    curve = roc_curve(member, nonmember)
    row = row_of_curve(curve, len(nonmember) / len(member))
    return row | {"n_member": len(member), "n_nonmember": len(nonmember), "epsilon_fixed_split": np.nan}


def read_back(rows: Sequence[Row]) -> Rows:
    """As from a table: NaN for what was not measured."""
    return [{name: np.nan if cell is None else cell for name, cell in row.items()} for row in rows]


@dataclass(frozen=True)
class Variant:
    """One draw: scores of all checkpoints, which non-members are right, and which are of the larger class."""

    scores: Scores
    right: np.ndarray
    larger: np.ndarray
    classes: bool = field(default=False)

    def rows(self, half: str | None) -> Rows:
        """Rows on the entire dataset, and of both classes where any rule needs them; of a half or of all."""
        start, step = {None: (0, 1), SELECT: (0, 2), REPORT: (1, 2)}[half]
        members, nonmembers = (slice(start, scores.shape[1], step) for scores in self.scores)
        rows = []
        for at in range(CHECKPOINTS):
            head = {"attack": "threshold", "epoch": 2.0 * (at + 1), "half": half}
            head["val_accuracy"] = self.right[at, nonmembers].mean()
            rows.append(head | {"slice": ENTIRE} | measured(self.scores, at, members, nonmembers))
            larger = int(self.larger[nonmembers].sum())
            for label, n in enumerate((larger, len(self.larger[nonmembers]) - larger)):
                row = {"advantage_high": 0.0, "tpr_at_1pct_fpr_high": 0.0, "auc": 0.5, "n_nonmember": n}
                if self.classes:  # every second example of the half is of one class
                    of = [
                        slice(side.start + step * label, side.stop, 2 * step)
                        for side in (members, nonmembers)
                    ]
                    row = measured(self.scores, at, *of)
                rows.append(head | {"slice": f"class={label}"} | row)
        return rows


def drawn(case: Case, rng: np.random.Generator, correlation: float, canaries: bool) -> Scores:
    """Scores of the examples or of the canaries of a variant."""
    sizes = (N_CANARIES // 2, N_CANARIES // 2) if canaries else (N_MEMBER, N_NONMEMBER)
    member, nonmember = (walks(rng, n, correlation) for n in sizes)
    scores = (case.canaries if canaries else case.examples)(member, nonmember)
    if case.others:
        for own, other in zip(scores, case.others[canaries](member, nonmember), strict=True):
            own[1::2] = other[1::2]
    return scores


def variant(case: Case, rng: np.random.Generator, correlation: float) -> Variant:
    """One draw of all but the canaries."""
    right = norm.cdf(walks(rng, N_NONMEMBER, correlation)) < case.accuracy
    larger = rng.random(N_NONMEMBER) < case.majority
    classes = "max_class_advantage" in case.limits
    return Variant(drawn(case, rng, correlation, canaries=False), right, larger, classes)


def canary_rows(scores: Scores) -> Rows:
    """The twin's rows on its canaries."""
    every = slice(None)
    head = {"attack": "threshold", "slice": CANARIES, "val_accuracy": 0.7}
    return [
        head | {"epoch": 2.0 * (at + 1)} | measured(scores, at, every, every) for at in range(CHECKPOINTS)
    ]


def policy_of(case: Case) -> Any:
    return check("gate", {"min_val_accuracy": None, **case.limits}, GateParams).policy("made up")


def seeded(name: str, correlation: float, draw: int) -> np.random.Generator:
    return np.random.default_rng([draw, round(100 * correlation), zlib.crc32(name.encode())])


def false_keeps(name: str, case: Case, correlation: float, draws: int) -> int:
    """In how many draws a variant that is at a limit everywhere "keeps the policy"."""
    return sum(kept(case, seeded(name, correlation, draw), correlation) for draw in range(draws))


def kept(case: Case, rng: np.random.Generator, correlation: float) -> bool:
    """Whether one draw keeps the policy."""
    made, policy = variant(case, rng, correlation), policy_of(case)
    canaries: Rows = []
    if "max_canary_tpr_at_1pct_fpr" in case.limits:
        drawn_rows = canary_rows(drawn(case, rng, correlation, canaries=True))
        canaries = read_back([row | {"leaks": "no"} for row in drawn_rows])
    select = read_back(made.rows(SELECT))
    if all(
        judge(checkpoint, policy)
        for checkpoint in checkpoints(Evidence(select, [], canaries=canaries), SELECT)
    ):
        return False  # no checkpoint is chosen; it spares measuring the other half
    halves = [*select, *read_back(made.rows(REPORT))]
    whole = [row | {"leaks": "no"} for row in select if row["slice"] == ENTIRE]
    return verdict_on("made up", policy, Evidence(halves, whole, canaries=canaries))["verdict"] == KEEPS


def false_leaks(correlation: float, draws: int) -> dict[str, int]:
    """Where nothing leaks: in how many draws the verdict says that a leak was detected, and by what."""
    counts = dict.fromkeys(("by its own rows", "by the twin's canaries", "by the one-run audit", "by any"), 0)
    counts["keeps the policy"] = 0
    for draw in range(draws):
        rng = seeded("nothing leaks", correlation, draw)
        made, twin = (variant(NOTHING, rng, correlation) for _ in range(2))
        coins = drawn(NOTHING, rng, correlation, canaries=True)
        rows = with_leaks(made.rows(None))
        of_twin = with_leaks([*twin.rows(None), *canary_rows(coins)])
        canaries = [row for row in of_twin if row["slice"] == CANARIES]
        scores = np.concatenate([coins[0][-1], coins[1][-1]])
        order = rng.permutation(N_CANARIES)
        audit = one_run(scores[order], (np.arange(N_CANARIES) < N_CANARIES // 2)[order], DELTA)
        evidence = Evidence(
            read_back([row for half in (SELECT, REPORT) for row in made.rows(half)]),
            read_back(rows),
            canaries=read_back(canaries),
            one_run={"epoch": 2 * CHECKPOINTS, **asdict(audit)},
        )
        verdict = verdict_on("made up", policy_of(NOTHING), evidence)
        leaks = verdict["scope"]["leaks"]
        counts["keeps the policy"] += verdict["verdict"] == KEEPS
        counts["by its own rows"] += any(leak["slice"] != CANARIES for leak in leaks)
        counts["by the twin's canaries"] += {"attack": "threshold", "slice": CANARIES} in leaks
        # of the last checkpoint alone, whichever the verdict speaks of
        counts["by the one-run audit"] += audit.epsilon_one_run > 0
        counts["by any"] += bool(leaks) or audit.epsilon_one_run > 0
    return counts


def rate(count: int, draws: int) -> dict[str, Any]:
    """A count with its rate and 95% interval (Clopper-Pearson)."""
    low, high = lower_rate(count, draws, LEVEL / 2), upper_rate(count, draws, LEVEL / 2)
    return {"draws": draws, "count": count, "rate": count / draws, "low": float(low), "high": float(high)}


def table(results: Mapping[str, Any]) -> list[str]:
    """Markdown."""
    lines = ['| truth | scores of neighbouring checkpoints | false "keeps the policy" (aim: at most 2.5%) |']
    lines.append("| --- | --- | --- |")
    for row in results["keeps"]:
        lines.append(f"| {row['truth']} | correlate {row['correlation']:g} | {percent(row)} |")
    lines += [
        "",
        "| nothing leaks | scores of neighbouring checkpoints | share of verdicts |",
        "| --- | --- | --- |",
    ]
    for row in results["nothing leaks"]:
        lines.append(f"| {row['said']} | correlate {row['correlation']:g} | {percent(row)} |")
    return lines


def percent(row: Mapping[str, Any]) -> str:
    low, high = 100 * row["low"], 100 * row["high"]
    return f"{100 * row['rate']:.1f}% ({low:.1f}-{high:.1f}%) of {row['draws']}"


def main(argv: Sequence[str]) -> None:
    """Write the JSON and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate_calibration", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/gate_calibration.json"))
    parser.add_argument("--draws", type=int, default=500, help="of each case (default: %(default)s)")
    args = parser.parse_args(argv)
    keeps, nothing = [], []
    for name, case in CASES.items():
        for correlation in case.correlations:
            count = false_keeps(name, case, correlation, args.draws)
            keeps.append({"truth": name, "correlation": correlation, **rate(count, args.draws)})
            print(keeps[-1], flush=True)
    for correlation in NOTHING.correlations:
        for said, count in false_leaks(correlation, args.draws).items():
            nothing.append({"said": said, "correlation": correlation, **rate(count, args.draws)})
    results = {"checkpoints": CHECKPOINTS, "keeps": keeps, "nothing leaks": nothing}
    write_json(args.out, results)
    print("\n".join(table(results)))


if __name__ == "__main__":
    run(main)
