"""Everything under plots/: tables, pictures and the page."""

from __future__ import annotations

from pathlib import Path

from privacy_report.report import by_epoch, classes, curves, exposed, histograms, page, remedies, trade_offs
from privacy_report.report.claims import check_claim, check_one_run
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study
from privacy_report.report.study_files import merge
from privacy_report.report.style import Look, Picture, draw, write_png

OVERVIEW = ("vulnerability_by_epoch", "privacy_vs_accuracy")
"""Pictures that are in plots/overview.png, too, which git keeps."""


def build_plots(study: Study, report: ReportParams) -> Path:
    """Write all of a study's folder plots; where the page is. UserError as `build_page`."""
    plots = study.root / "plots"
    page_at = plots / "report.html"
    build_page(study, report, page_at, plots)
    curves.write(study, plots)
    remedies.write(study, plots)
    return page_at


def build_page(study: Study, report: ReportParams, path: Path, pngs: Path | None = None) -> None:
    """Write the page to `path`, and where `pngs` is a folder each picture as a PNG into it.

    The variants' tables are merged first. UserError where an audit refutes a claim.
    """
    merge("privacy", study.labels, study.root)
    check_claim(study)
    check_one_run(study)
    look = Look(list(study.labels), report.palette)
    exhibits = exposed.exhibits(study, report.exposed_images)
    drawn = {picture.name: draw(picture, report.dpi) for picture in pictures(study, look, exhibits)}
    if pngs is not None:
        for name, drawing in drawn.items():
            write_png([drawing], pngs / f"{name}.png", report.dpi)
        write_png([drawn[name] for name in OVERVIEW], pngs / "overview.png", report.dpi)
    panels = {name: drawing.panels for name, drawing in drawn.items()}
    page.write(study, panels, exhibits, look, report, path)


def pictures(study: Study, look: Look, exhibits: dict[str, list[exposed.Exhibit]]) -> tuple[Picture, ...]:
    """All pictures, in the order of the page; plots/overview.png repeats the first two."""
    return (
        by_epoch.vulnerability(study, look),
        trade_offs.privacy_vs_accuracy(study, look),
        trade_offs.roc_picture(study, look),
        classes.classes_picture(study, look),
        histograms.losses_picture(study, look),
        exposed.exposed_picture(study, exhibits),
        by_epoch.epsilon_picture(study, look),
        remedies.picture(study, look),
    )
