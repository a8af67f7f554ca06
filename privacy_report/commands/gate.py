"""`privacy-report gate`: the verdicts of the last run as lines and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from privacy_report.gate.check import FOLDER as VERDICTS
from privacy_report.gate.check import refuse_stale, verdict_lines
from privacy_report.gate.inputs import variant_names
from privacy_report.gate.metrics import FOLDER as METRICS
from privacy_report.pipeline.recorded import refuse_changed

EPILOG = """Exit code: 0 if every variant keeps the policy; 1 if one breaks it or cannot be judged; 2 if
there are no verdicts, or if they do not belong to the present code, data and parameters. The limits are in
conf/gate; `dvc repro gate` writes the verdicts."""


def main(argv: Sequence[str]) -> None:
    """Print one line per variant; exit with 1 when one does not keep the policy."""
    parser = argparse.ArgumentParser(
        prog="privacy-report gate",
        description="Turn the verdicts in data/gate into an exit code.",
        epilog=EPILOG,
    )
    add_options(parser)
    judge(parser.parse_args(argv).allow_unconfirmed)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What a check can be told."""
    parser.add_argument(
        "--allow-unconfirmed",
        action="store_true",
        help="let a recommendation pass even if the other half of the examples does not confirm it",
    )


def judge(allow_unconfirmed: bool) -> None:
    """Print the lines; exit with 1 when a variant has not passed. UserError for stale verdicts."""
    refuse_stale()
    refuse_changed([str(VERDICTS), str(METRICS)])
    lines, passed = verdict_lines(variant_names(), allow_unconfirmed)
    print("\n".join(lines))
    if not passed:
        sys.exit(1)
