"""Measure whether the attacks with reference models are honest: the Null and the Power table.

Null, where every `leaks` and every interval without 0.5 is an error: *noise*, in which no model learns who
its members are; *permuted*, in which every model does, but the target's labels are drawn at random, after its
training; and, with --file, the same on the outputs of real models. Power: N(mu_i, 1) for OUT and
N(mu_i + d, 1) for IN with a hardness mu_i of each example, where no attack exceeds an AUC of Phi(d / sqrt 2).
An attack that has to estimate mu_i has less: its own AUC, from one draw of 400,000 examples, is what its
intervals have to cover.

`python benchmarks/reference_calibration.py [--file FILE.npz]` writes benchmarks/reference_calibration.json
and prints Markdown. FILE has `phi` (k, n) and `is_member` (k, n) of the references, `target_phi` (n,),
and may have `early_phi` (m, n), the target's own early checkpoints. Every draw is seeded by its number and
table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from privacy_report.attack.intervals import LEVEL, advantage_p, auc_interval
from privacy_report.attack.reference_scores import REFERENCE_SCORES, trajectory
from privacy_report.attack.references import References
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.errors import UserError
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.training.memberships import halves

N_MEMBER, N_NONMEMBER = 5_000, 1_000
N_TRUTH = 200_000
"""Examples per side in the one draw that shows an attack's own AUC."""
COUNTS = (2, 4, 8, 16)
GAPS = (0.5, 1.0, 2.0)
EARLY, EARLY_SHARE = 4, 0.2
"""Early checkpoints of the target, and the part of the gap that they have learnt already."""
STREAM = 30


@dataclass(frozen=True)
class Case:
    """One target to attack: `target_phi` (n,), `is_member` bool (n,), and what it is compared with.

    `references`; `early_phi` (m, n): the target's own early checkpoints, or None.
    """

    target_phi: np.ndarray
    is_member: np.ndarray
    references: References
    early_phi: np.ndarray | None = None


Draw = Callable[[np.random.Generator, int], Case]


def outputs(
    rng: np.random.Generator, is_member: np.ndarray, hardness: np.ndarray, gap: float | np.ndarray
) -> np.ndarray:
    """Confidences of models with the memberships (m, n): N(hardness + gap * member, 1), float32 (m, n)."""
    noise = rng.standard_normal(is_member.shape, np.float32)
    return (hardness + gap * is_member + noise).astype(np.float32)


def planted(
    rng: np.random.Generator,
    count: int,
    gap: float,
    is_member: np.ndarray,
    trained_on: np.ndarray | None = None,
) -> Case:
    """A planted target and `count` references; `trained_on`: what it really saw, where not `is_member`."""
    saw = is_member if trained_on is None else trained_on
    hardness = rng.normal(2.0, 2.0, len(is_member))
    sides = halves(len(is_member), count, int(rng.integers(2**31)))
    return Case(
        outputs(rng, saw[None], hardness, gap)[0],
        is_member,
        References(outputs(rng, sides, hardness, gap), sides),
        outputs(rng, np.tile(saw, (EARLY, 1)), hardness, EARLY_SHARE * gap),
    )


def split(n_member: int = N_MEMBER, n_nonmember: int = N_NONMEMBER) -> np.ndarray:
    """Members first, bool (n,)."""
    return np.arange(n_member + n_nonmember) < n_member


def noise(rng: np.random.Generator, count: int) -> Case:
    """Models that learn nothing about single examples."""
    return planted(rng, count, 0.0, split())


def permuted(rng: np.random.Generator, count: int) -> Case:
    """Models that do, and labels that have nothing to do with what the target saw."""
    is_member = split()
    return planted(rng, count, 1.0, is_member, rng.random(len(is_member)) < 0.5)


def power(gap: float) -> Draw:
    """Models that learn a gap between IN and OUT, and true labels."""
    return lambda rng, count: planted(rng, count, gap, split())


