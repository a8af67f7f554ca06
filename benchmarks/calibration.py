"""Measure whether the attacks' intervals and verdicts are honest: the Null and the Power table.

Null: members and non-members from one distribution (Gaussian logits; or membership permuted over a score
file), so every `leaks: yes`, every interval without 0.5 and every epsilon bound above 0 is an error.
Power: a planted shift d of the members' loss, where the AUC is Phi(d / sqrt 2) and the TPR at FPR f is
Phi(d + Phi^-1(f)). A trained attacker's own AUC is smaller than that: its interval is about the models
that it fitted, so their AUC on fresh examples is the truth that it has to cover (own_auc_covered). Next to
it, in how many draws the default mode's interval reaches the reference's AUC (default_keeps_up).

`python -m benchmarks.calibration [--scores FILE.npz]` writes benchmarks/calibration.json and prints
Markdown. Every draw is seeded by its number, and a row keeps the AUC and the p-value of its first: it is
measured once for as long as the code gives these. Expensive attackers stop at --minutes each and say how many
draws they had.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from privacy_report.attack import checkpoint, registry
from privacy_report.attack.findings import attack_examples
from privacy_report.attack.measures import row_of_curve
from privacy_report.attack.parity import ParityExamples
from privacy_report.attack.roc import auc, roc_curve
from privacy_report.attack.schema import Estimator
from privacy_report.attack.signals import Examples, pool
from privacy_report.attack.tables import with_leaks
from privacy_report.attack.trained import blocks, build, fit_and_score
from privacy_report.audits.attacks import audit_params, default_estimators
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import ENTIRE
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.outputs import Outputs, read_outputs

N_MEMBER, N_NONMEMBER, N_CLASSES = 5_000, 1_000, 10
SHIFTS = (0.1, 0.5, 1.0, 2.0)
CHEAP = ("logistic",)
THRESHOLD_ATTACKS = tuple(
    name for name, attack in registry.ATTACKS[registry.DEFAULT].items() if attack.needs == registry.OUTPUTS
)
ATTACKS = (*THRESHOLD_ATTACKS, *default_estimators())

POOLED = "null gaussian, pooled folds, logistic"

Draw = Callable[[np.random.Generator], Examples]


def gaussian(rng: np.random.Generator) -> Examples:
    """Gaussian logits with a bonus for the label, the same for both sides."""
    n = N_MEMBER + N_NONMEMBER
    labels = rng.integers(0, N_CLASSES, n)
    logits = rng.normal(size=(n, N_CLASSES))
    logits[np.arange(n), labels] += 2.0
    return Examples(logits, labels, np.arange(n) < N_MEMBER)


def permuted(outputs: Outputs, n_member: int, n_nonmember: int) -> Draw:
    """Random members and non-members among all examples of a score file."""
    examples = pool(outputs)

    def draw(rng: np.random.Generator) -> Examples:
        rows = rng.permutation(len(examples.labels))[: n_member + n_nonmember]
        return Examples(examples.logits[:][rows], examples.labels[rows], np.arange(len(rows)) < n_member)

    return draw


def shifted(d: float, n_member: int = N_MEMBER, n_nonmember: int = N_NONMEMBER) -> Draw:
    """Losses that are one monotone function of N(0, 1) for non-members and N(-d, 1) for members."""

    def draw(rng: np.random.Generator) -> Examples:
        n = n_member + n_nonmember
        labels, is_member = rng.integers(0, N_CLASSES, n), np.arange(n) < n_member
        logits = np.zeros((n, N_CLASSES))
        logits[np.arange(n), labels] = 2.0 + rng.normal(size=n) + d * is_member
        return Examples(logits, labels, is_member)

    return draw


def rows_of(draw: Draw, attack: str, mode: str, draws: int, minutes: float) -> list[dict[str, Any]]:
    """The entire-dataset row of each draw, until `draws` or `minutes` are reached."""
    rows: list[dict[str, Any]] = []
    start = time.monotonic()
    while len(rows) < draws and time.monotonic() - start < 60 * minutes:
        plan = checkpoint.plan(attack, audit_params([attack], [], mode, seed=len(rows)), None)
        examples = draw(np.random.default_rng([len(rows), 20]))
        if mode == registry.PARITY:
            examples = ParityExamples(examples.logits, examples.labels, examples.is_member)
        rows += with_leaks(attack_examples(examples, plan)[0])
    return rows


def pooled_folds(draw: Draw, draws: int, folds: int = 5) -> list[dict[str, Any]]:
    """Rows of the usual way, for comparison: logistic regression's out-of-fold scores, pooled."""
    rows = []
    for seed in range(draws):
        examples = draw(np.random.default_rng([seed, 20]))
        X, is_member = examples.features, examples.is_member
        splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, is_member)
        scores = np.empty(len(X))
        for past, new in splits:
            model = build(Estimator(**default_estimators()["logistic"]), seed)
            scores[new] = fit_and_score(X[past], is_member[past], X[new], model)
        row = row_of_curve(roc_curve(scores[is_member], scores[~is_member]), len(X) / is_member.sum() - 1)
        rows.append(row | {"attack": "logistic", "epsilon_fixed_split": np.nan})
    return [with_leaks([row])[0] for row in rows]


