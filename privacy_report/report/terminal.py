"""The result as one compact table that fits the terminal, or as plain text in a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.gate.words import AUDITED, BAD, FAIR, GOOD, colour
from privacy_report.gate.words import line as in_line
from privacy_report.report.recommendation import recommendation
from privacy_report.report.study import Study
from privacy_report.report.summary import Line, lines

HEADS = {
    "variant": "Variant",
    "which": "Checkpoint",
    "epoch": "Epoch",
    "val_accuracy": "Accuracy",
    "auc": "AUC [95%]",
    "advantage": "Advantage",
    "tpr": "Found at\n1% FPR",
    "claimed": "ε claimed",
    "audited": "ε audited\n(95%)",
    "verdict": "Verdict",
}
NARROW = {"auc": "AUC", "claimed": "ε\nclaimed", "audited": "ε\naudited"}
"""Heads that differ below WIDE columns."""
WIDE = 132
"""Width from which the table has room for the AUC's interval and for the column that names the checkpoint."""
WIDE_IN_A_PIPE = 160
STYLES = {GOOD: "green", FAIR: "yellow", BAD: "red"}
RIGHT = ("epoch", "val_accuracy", "advantage", "tpr", "claimed", "audited")
FOLDED = ("variant", "verdict")
"""Columns whose text continues on the next line where there is no room; the others stay on one line."""


def print_table(study: Study, console: Console | None = None) -> None:
    """Print last and recommended checkpoint of each variant, of the strongest attack, and the verdicts."""
    console = console or _console()
    wide = console.width >= WIDE
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1 if wide else 0))
    checkpoints = lines(study)
    heads = _heads(wide, any(line.claimed != "-" for line in checkpoints))
    for name, head in heads.items():
        side: Literal["left", "right"] = "right" if name in RIGHT else "left"
        table.add_column(head, justify=side, no_wrap=name not in FOLDED, overflow="fold")
    for line in checkpoints:
        recommended = line.epoch == study.recommended(line.name)
        style = STYLES[colour(study.verdict(line.name))] if recommended else ""
        cells = _cells(line, wide, recommended)
        table.add_row(*(Text(cells[name]) for name in heads), style=style)
    console.print(table)
    if not wide and any(line.epoch == study.recommended(line.name) for line in checkpoints):
        console.print(Text("*: the recommended checkpoint"))
    if any(line.audited != "-" for line in checkpoints):
        console.print(Text(f"ε audited: {AUDITED}"))
    said = recommendation(study)
    console.print(Text(" ".join(filter(None, (said.say, said.leak, said.price)))))
    for variant, label in study.labels.items():
        verdict = study.verdict(variant)
        console.print(Text(in_line(label, verdict), style=STYLES[colour(verdict)]))


def _console() -> Console:
    console = Console()
    if console.is_terminal:
        return console
    return Console(file=console.file, width=WIDE_IN_A_PIPE, color_system=None)


def _heads(wide: bool, private: bool) -> dict[str, str]:
    """The columns that are shown, each with its head."""
    hidden = {"claimed"} if not private else set()
    if wide:
        return {name: head for name, head in HEADS.items() if name not in hidden}
    return {name: head for name, head in (HEADS | NARROW).items() if name not in hidden | {"which"}}


def _cells(line: Line, wide: bool, recommended: bool) -> Mapping[str, str]:
    """The cells of a row. The page has the intervals that are left out here."""
    short = ("tpr", "advantage") if wide else ("tpr", "advantage", "auc")
    cells = {name: str(value) for name, value in vars(line).items()}
    cells |= {name: cells[name].split()[0] for name in short}
    return cells if wide else cells | {"epoch": f"{line.epoch}{'*' if recommended else ' '}"}
