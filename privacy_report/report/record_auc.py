"""How exposure is spread over the members, by reference models: all, and the groups that fare worst."""

from __future__ import annotations

from dataclasses import dataclass

from privacy_report.gate.inputs import read_exposed
from privacy_report.pipeline.contract import CLASS, ENTIRE, GROUP
from privacy_report.pipeline.tables import Row
from privacy_report.report.study import Study
from privacy_report.report.summary import rate

SHOWN = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Record AUCs in the page."""
WORST_AT, WORST = 0.9, 10
"""The record AUC that ranks groups, and how many of a variant are shown."""


@dataclass(frozen=True)
class Line:
    """A share of some members in words, and what noise gives; beyond: whether it is more than that.

    members: how many there are; auc: the record AUC that they reach at least; persons: whether they are
    persons instead of rows.
    """

    variant: str
    group: str
    members: int
    auc: str
    share: str
    noise: str
    beyond: bool
    persons: bool


def spread(study: Study) -> list[Line]:
    """Lines of all members: one for each variant with reference models and each of SHOWN."""
    return [
        _line(study, row)
        for variant in study.candidates
        for row in read_exposed(variant, study.root)
        if row["slice"] == ENTIRE and row["record_auc"] in SHOWN
    ]


def worst_groups(study: Study) -> list[Line]:
    """Of each variant at most WORST classes and groups, those with the largest excess over noise first."""
    lines = []
    for variant in study.close(study.candidates):
        rows = [
            row
            for row in read_exposed(variant, study.root)
            if row["slice"] != ENTIRE and row["record_auc"] == WORST_AT
        ]
        rows.sort(key=lambda row: row["noise"] - row["share"])
        lines += [_line(study, row) for row in rows[:WORST]]
    return lines


def _line(study: Study, row: Row) -> Line:
    return Line(
        variant=study.labels[row["variant"]],
        group=_named(study, row["slice"]),
        members=int(row["n_member"]),
        auc=f"{row['record_auc']:g}",
        share=f"{rate(row['share'])} [{rate(row['share_low'])}, {rate(row['share_high'])}]",
        noise=f"{rate(row['noise'])}, at most {rate(row['noise_high'])}",
        beyond=row["share"] > row["noise_high"],
        persons=study.persons(row["variant"]),
    )


def _named(study: Study, name: str) -> str:
    if name.startswith(CLASS):
        return str(study.dataset["class_names"][int(name.removeprefix(CLASS))])
    return name.removeprefix(GROUP)