def own_auc(examples: Examples, fresh: Examples, attack: str, seed: int) -> float:
    """What a trained attacker's interval is about: the mean AUC of its blocks' models, on fresh examples.

    Repeats the blocks and seeds of `attack_examples` on the entire dataset.
    """
    params = audit_params([attack])
    rng = np.random.default_rng([seed, 0, zlib.crc32(attack.encode()), zlib.crc32(ENTIRE.encode())])
    block = blocks(examples.is_member, params.folds, rng)
    seeds = rng.integers(2**31, size=params.folds)
    aucs = []
    for k in range(1, params.folds):
        past, model = block < k, build(params.estimators[attack], int(seeds[k]))
        scores = fit_and_score(examples.features[past], examples.is_member[past], fresh.features, model)
        aucs.append(auc(roc_curve(scores[fresh.is_member], scores[~fresh.is_member])))
    return float(np.mean(aucs))


def own_coverage(rows: Sequence[dict[str, Any]], d: float, attack: str) -> float:
    """Share of draws whose interval covers the AUC of the draw's own models (see `own_auc`)."""
    fresh = shifted(d, 20_000, 20_000)(np.random.default_rng(1))
    hits = 0
    for seed, row in enumerate(rows):
        examples = shifted(d)(np.random.default_rng([seed, 20]))
        hits += row["auc_low"] <= own_auc(examples, fresh, attack, seed) <= row["auc_high"]
    return hits / len(rows)


def keeps_up(rows: Sequence[dict[str, Any]], draw: Draw, attack: str) -> float:
    """Share of draws where the default's interval reaches the AUC of the reference (`rows`)."""
    ours = rows_of(draw, attack, "default", len(rows), np.inf)
    return float(np.mean([a["auc_high"] >= b["auc"] for a, b in zip(ours, rows, strict=True)]))


def summarise(rows: Sequence[dict[str, Any]], true_auc: float, tpr: float | None = None) -> dict[str, float]:
    """Shares over draws: leaks, intervals that cover the truth, epsilon above 0; and means."""

    def share(values: Any) -> float:
        return float(np.mean(list(values)))

    result = {
        "draws": len(rows),
        "leaks": share(row["leaks"] == "yes" for row in rows),
        "auc_covered": share(row["auc_low"] <= true_auc <= row["auc_high"] for row in rows),
        "epsilon_above_0": share(row["epsilon_fixed_split"] > 0 for row in rows),
        "auc_mean": share(row["auc"] for row in rows),
        "auc_sd": float(np.std([row["auc"] for row in rows])),
        "advantage_mean": share(row["advantage"] for row in rows),
        "epsilon_fixed_split_mean": share(row["epsilon_fixed_split"] for row in rows),
    }
    if tpr is not None:
        low, high = "tpr_at_1pct_fpr_low", "tpr_at_1pct_fpr_high"
        result["tpr_covered"] = share(row[low] <= tpr <= row[high] for row in rows)
    return result


