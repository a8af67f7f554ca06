"""plots/report.html: one page without any request, from the study and the figures' SVG."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from privacy_report.gate.rules import RULES
from privacy_report.gate.twins import AUDIT
from privacy_report.pipeline.contract import EARLY, REFERENCES
from privacy_report.pipeline.files import atomic
from privacy_report.report.canaries import coins, side_by_side
from privacy_report.report.differential_privacy import private
from privacy_report.report.exposed import Exhibit
from privacy_report.report.figures import attackers
from privacy_report.report.provenance import facts
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import MORE_THAN_OUTPUTS, Study
from privacy_report.report.style import Look
from privacy_report.report.summary import interval, lines, number

# What there may be without end is cut, and the page says where the rest is.
MOST_FINDINGS = 400  # in the tables of all cards together, and at least LEAST_FINDINGS in each
LEAST_FINDINGS = 5
MOST_REASONS = 20


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
    environment.filters |= {"number": number, "interval": interval}
    reasons = refused(study)
    text = environment.get_template("page.html.j2").render(
        title=report.title,
        study=study,
        cards=[card(study, look, variant) for variant in study.labels],
        policy=[(RULES[one["rule"]].words, one["limit"]) for one in study.policy],
        lines=lines(study),
        pictures={name: [Markup(svg) for svg in panels] for name, panels in svgs.items()},
        closely=len(study.close(study.labels)),
        attackers=attackers(study),
        more=study.attacks(MORE_THAN_OUTPUTS),
        early=study.attacks([EARLY]),
        exhibits={study.labels[variant]: shown for variant, shown in exhibits.items()},
        rankings={exhibit.row["ranking"] for shown in exhibits.values() for exhibit in shown},
        wanted=report.exposed_images,
        private=private(study),
        canary_lines=side_by_side(study),
        canary_coins=coins(study),
        placebos=placebos(study),
        refused=reasons[:MOST_REASONS],
        not_listed=len(reasons[MOST_REASONS:]),
        facts=facts(study),
    )
    with atomic(path) as file:
        file.write(text.encode())


def card(study: Study, look: Look, variant: str) -> dict[str, Any]:
    """The verdict on a variant in words."""
    verdict, last = study.verdict(variant), study.shown(variant).get("last")
    failing, epoch = verdict["failing"], verdict.get("recommended_epoch")
    confirmed, references = verdict.get("confirmed") == "yes", verdict["reference_models"]
    rows = study.entire.get((variant, math.nan if epoch is None else epoch), ())
    leaking = [row["attack"] for row in rows if row["leaks"] == "yes"]
    most = max(LEAST_FINDINGS, MOST_FINDINGS // len(study.labels))
    return {
        "label": study.labels[variant],
        "color": look.color(variant),
        "epoch": epoch,
        "confirmed": confirmed,
        "references": references,
        "colour": "bad" if not confirmed else "good" if references and not leaking else "fair",
        "judged": judged(study, references),
        "leaking": leaking,
        "why": why(verdict),
        "last": [breach(finding) for finding in failing if finding["epoch"] == last],
        "last_epoch": last,
        "numbers": verdict,
        "failing": failing[:most],
        "left_out": len(failing[most:]),
    }


def judged(study: Study, references: int) -> str:
    """Which kinds of attacker judged a variant."""
    kinds = ["the model's outputs"]
    if study.attacks((EARLY,)):
        kinds.append("its early checkpoints")
    if references and study.attacks((REFERENCES,)):
        return f"Judged by attackers with {', '.join(kinds)} and {references} reference models."
    return (
        f"Judged by attackers with {' and '.join(kinds)} alone, not by reference models: whoever trains "
        "models on similar data may find more."
    )


def breach(finding: Mapping[str, Any]) -> str:
    """A finding in a few words."""
    return f"{finding['rule']} ({'not measured' if finding['value'] is None else finding['reason']})"


def why(verdict: Mapping[str, Any]) -> str:
    """Why this checkpoint, or why none."""
    n, passing = verdict["checkpoints"], verdict["passing"]
    if verdict["verdict"] == AUDIT:
        return "An audit twin, trained with canaries: its findings count for the variant without them."
    if n == passing == 1:
        return "The only checkpoint, and it keeps every rule."
    if passing:
        which = (
            f"{passing} of {n} checkpoints that keep" if passing > 1 else f"1 of {n} checkpoints that keeps"
        )
        return f"Best validation accuracy among the {which} every rule."
    counts: dict[str, list[int]] = {}
    for finding in verdict["failing"]:
        counts.setdefault(RULES[finding["rule"]].words, []).append(finding["value"] is None)
    said = [
        f"“{rule} …” is broken at {len(unjudged)}"
        + (f" ({sum(unjudged)} of them could not be measured)" if any(unjudged) else "")
        for rule, unjudged in counts.items()
    ]
    return f"Of {n} checkpoints: {'; '.join(said)}."


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


def reasons(note: str) -> list[str]:
    """The reasons in a note of privacy.csv, without the counts that vary."""
    bare = (re.sub(r", has \d+.*$", "", part) for part in note.split("; ") if part)
    return [
        re.sub(
            r"^not attacked: .*\b(at least \d+) of each.*$", r"not attacked: \1 of each side are needed", one
        )
        for one in bare
    ]
