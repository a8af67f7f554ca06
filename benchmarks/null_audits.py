"""How often `privacy-report audit` detects a leak where there is none: whole audits, not single rows.

Each audit has the command's defaults, on 1,000 members and 1,000 non-members of one distribution (Gaussian
logits of ten classes, as in `benchmarks.calibration`): nine attacks on the entire dataset and each class, and
those on less than logits, on the entire dataset. All scores are the command's, trained attackers are trained;
of the measures only the p-values are computed, which are all that `leaks` depends on (tests/test_results.py
holds an audit against the command).

`python -m benchmarks.null_audits` writes the row "audits" of benchmarks/calibration.json: in what share of
the audits a leak was detected, by the family of all attacks and, next to it, by a family an attack.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from privacy_report.attack import checkpoint
from privacy_report.attack.findings import attack_examples
from privacy_report.attack.intervals import advantage_p
from privacy_report.attack.roc import sorted_roc
from privacy_report.attack.signals import pool
from privacy_report.attack.tables import with_leaks
from privacy_report.audits.attacks import audit_params
from privacy_report.audits.models import QUICK, SLOWER
from privacy_report.pipeline.command import run
from privacy_report.pipeline.contract import LEVEL, REFERENCES, RELEASES, kind_of
from privacy_report.pipeline.files import read_json, write_json
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row

N, N_CLASSES = 1_000, 10
PARAMS = audit_params((*QUICK, *SLOWER), released=RELEASES[1:])
ATTACKS = tuple(name for name in PARAMS.made if kind_of(name) != REFERENCES)
SHOWN = 5
"""Audits whose smallest p-value is kept, to be held against the code of today."""


MEASURE = "benchmarks.null_audits.p_value_alone"


def null_outputs(seed: int) -> Outputs:
    """Outputs of N members and N non-members of one distribution."""
    rng = np.random.default_rng([seed, 23])
    labels = rng.integers(0, N_CLASSES, 2 * N)
    logits = rng.normal(size=(2 * N, N_CLASSES)).astype(np.float32)
    logits[np.arange(2 * N), labels] += 2.0
    return Outputs(logits[:N], labels[:N], logits[N:], labels[N:])


def p_value_alone(scores: np.ndarray, is_member: np.ndarray, *rest: Any) -> Row:
    """A row as of `measures.measure` that has the p-value alone."""
    return {"advantage_p": advantage_p(sorted_roc(scores, is_member)), "note": ""}


def audit(seed: int) -> list[Row]:
    """Rows with attack, slice, advantage_p and `leaks`, of the null audit with this number."""
    examples = pool(null_outputs(seed))
    with threadpool_limits(1):
        return with_leaks(
            row
            for attack in ATTACKS
            for row in attack_examples(
                examples, replace(checkpoint.plan(attack, PARAMS, None), measure=MEASURE)
            )[0]
        )


def summary(audits: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """Shares of audits in which a leak was detected, and the smallest p-values of the first few."""
    alone = [
        [row["leaks"] for name in ATTACKS for row in with_leaks(r for r in rows if r["attack"] == name)]
        for rows in audits
    ]
    return {
        "audits": len(audits),
        "tested": len(audits[0]),
        "leak_detected": float(np.mean([any(row["leaks"] == "yes" for row in rows) for rows in audits])),
        "leak_detected_by_families_of_an_attack": float(np.mean(["yes" in leaks for leaks in alone])),
        "expected_of_independent_rows": 1 - (1 - LEVEL / len(audits[0])) ** len(audits[0]),
        "smallest_p": [min(row["advantage_p"] for row in rows) for rows in audits[:SHOWN]],
    }


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("calibration.json"))
    args = parser.parse_args(argv)
    audits: list[list[Row]] = []
    with ProcessPoolExecutor(args.workers) as workers:
        for rows in workers.map(audit, range(args.audits)):
            audits.append(rows)
            if len(audits) % 50 == 0 or len(audits) == args.audits:
                row = summary(audits)
                write_json(args.out, (read_json(args.out) if args.out.exists() else {}) | {"audits": row})
                print(row, flush=True)


if __name__ == "__main__":
    run(main)
