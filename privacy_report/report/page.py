"""plots/report.html: one page that asks for nothing, from the study and its static pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from privacy_report.gate.policy import in_words
from privacy_report.gate.scope import not_tried
from privacy_report.gate.words import attackers as attackers_of
from privacy_report.pipeline.contract import EARLY
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.notes import reasons
from privacy_report.report.canaries import coins, side_by_side
from privacy_report.report.cards import card, tried, untried
from privacy_report.report.differential_privacy import private
from privacy_report.report.explore import bundle, contents, packed
from privacy_report.report.exposed import Exhibit
from privacy_report.report.glossary import GLOSSARY
from privacy_report.report.marks import attackers
from privacy_report.report.provenance import facts
from privacy_report.report.queries import asked_too_little, compared
from privacy_report.report.recommendation import recommendation
from privacy_report.report.record_auc import spread, worst_groups
from privacy_report.report.released import names, released
from privacy_report.report.remedies import lines as remedy_lines
from privacy_report.report.rows import first_screen, measured
from privacy_report.report.runs import runs
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import MORE_THAN_OUTPUTS, Study
from privacy_report.report.style import Look
from privacy_report.report.summary import interval, number, rate
from privacy_report.report.trade_offs import FEWEST_FALSE_POSITIVES

FOLDER = Path(__file__).parent
SCRIPTS = ("explore.js", "tables.js", "controls.js")
MOST_REASONS = 20  # listed; the page says how many more there are


def template(name: str) -> Template:
    """A template of this folder."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "rate": rate}
    return environment.get_template(name)


def file_of(name: str) -> Markup:
    """A file of this folder, to be put into a page as it is."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def write(
    study: Study,
    pictures: Mapping[str, list[tuple[str, str]]],
    exhibits: Mapping[str, list[Exhibit]],
    look: Look,
    report: ReportParams,
    path: Path,
) -> None:
    """Write the page. pictures: name -> (data URI, alt text) a panel; exhibits: variant -> its images."""
    text = template("page.html.j2").render(
        title=report.title,
        study=study,
        glossary=GLOSSARY,
        css=file_of("page.css"),
        script=Markup("\n").join(map(file_of, SCRIPTS)),
        vega=packed(bundle()),
        contents=packed(contents(study, look)),
        pictures=pictures,
        queries=compared(study),
        releases=released(study),
        names=names(study),
        remedies=remedy_lines(study),
        spread=spread(study),
        worst_groups=worst_groups(study),
        facts=facts(study),
        **_decision(study, look),
        **_evidence(study, exhibits, report),
    )
    with atomic(path) as file:
        file.write(text.encode())


def _decision(study: Study, look: Look) -> dict[str, Any]:
    """What the first screen and the captions of the views need."""
    rows = first_screen(study, {name: look.color(name) for name in study.labels})
    recommended = recommendation(study)
    verdict = study.verdict(recommended.variant) if recommended.variant else None
    return {
        "recommended": recommended,
        "tried_on_it": attackers_of(verdict) if verdict else [],
        "untried_on_it": not_tried(verdict["scope"]) if verdict else [],
        "rows": rows,
        "measured": measured(rows),
        "cards": {name: card(study, name) for name in study.labels},
        "tried": tried(study),
        "untried": untried(study),
        "policies": policies(study),
        "attackers": attackers(study),
        "more": study.attacks(MORE_THAN_OUTPUTS),
        "early": study.attacks([EARLY]),
        "no_classes": no_classes(study),
        "few": FEWEST_FALSE_POSITIVES,
        "pictured": len(runs(study)),
        "closely": len(study.close(runs(study))),
    }


def _evidence(study: Study, exhibits: Mapping[str, list[Exhibit]], report: ReportParams) -> dict[str, Any]:
    """What stands below the views."""
    unmeasured = refused(study)
    return {
        "exhibits": {study.labels[variant]: shown for variant, shown in exhibits.items()},
        "rankings": {exhibit.row["ranking"] for shown in exhibits.values() for exhibit in shown},
        "wanted": report.exposed_images,
        "at_chance": [study.labels[name] for name in study.close(runs(study)) if name in study.at_chance],
        "private": private(study),
        "canary_lines": side_by_side(study),
        "canary_coins": coins(study),
        "placebos": placebos(study),
        "asked_too_little": asked_too_little(study),
        "refused": unmeasured[:MOST_REASONS],
        "not_listed": len(unmeasured[MOST_REASONS:]),
    }


def no_classes(study: Study) -> str:
    """Why no class was measured and what would give numbers; empty where one was."""
    rows = [row for rows in study.by_class.values() for row in rows]
    if any(not math.isnan(row["auc"]) for row in rows):
        return ""
    if not rows:
        more = " Add class to attack.slices." if study.trained_here else ""
        return f"Leak by class: no attack was made by class.{more}"
    most = max(row["n_nonmember"] for row in rows)
    return (
        f"Leak by class: no class has enough non-members; the largest has {most:.0f}. "
        "More non-members would give numbers."
    )


def policies(study: Study) -> dict[str, list[str]]:
    """Each policy in words -> the labels of the variants that are held to it."""
    labels_of: dict[str, list[str]] = {}
    for variant, label in study.labels.items():
        labels_of.setdefault("; ".join(in_words(study.verdict(variant)["policy"])), []).append(label)
    return labels_of


def placebos(study: Study) -> list[str]:
    """What the placebo gives at the last checkpoint of each variant that has one, in words."""
    said = []
    for variant, rows in study.placebo.items():
        last = max(rows, key=lambda row: row["epoch"])
        if math.isnan(last["auc"]):
            continue
        off = last["auc_low"] > 0.5 or last["auc_high"] < 0.5
        said.append(
            f"{study.labels[variant]}, epoch {last['epoch']:.0f}: AUC {interval(last, 'auc')}"
            + (", not 0.5: members and non-members differ in more than membership" if off else "")
        )
    return said


def refused(study: Study) -> list[tuple[str, int]]:
    """What was not or not fully measured, with the number of rows, most frequent first.

    A note may name several reasons; the counts of examples in them differ from row to row and are left
    out, so that each reason is listed once.
    """
    counts = Counter(reason for row in study.privacy for reason in set(reasons(row["note"])))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
