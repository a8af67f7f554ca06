"""Stage gate: what the attacks found on a variant, and the policy -> its verdict and metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from privacy_report.commands.gate import EPILOG, add_options, judge
from privacy_report.gate.check import path_of
from privacy_report.gate.inputs import read_epsilon, read_halves, read_references, read_rows_of
from privacy_report.gate.metrics import metrics
from privacy_report.gate.policy import verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.params import load

METRICS = Path("metrics")


def main(argv: Sequence[str]) -> None:
    """Write a variant's verdict and metrics, or, with --check, turn all verdicts into an exit code."""
    parser = argparse.ArgumentParser(prog="python -m stages.gate", description=__doc__, epilog=EPILOG)
    parser.add_argument("variant", nargs="?", help="a name under `variants` in params.yaml")
    parser.add_argument(
        "--check", action="store_true", help="only read the verdicts on all variants and judge"
    )
    add_options(parser)
    args = parser.parse_args(argv)
    if args.check == bool(args.variant):
        parser.error("give a variant, or --check")
    if args.check:
        judge(args.allow_unconfirmed)
        return
    limits: dict[str, float] = load("gate", GateParams).limits
    epsilon, references = read_epsilon(args.variant), read_references(args.variant)
    verdict = verdict_on(args.variant, read_halves(args.variant), limits, epsilon, references)
    write_json(path_of(args.variant), verdict)
    write_json(METRICS / f"{args.variant}.json", metrics(verdict, read_rows_of(args.variant), epsilon))


if __name__ == "__main__":
    run(main)
