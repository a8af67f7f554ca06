"""Report stage: tables for `dvc plots`, PNG figures and plots/report.html, or a table on the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from privacy_report.pipeline import store
from privacy_report.pipeline.command import run
from privacy_report.pipeline.params import load
from privacy_report.report import classes, curves, exposed, figures, losses, page
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study, check_claim
from privacy_report.report.style import Look, Picture, draw, write_png
from privacy_report.report.tables import merge
from privacy_report.report.terminal import print_table

PAGE = Path("plots/report.html")


def main(argv: Sequence[str]) -> None:
    """Write everything under plots/, or, with --table, print what is written."""
    parser = argparse.ArgumentParser(prog="python -m stages.report", description=__doc__)
    parser.add_argument(
        "--table", action="store_true", help="only read plots/privacy.csv and data/; print the result"
    )
    if parser.parse_args(argv).table:
        print_table(Study())
        return
    report = load("report", ReportParams)
    study = Study()
    merge("privacy", study.labels)
    check_claim(study)
    curves.write(study, Path("plots"))
    look = Look(list(study.labels), report.palette)
    exhibits = exposed.exhibits(study, report.exposed_images)
    svgs = {}
    for picture in pictures(study, look, exhibits):
        drawn = draw(picture, report.dpi)
        write_png(drawn, Path(f"plots/{picture.name}.png"), report.dpi)
        svgs[picture.name] = drawn.svgs
    page.write(study, svgs, exhibits, look, report, PAGE)
    store.share(Path("data"))  # the last stage: DVC has put all other outputs into its cache
    print_table(study)
    print(f"page: {PAGE}", flush=True)


def pictures(study: Study, look: Look, exhibits: dict[str, list[exposed.Exhibit]]) -> tuple[Picture, ...]:
    """All pictures, in the order of the page."""
    return (
        figures.vulnerability(study, look),
        figures.privacy_vs_accuracy(study, look),
        figures.roc_picture(study, look),
        classes.classes_picture(study),
        losses.losses_picture(study, look),
        exposed.exposed_picture(study, exhibits),
        figures.epsilon_picture(study, look),
    )


if __name__ == "__main__":
    run(main)
