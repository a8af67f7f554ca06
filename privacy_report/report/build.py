"""Everything under plots/: tables, pictures and the page."""

from __future__ import annotations

from pathlib import Path

from privacy_report.report import classes, curves, exposed, figures, losses, page
from privacy_report.report.canaries import check_one_run
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study, check_claim
from privacy_report.report.style import Look, Picture, draw, write_png
from privacy_report.report.tables import merge


def build(study: Study, report: ReportParams) -> Path:
    """Write the report of a study to its folder plots; where the page is."""
    plots = study.root / "plots"
    merge("privacy", study.labels, study.root)
    check_claim(study)
    check_one_run(study)
    curves.write(study, plots)
    look = Look(list(study.labels), report.palette)
    exhibits = exposed.exhibits(study, report.exposed_images)
    svgs = {}
    for picture in pictures(study, look, exhibits):
        drawn = draw(picture, report.dpi)
        write_png(drawn, plots / f"{picture.name}.png", report.dpi)
        svgs[picture.name] = drawn.svgs
    page.write(study, svgs, exhibits, look, report, plots / "report.html")
    return plots / "report.html"


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
