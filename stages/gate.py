"""Stage gate: data/attack/*/halves.csv and the policy -> metrics/gate.json."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from privacy_report.commands.gate import EPILOG, add_options, judge
from privacy_report.gate.check import VERDICTS
from privacy_report.gate.inputs import read_epsilon, read_halves, read_references, variant_names
from privacy_report.gate.policy import verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.params import load


def main(argv: Sequence[str]) -> None:
    """Write the verdicts, or, with --check, turn the written ones into an exit code."""
    parser = argparse.ArgumentParser(prog="python -m stages.gate", description=__doc__, epilog=EPILOG)
    parser.add_argument("--check", action="store_true", help="only read metrics/gate.json and judge")
    add_options(parser)
    args = parser.parse_args(argv)
    if args.check:
        judge(args.allow_unconfirmed)
        return
    limits: dict[str, float] = load("gate", GateParams).limits
    with memo.timed("gate"):
        verdicts = {
            variant: verdict_on(
                variant, read_halves(variant), limits, read_epsilon(variant), read_references(variant)
            )
            for variant in variant_names()
        }
    policy = [{"rule": rule, "limit": limit} for rule, limit in limits.items()]
    write_json(VERDICTS, {"policy": policy, "variants": verdicts})


if __name__ == "__main__":
    run(main)