def null_tasks(scores: Path | None) -> list[tuple[str, str, str, Draw, float | None]]:
    """(table, mode, attack, draw, None): the gaussian null, and the permuted one where there are scores."""
    sources: dict[str, Callable[[str, str], Draw]] = {"gaussian": lambda mode, attack: gaussian}
    if scores:
        outputs = read_outputs(scores)
        full = len(outputs.member_labels), len(outputs.nonmember_labels)

        def of_scores(mode: str, attack: str) -> Draw:
            cheap = mode == "default" and attack in (*THRESHOLD_ATTACKS, *CHEAP)
            return permuted(outputs, *(full if cheap else (N_MEMBER, N_NONMEMBER)))

        sources["permuted"] = of_scores
    tasks = [("default", attack) for attack in ATTACKS]
    tasks += [(registry.PARITY, attack) for attack in ("threshold", "threshold_entropy", "logistic")]
    return [
        (f"null {source}", mode, attack, make(mode, attack), None)
        for source, make in sources.items()
        for mode, attack in tasks
    ]


def power_tasks() -> list[tuple[str, str, str, Draw, float | None]]:
    """(table, mode, attack, draw, d) of the planted shifts."""
    tasks = [("default", "threshold"), ("default", "logistic"), (registry.PARITY, "logistic")]
    return [(f"power d={d}", mode, attack, shifted(d), d) for d in SHIFTS for mode, attack in tasks]


def first_of(draw: Draw, attack: str, mode: str) -> list[float]:
    """What the first draw gives with today's code."""
    (row,) = rows_of(draw, attack, mode, 1, np.inf)
    return [row["auc"], row["advantage_p"]]


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """The tables as Markdown."""
    lines: list[str] = []
    for kind, columns in (
        ("null", ("draws", "leaks", "auc_covered", "epsilon_above_0", "auc_sd", "advantage_mean")),
        (
            "power",
            (
                "draws",
                "leaks",
                "auc_covered",
                "own_auc_covered",
                "default_keeps_up",
                "tpr_covered",
                "auc_mean",
                "auc_sd",
            ),
        ),
    ):
        lines += [
            "",
            "| table | mode | attack | " + " | ".join(columns) + " |",
            "|" + "---|" * (3 + len(columns)),
        ]
        for key, values in results.items():
            if key.startswith(kind):
                cells = [str(values[c]) if c == "draws" else _cell(values.get(c)) for c in columns]
                lines.append("| " + " | ".join([*key.split(", "), *cells]) + " |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, help="score file whose membership is permuted (null only)")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=2.0, help="at most, for each attack and table")
    parser.add_argument("--only", default="", help="tables, modes or attacks with this text in their name")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args(argv)
    results = read_json(args.out) if args.out.exists() else {}
    if args.only in POOLED:
        with threadpool_limits(1):
            results[POOLED] = summarise(pooled_folds(gaussian, args.draws), 0.5)
        del results[POOLED]["epsilon_above_0"], results[POOLED]["epsilon_fixed_split_mean"]  # not measured
        print(POOLED, results[POOLED], flush=True)
        write_json(args.out, results)
    for table, mode, attack, draw, d in [*null_tasks(args.scores), *power_tasks()]:
        key = f"{table}, {mode}, {attack}"
        if args.only not in key:
            continue
        first, done = first_of(draw, attack, mode), results.get(key, {})
        if (done.get("draws"), done.get("first")) == (args.draws, first):
            continue  # today's code gives the same
        truth = (0.5, None) if d is None else (norm.cdf(d / np.sqrt(2)), norm.cdf(d + norm.ppf(0.01)))
        with threadpool_limits(1):
            rows = rows_of(draw, attack, mode, args.draws, args.minutes)
            results[key] = summarise(rows, *truth) | {"first": first}
            if d is not None and mode == "default" and attack not in THRESHOLD_ATTACKS:
                results[key]["own_auc_covered"] = own_coverage(rows, d, attack)
            if d is not None and mode == registry.PARITY:
                results[key]["default_keeps_up"] = keeps_up(rows, draw, attack)
        print(key, results[key], flush=True)
        write_json(args.out, results)
    print(markdown(results))


if __name__ == "__main__":
    run(main)
