"""Stage gate: what the attacks found on a variant, and the policy -> its verdict and metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from privacy_report.commands.gate import EPILOG, add_options, judge
from privacy_report.gate import twins
from privacy_report.gate.check import path_of
from privacy_report.gate.inputs import read_epsilon, read_halves, read_references, read_rows_of, read_variants
from privacy_report.gate.metrics import metrics, rounded
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
    write_verdict(args.variant, load("gate", GateParams).limits)


def write_verdict(variant: str, limits: dict[str, float]) -> None:
    """Judge a variant by its own rows and by its twin's canaries; a twin itself is never recommended."""
    sections, halves = read_variants(), read_halves(variant)
    epsilon, references = read_epsilon(variant), read_references(variant)
    twin = twins.twin_of(variant, sections)
    canaries = twins.canary_rows(twin) if twin else []
    rows = [*halves, *twins.in_both_halves(canaries, halves)]
    verdict = verdict_on(variant, rows, limits, epsilon, references)
    found = {}
    if twins.is_twin(variant, sections):
        verdict = twins.not_for_shipping(verdict)
        found = rounded(twins.canary_metrics(canaries, twins.read_one_run(variant)))
    write_json(path_of(variant), verdict)
    write_json(METRICS / f"{variant}.json", metrics(verdict, read_rows_of(variant), epsilon) | found)


if __name__ == "__main__":
    run(main)
