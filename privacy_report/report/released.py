"""What attackers find if a service returns less than logits, with and without reference models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from privacy_report.gate.named import named_in_words
from privacy_report.pipeline.contract import LOGITS, REFERENCES, RELEASES, kind_of, released_to
from privacy_report.pipeline.tables import Row
from privacy_report.report.study import Study
from privacy_report.report.summary import interval, number

WORDS: Mapping[str, str] = {
    LOGITS: "logits",
    "probabilities": "probabilities",
    "rounded_2": "probabilities of two digits",
    "rounded_1": "probabilities of one digit",
    "top": "the largest probability and its label",
    "label": "the label",
}
SHOWN = {"threshold", "rmia"}
"""Attacks on logits that those on less are compared with."""


@dataclass(frozen=True)
class Line:
    """One attack on one release at a variant's last checkpoint, in words."""

    variant: str
    epoch: int
    released: str
    references: str
    attack: str
    auc: str
    tpr: str
    tpr_strict: str
    named: str


def released(study: Study) -> list[Line]:
    """One line per attack that does not see everything, and those it is compared with; none without any."""
    lines = []
    for variant in study.candidates:
        epoch = study.shown(variant)["last"]
        for row in sorted(_rows(study, variant, epoch), key=_order):
            lines.append(_line(study.labels[variant], epoch, row))
    return lines if any(line.released != WORDS[LOGITS] for line in lines) else []


def names(study: Study) -> list[str]:
    """How many members can be named at each variant's last checkpoint, in words."""
    said = []
    for variant, label in study.candidates.items():
        epoch = study.shown(variant)["last"]
        words = named_in_words(study.entire[variant, epoch], study.persons(variant))
        said.append(f"{label}, epoch {epoch}: {words[0].lower()}{words[1:]}.")
    return said


def _rows(study: Study, variant: str, epoch: int) -> list[Row]:
    """The measured rows on the entire dataset that are compared."""
    return [
        row
        for row in study.measured(variant, epoch)
        if released_to(row["attack"]) != LOGITS or row["attack"] in SHOWN
    ]


def _order(row: Row) -> tuple[int, bool]:
    return RELEASES.index(released_to(row["attack"])), kind_of(row["attack"]) == REFERENCES


def _line(label: str, epoch: int, row: Row) -> Line:
    return Line(
        variant=label,
        epoch=epoch,
        released=WORDS[released_to(row["attack"])],
        references="yes" if kind_of(row["attack"]) == REFERENCES else "no",
        attack=row["attack"],
        auc=interval(row, "auc"),
        tpr=interval(row, "tpr_at_1pct_fpr", percent=True),
        tpr_strict=interval(row, "tpr_at_0p1pct_fpr", percent=True),
        named=number(row["named_at_10pct_fdr"], 0),
    )
