"""Report stage: tables for `dvc plots`, PNG figures and plots/report.html, or a table on the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from privacy_report.pipeline import leftovers
from privacy_report.pipeline.command import run
from privacy_report.pipeline.params import load
from privacy_report.pipeline.recorded import checked
from privacy_report.report.build import build_plots
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study
from privacy_report.report.terminal import print_table


def main(argv: Sequence[str]) -> None:
    """Write everything under plots/, or, with --table, print what is written."""
    parser = argparse.ArgumentParser(prog="python -m stages.report", description=__doc__)
    parser.add_argument(
        "--table", action="store_true", help="only read plots/privacy.csv and data/; print the result"
    )
    if parser.parse_args(argv).table:
        print_table(Study())
        return
    study = Study()
    page = build_plots(study, load("report", ReportParams))
    print_table(study)
    for path in leftovers.left(study.labels):
        print(f"{path}: belongs to no variant; delete it if you do not need it")
    print(f"page: {page}", flush=True)


if __name__ == "__main__":
    run(checked(main))
