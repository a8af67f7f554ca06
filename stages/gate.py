"""Stage gate: what the attacks found on a variant, and the policy -> its verdict and metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from privacy_report.commands.gate import EPILOG, add_options, judge
from privacy_report.gate.check import path_of
from privacy_report.gate.inputs import read_evidence, read_variants
from privacy_report.gate.metrics import FOLDER, metrics, rounded
from privacy_report.gate.policy import Evidence, verdict_on
from privacy_report.gate.schema import GateParams, Policy
from privacy_report.gate.seeds import runs_of, spread
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked


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
    policy = load("gate", GateParams).policy(args.variant)
    write_verdict(args.variant, policy, read_evidence(args.variant))


def write_verdict(variant: str, policy: Policy, evidence: Evidence) -> None:
    """Judge a variant by its own rows and by its twin's canaries."""
    verdict = verdict_on(variant, policy, evidence)
    write_json(path_of(variant), verdict)
    values = metrics(verdict, evidence.rows, evidence.claim, evidence.one_run, evidence.white_box)
    sections = read_variants()
    if not sections[variant].get("repeats"):
        released = verdict.get("released")
        runs = runs_of(variant, sections)
        if seeds := spread(runs, values["epoch"], released):
            values |= rounded(seeds) | {"seeds": len(runs)}
    write_json(FOLDER / f"{variant}.json", values)


if __name__ == "__main__":
    run(checked(main))