def permuted_file(path: Path) -> Draw:
    """Random labels for random examples of a file of real outputs."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    missing = {"phi", "is_member", "target_phi"} - set(arrays)
    if missing:
        raise UserError(f"{path}: has no {', '.join(sorted(missing))}, allowed: phi, is_member, target_phi")
    n = len(arrays["target_phi"])
    n_member = min(N_MEMBER, n * N_MEMBER // (N_MEMBER + N_NONMEMBER))
    is_member = split(n_member, min(N_NONMEMBER, n - n_member))

    def draw(rng: np.random.Generator, count: int) -> Case:
        rows = rng.permutation(n)[: len(is_member)]
        references = References(arrays["phi"][:count, rows], arrays["is_member"][:count, rows])
        early = arrays["early_phi"][:, rows] if "early_phi" in arrays else None
        return Case(arrays["target_phi"][rows], is_member, references, early)

    return draw


def scores(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """(name, scores (n,)) of every attack."""
    for name, score in REFERENCE_SCORES.items():
        yield name, score(case.target_phi, case.references)
    if case.early_phi is not None:
        yield "trajectory", trajectory(case.target_phi, case.early_phi)


Scores = Callable[[Case], Iterator[tuple[str, np.ndarray]]]


def measure(case: Case, attacks: Scores = scores) -> dict[str, tuple[float, float, float, float]]:
    """(AUC, its interval's ends, p-value of the advantage) by attack."""
    by_attack = {}
    for name, values in attacks(case):
        curve = roc_curve(values[case.is_member], values[~case.is_member])
        by_attack[name] = (auc(curve), *auc_interval(curve), advantage_p(curve))
    return by_attack


def summarise(
    draw: Draw,
    count: int,
    draws: int,
    truth: dict[str, float],
    stream: int = STREAM,
    attacks: Scores = scores,
) -> dict[str, dict[str, float]]:
    """By attack: shares of draws that declare a leak and whose interval covers the true AUC; mean and sd."""
    streams = (np.random.default_rng([seed, count, stream]) for seed in range(draws))
    rows = [measure(draw(rng, count), attacks) for rng in streams]
    result = {}
    for name in rows[0]:
        value, low, high, p = np.array([row[name] for row in rows]).T
        result[name] = {
            "draws": draws,
            "leaks": float((p < LEVEL).mean()),
            "auc_true": truth[name],
            "auc_covered": float(((low <= truth[name]) & (truth[name] <= high)).mean()),
            "auc_mean": float(value.mean()),
            "auc_sd": float(value.std()),
        }
    return result


def tables(file: Path | None) -> Iterator[tuple[str, Draw, float | None]]:
    """(name, draw, gap) of each table; a gap of None says that nothing is to be found."""
    yield "null noise", noise, None
    yield "null permuted", permuted, None
    if file:
        yield f"null {file.stem}", permuted_file(file), None
    for gap in GAPS:
        yield f"power d={gap}", power(gap), gap


def true_auc(gap: float | None, count: int, attacks: Scores = scores) -> dict[str, float]:
    """Each attack's own AUC: 0.5 where there is nothing to find, else that of one large draw."""
    rng = np.random.default_rng([count, STREAM])
    if gap is None:
        return {name: 0.5 for name, _ in attacks(noise(rng, count))}
    case = planted(rng, count, gap, split(N_TRUTH, N_TRUTH))
    return {name: auc(roc_curve(s[case.is_member], s[~case.is_member])) for name, s in attacks(case)}


def markdown(results: dict[str, dict[str, float]]) -> str:
    """All rows as one Markdown table; `optimum` is the AUC of an attacker who knows mu_i and d."""
    columns = ("draws", "leaks", "auc_covered", "auc_true", "auc_mean", "auc_sd")
    lines = ["| table | references | attack | " + " | ".join(columns) + " | optimum |", "|" + "---|" * 10]
    for key, values in sorted(results.items(), key=_place):
        table = key.split(", ")[0]
        best = f"{norm.cdf(float(table.split('=')[1]) / np.sqrt(2)):.3f}" if table.startswith("power") else ""
        cells = [str(values[c]) if c == "draws" else f"{values[c]:.3f}" for c in columns]
        lines.append("| " + " | ".join([*key.split(", "), *cells, best]) + " |")
    return "\n".join(lines)


def _place(item: tuple[str, dict[str, float]]) -> tuple[str, int]:
    """Tables by name, then by the number of references: the file's keys are sorted as text."""
    table, count, _ = item[0].split(", ")
    return table, int(count)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help="outputs of real models, whose labels are permuted")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--only", default="", help="tables with this text in their name")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results = read_json(args.out) if args.out.exists() else {}
    for table, draw, gap in tables(args.file):
        if args.only not in table:
            continue
        for count in COUNTS:
            with threadpool_limits(1):
                rows = summarise(draw, count, args.draws, true_auc(gap, count), crc32(table.encode()))
            results |= {f"{table}, {count}, {name}": row for name, row in rows.items()}
            print(table, count, {name: row["leaks"] for name, row in rows.items()}, flush=True)
            write_json(args.out, results)
    print(markdown(results))


if __name__ == "__main__":
    run(main)
