"""plots/report.html: one page without any request, from the study and the figures' SVG."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from privacy_report.errors import UserError
from privacy_report.gate.rules import RULES
from privacy_report.pipeline.files import atomic
from privacy_report.report.closeups import exposed, images
from privacy_report.report.dp import private
from privacy_report.report.figures import drawn_attacks
from privacy_report.report.provenance import facts
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study
from privacy_report.report.style import Look, Picture, to_svgs
from privacy_report.report.summary import interval, lines, number

LARGEST = 3_000_000  # bytes
MANY = 6  # variants; with more, cards and galleries fold


def write(
    study: Study, pictures: Mapping[str, Picture], look: Look, report: ReportParams, path: Path
) -> None:
    """Write the page. Raises UserError when it would be larger than 3 MB."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval}
    text = environment.get_template("page.html.j2").render(
        title=report.title,
        study=study,
        cards=[card(study, look, variant) for variant in study.labels],
        many=len(study.labels) > MANY,
        policy=[(RULES[one["rule"]].words, one["limit"]) for one in study.gate["policy"]],
        lines=lines(study),
        pictures={name: [Markup(svg) for svg in to_svgs(picture)] for name, picture in pictures.items()},
        one_line_an_attack=len(drawn_attacks(study)) == len(study.attacks),
        gallery=gallery(study, report.exposed_images),
        private=private(study),
        refused=refused(study),
        facts=facts(study),
    )
    page = text.encode()
    if len(page) > LARGEST:
        size = f"the page would have {len(page)} bytes, allowed: {LARGEST}"
        raise UserError(f"report.exposed_images: {size}; show fewer images")
    with atomic(path) as file:
        file.write(page)


def card(study: Study, look: Look, variant: str) -> dict[str, Any]:
    """The verdict on a variant in words."""
    verdict, last = study.verdict(variant), study.shown(variant).get("last")
    broken = [finding for finding in verdict["failing"] if finding["epoch"] == last]
    return {
        "label": study.labels[variant],
        "color": look.color(variant),
        "epoch": verdict.get("recommended_epoch"),
        "confirmed": verdict.get("confirmed") == "yes",
        "why": why(verdict),
        "last": [breach(finding) for finding in broken],
        "last_epoch": last,
        "numbers": verdict,
        "failing": verdict["failing"],
    }


def breach(finding: Mapping[str, Any]) -> str:
    """A finding in a few words."""
    return f"{finding['rule']} ({'not measured' if finding['value'] is None else finding['reason']})"


def why(verdict: Mapping[str, Any]) -> str:
    """Why this checkpoint, or why none."""
    n, passing = verdict["checkpoints"], verdict["passing"]
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


def gallery(study: Study, count: int) -> dict[str, list[dict[str, Any]]]:
    """Label of a variant -> its most exposed training images with their captions."""
    found = exposed(study, count)
    pixels = images(study.root, sorted({int(row["index"]) for rows in found.values() for row in rows}))
    uris = {index: data_uri(image) for index, image in pixels.items()}
    classes = study.dataset["class_names"]
    return {
        study.labels[variant]: [
            {"uri": uris[int(row["index"])], "index": int(row["index"]), "rank": int(row["rank"])}
            | {"name": classes[int(row["label"])], "score": row["score"]}
            for row in rows
        ]
        for variant, rows in found.items()
        if rows
    }


def data_uri(image: Any) -> str:
    """An image (H, W, 3) uint8 as a PNG in a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


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
