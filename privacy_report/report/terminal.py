"""The result as one compact table on a terminal, or as plain text in a pipe."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.gate.words import BAD, FAIR, GOOD, colour
from privacy_report.gate.words import line as in_line
from privacy_report.report.recommendation import recommendation
from privacy_report.report.study import Study
from privacy_report.report.summary import lines

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
STYLES = {GOOD: "green", FAIR: "yellow", BAD: "red"}
RIGHT = ("epoch", "val_accuracy", "advantage", "tpr", "claimed", "audited")


def print_table(study: Study) -> None:
    """Print last and recommended checkpoint of each variant, of the strongest attack."""
    console = Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=160, color_system=None)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    found = lines(study)
    private = any(line.claimed != "-" for line in found)
    heads = {name: head for name, head in HEADS.items() if private or name != "claimed"}
    for name, head in heads.items():
        table.add_column(head, justify="right" if name in RIGHT else "left")
    for line in found:
        recommended = line.epoch == study.recommended(line.name)
        style = STYLES[colour(study.verdict(line.name))] if recommended else ""
        # these two intervals are left to the page, so that the table fits 100 columns
        cells = {**vars(line), "tpr": line.tpr.split()[0], "advantage": line.advantage.split()[0]}
        table.add_row(*(Text(str(cells[name])) for name in heads), style=style)
    console.print(table)
    said = recommendation(study)
    console.print(Text(f"{said.say} {said.price}".strip()))
    for variant, label in study.labels.items():
        verdict = study.verdict(variant)
        console.print(Text(in_line(label, verdict), style=STYLES[colour(verdict)]))
