"""Report stage: merged tables, PNG figures and plots/report.html, or a table on the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from privacy_report.pipeline.command import run
from privacy_report.pipeline.params import load
from privacy_report.report import closeups, figures, page
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study, check_claim
from privacy_report.report.style import Look, Picture, to_png
from privacy_report.report.tables import merge
from privacy_report.report.terminal import print_table


def main(argv: Sequence[str]) -> None:
    """Write everything under plots/, or, with --table, print what is written."""
    parser = argparse.ArgumentParser(prog="python -m stages.report", description=__doc__)
    parser.add_argument(
        "--table", action="store_true", help="only read plots/*.csv and metrics/gate.json; print the result"
    )
    if parser.parse_args(argv).table:
        print_table(Study())
        return
    report = load("report", ReportParams)
    study = Study()
    for table in ("training", "privacy"):
        merge(table, study.labels)
    merge("roc", study.labels, keep=lambda row: int(row["epoch"]) in study.shown(row["variant"]).values())
    check_claim(study)
    look = Look(list(study.labels), report.palette)
    pictures = draw(study, look, report.exposed_images)
    for name, picture in pictures.items():
        to_png(picture, Path(f"plots/{name}.png"), report.dpi)
    page.write(study, pictures, look, report, Path("plots/report.html"))


def draw(study: Study, look: Look, exposed_images: int) -> dict[str, Picture]:
    """All pictures, in the order of the page, by the name of their PNG."""
    pictures = (
        figures.vulnerability(study, look),
        figures.privacy_vs_accuracy(study, look),
        figures.roc(study, look),
        closeups.per_class(study, look),
        closeups.losses(study, look),
        closeups.gallery(study, exposed_images),
        figures.epsilon(study, look),
    )
    return {picture.name: picture for picture in pictures}


if __name__ == "__main__":
    run(main)
