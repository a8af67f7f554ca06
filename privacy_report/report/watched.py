"""The page about a run in progress: the report on the finished variants, and how far each variant is."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.gate.check import path_of
from privacy_report.gate.inputs import read_evidence
from privacy_report.gate.policy import verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.gate.twins import Sections, is_twin
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.params import load
from privacy_report.report.build import build_page
from privacy_report.report.page import file_of, template
from privacy_report.report.schema import ReportParams
from privacy_report.report.study import Study
from privacy_report.report.study_files import settings

LINKED = ("data/attack", "data/train")
WIDTH, HEIGHT = 160, 28  # of a curve, in its own units


@dataclass(frozen=True)
class Progress:
    """A variant of a run in progress.

    epochs: that it is trained for; val_accuracy: after each finished one; references: finished epochs of its
    reference models, and all; finished: whether it is attacked, too.
    """

    name: str
    label: str
    epochs: int
    val_accuracy: Sequence[float] = ()
    references: tuple[int, int] = (0, 0)
    finished: bool = False

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return len(self.val_accuracy)

    @property
    def is_training(self) -> bool:
        return not self.finished and 0 < self.epoch < self.epochs

    @property
    def state(self) -> str:
        """How far it is, in words."""
        done, of_all = self.references
        if self.finished:
            return "finished"
        if self.epoch < self.epochs:
            return f"epoch {self.epoch} of {self.epochs}" if self.epoch else "not begun"
        return "trained, not yet attacked" if done == of_all else "trained; its reference models are not"

    @property
    def best(self) -> tuple[int, float] | None:
        """The epoch with the highest validation accuracy, and that."""
        known = [(value, -epoch) for epoch, value in enumerate(self.val_accuracy, 1) if not math.isnan(value)]
        return (-max(known)[1], max(known)[0]) if known else None

    @property
    def points(self) -> str:
        """The validation accuracy by epoch as the points of an SVG polyline; the axis begins at 0."""
        step = WIDTH / max(self.epochs - 1, 1)
        known = [(i, value) for i, value in enumerate(self.val_accuracy) if not math.isnan(value)]
        return " ".join(f"{i * step:.1f},{HEIGHT * (1 - value):.1f}" for i, value in known)


def in_one_line(variants: Sequence[Progress]) -> str:
    """How far the run is: what is finished, and the epochs of what is being trained."""
    finished = sum(variant.finished for variant in variants)
    running = [f"{variant.name} at {variant.state}" for variant in variants if variant.is_training]
    return ", ".join([f"{finished} of {len(variants)} variants finished", *running])


def shown(finished: Collection[str], sections: Sections) -> list[str]:
    """The finished variants that the page shows: none while only audit twins are finished.

    Alone, a twin would be taken for what may be shipped.
    """
    names = [name for name in sections if name in finished]
    return names if any(not is_twin(name, sections) for name in names) else []


def page_of(names: Sequence[str]) -> str:
    """The report page on some variants of the study here, with verdicts of this moment; nothing is written.

    UserError as the report stage, and where a table has gone meanwhile.
    """
    params = settings(Path("params.yaml"))
    if gone := [name for name in names if name not in params["variants"]]:
        raise UserError(f"params.yaml: {gone[0]} has gone from it")
    policies = load("gate", GateParams)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _lay_out(root, params | {"variants": {name: params["variants"][name] for name in names}})
        for name in names:
            verdict = verdict_on(name, policies.policy(name), read_evidence(name, root))
            write_json(path_of(name, root), verdict)
        build_page(Study(root), load("report", ReportParams), root / "report.html")
        return (root / "report.html").read_text(encoding="utf-8")


def _lay_out(root: Path, params: dict[str, Any]) -> None:
    """A study's folder with parameters of its own, and links to tables and examples."""
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    places = [f"{place}/{name}" for place in LINKED for name in params["variants"]]
    for place in ("data/prepare", *places):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to(Path(place).absolute())


def with_progress(
    page: str, variants: Sequence[Progress], written: str, seconds: int, trouble: str = ""
) -> str:
    """The page with what is known of the run above its decision; a browser reloads it after some seconds.

    page: of the variants that are finished; "" where none is. written: when, in words; trouble: why the page
    is an earlier one.
    """
    section = template("watched.html.j2").render(
        variants=variants,
        line=in_one_line(variants),
        trouble=trouble,
        written=written,
        seconds=seconds,
        has_page=bool(page),
        width=WIDTH,
        height=HEIGHT,
    )
    if not page:
        page = template("empty.html.j2").render(css=file_of("page.css"))
    refresh = f'<meta http-equiv="refresh" content="{seconds}">'
    return page.replace("<head>\n", f"<head>\n{refresh}\n", 1).replace("<main>\n", f"<main>\n{section}\n", 1)
