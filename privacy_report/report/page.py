"""plots/report.html: one page without any request, from the study and the figures' SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privacy_report.gate.policy import in_words
from privacy_report.pipeline.contract import EARLY
from privacy_report.pipeline.files import atomic
from privacy_report.pipeline.notes import reasons
from privacy_report.report.canaries import coins, side_by_side
from privacy_report.report.cards import card, untried
from privacy_report.report.differential_privacy import private
from privacy_report.report.exposed import Exhibit
from privacy_report.report.figures import attackers
from privacy_report.report.provenance import facts
from privacy_report.report.recommendation import recommendation
from privacy_report.report.released import names, released
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import MORE_THAN_OUTPUTS, Study
from privacy_report.report.style import Look
from privacy_report.report.summary import interval, lines, number, rate

MOST_REASONS = 20  # listed; the page says how many more there are


def write(
    study: Study,
    svgs: Mapping[str, list[str]],
    exhibits: Mapping[str, list[Exhibit]],
    look: Look,
    report: ReportParams,
    path: Path,
) -> None:
    """Write the page. svgs: name of a picture -> its panels; exhibits: variant -> its exposed images."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "rate": rate}
    unmeasured = refused(study)
    text = environment.get_template("page.html.j2").render(
        title=report.title,
        study=study,
        cards=[card(study, look, variant) for variant in study.labels],
        untried=untried(study),
        recommended=recommendation(study),
        policies=policies(study),
        lines=lines(study),
        pictures={name: [Markup(svg) for svg in panels] for name, panels in svgs.items()},
        closely=len(study.close(study.labels)),
        attackers=attackers(study),
        more=study.attacks(MORE_THAN_OUTPUTS),
        early=study.attacks([EARLY]),
        exhibits={study.labels[variant]: shown for variant, shown in exhibits.items()},
        rankings={exhibit.row["ranking"] for shown in exhibits.values() for exhibit in shown},
        wanted=report.exposed_images,
        at_chance=[study.labels[name] for name in study.close(study.labels) if name in study.at_chance],
        private=private(study),
        canary_lines=side_by_side(study),
        canary_coins=coins(study),
        placebos=placebos(study),
        releases=released(study),
        names=names(study),
        refused=unmeasured[:MOST_REASONS],
        not_listed=len(unmeasured[MOST_REASONS:]),
        facts=facts(study),
    )
    with atomic(path) as file:
        file.write(text.encode())


def policies(study: Study) -> dict[str, list[str]]:
    """Each policy in words -> the labels of the variants that are held to it."""
    found: dict[str, list[str]] = {}
    for variant, label in study.labels.items():
        found.setdefault("; ".join(in_words(study.verdict(variant)["policy"])), []).append(label)
    return found


def placebos(study: Study) -> list[str]:
    """What the placebo gives at the last checkpoint of each variant that has one, in words."""
    said = []
    for variant, rows in study.placebo.items():
        last = max(rows, key=lambda row: row["epoch"])
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
