"""Audit your own model: membership inference on the outputs of a model of any framework.

`python -m privacy_report.commands.audit FILE.npz` attacks one file of member and non-member outputs, prints the table and
writes privacy.csv, summary.json and examples.csv. It needs numpy, scipy, scikit-learn,
threadpoolctl, rich, omegaconf and PyYAML: no TensorFlow, no git, no DVC.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.attack import schema, tables
from privacy_report.attack.findings import CheckpointResult, attack_checkpoint
from privacy_report.attack.measures import Row
from privacy_report.attack.schema import Attack
from privacy_report.attack.slices import load_groups
from privacy_report.errors import UserError
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import Outputs, read_outputs, write_json, write_table
from privacy_report.pipeline.params import check

EXAMPLE_COLUMNS = ("side", "index", "label", "loss", "probability")
SHOWN = (
    "attack",
    "slice",
    "members",
    "non-members",
    "AUC (95%)",
    "advantage (95%)",
    "TPR at 1% FPR",
    "epsilon ≥",
    "leaks",
)
"""Columns of the printed table."""
LEFT = ("attack", "slice", "leaks")
EPOCH = 1
"""An audited file is one checkpoint; its rows carry this epoch."""


def main(argv: Sequence[str]) -> None:
    args = _parser().parse_args(argv)
    outputs = read_outputs(args.file)
    settings: dict[str, Any] = {"mode": args.mode, "seed": args.seed, "groups": args.groups}
    settings |= {name: _split(getattr(args, name)) for name in ("attacks", "slices")}
    if args.groups and "group" not in settings["slices"]:
        settings["slices"].append("group")
    config = check("audit", settings, Attack)
    groups = load_groups(args.groups) if args.groups else None
    result = attack_checkpoint(outputs, config, groups, with_halves=False)
    rows = tables.privacy_rows(args.file.stem, {EPOCH: result})
    show(rows)
    write(args.out, args.file.stem, rows, result, outputs)
    if "entire" not in config.slices:
        print("summary.json is about the entire dataset, which is not among --slices: it is empty.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m privacy_report.commands.audit",
        description="Attack the outputs of a trained model: can its members be told from non-members?",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE.npz",
        help="arrays member_logits (or member_probs) float (n, n_classes), member_labels int (n,), "
        "and the same for nonmember_; never unpickled",
    )
    parser.add_argument(
        "--attacks",
        default="threshold,logistic",
        help=f"comma-separated from {', '.join([*schema.THRESHOLD_ATTACKS, *schema.default_estimators()])}; "
        f"with --mode reference from {', '.join(schema.REFERENCE_ATTACKS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--slices",
        default="entire,class",
        help=f"comma-separated from {', '.join(schema.SLICES)}; group needs --groups (default: %(default)s)",
    )
    parser.add_argument(
        "--mode", default="default", help="default, or reference: tensorflow_privacy's semantics"
    )
    parser.add_argument("--seed", type=int, default=0, help="of folds and estimators (default: %(default)s)")
    parser.add_argument(
        "--groups",
        metavar="FILE.json",
        help='index groups {"NAME": {"member": [...], "nonmember": [...]}}, adds the slices group=NAME',
    )
    parser.add_argument(
        "--out", type=Path, default=Path("audit"), help="folder to write to (default: %(default)s)"
    )
    return parser


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def show(rows: Sequence[Row], console: Console | None = None) -> None:
    """Print the rows as a table, with the notes below it."""
    console = console or Console(width=None if Console().is_terminal else 160)
    table = Table(title=Text(f"Membership inference: {rows[0]['variant']}"), title_justify="left")
    for name in SHOWN:  # on a narrow terminal cells fold: nothing is cut off
        table.add_column(name, justify="left" if name in LEFT else "right", overflow="fold")
    for row in rows:
        cells = (
            *(str(row[key]) for key in ("attack", "slice", "n_member", "n_nonmember")),
            _interval(row, "auc"),
            _interval(row, "advantage"),
            _interval(row, "tpr_at_fpr_0.01"),
            _number(row["epsilon_low"]),
            row["leaks"],
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    for line in _remarks(rows):
        console.print(line, markup=False, highlight=False)


def _remarks(rows: Sequence[Row]) -> list[str]:
    """The notes of the rows, less the many about rates that need more non-members than there are."""
    notes = [(row, note) for row in rows for note in row["note"].split("; ") if note]
    remarks = [
        f"{row['attack']}, {row['slice']}: {note}" for row, note in notes if not note.startswith("no tpr")
    ]
    if len(remarks) < len(notes):
        remarks.append(
            "Rates at small FPR are left out where non-members are too few: see `note` in privacy.csv."
        )
    return remarks


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(row: Row, name: str) -> str:
    if row[name] is None:
        return ""
    return f"{row[name]:.3f} ({row[name + '_low']:.3f}-{row[name + '_high']:.3f})"


def write(folder: Path, name: str, rows: Sequence[Row], result: CheckpointResult, outputs: Outputs) -> None:
    """Write privacy.csv, summary.json and examples.csv to `folder`; UserError when that cannot be done."""
    try:
        write_table(folder / "privacy.csv", rows, tables.PRIVACY_COLUMNS)
        write_json(folder / "summary.json", tables.summary(rows))
        write_table(folder / "examples.csv", _examples(result, outputs), EXAMPLE_COLUMNS)
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error.strerror})") from None


def _examples(result: CheckpointResult, outputs: Outputs) -> list[Row]:
    """Loss and membership probability of every example."""
    sides = ["member"] * len(outputs.member_labels) + ["nonmember"] * len(outputs.nonmember_labels)
    index = np.concatenate([np.arange(len(outputs.member_labels)), np.arange(len(outputs.nonmember_labels))])
    labels = np.concatenate([outputs.member_labels, outputs.nonmember_labels])
    loss = np.concatenate([result.member_loss, result.nonmember_loss])
    columns = (sides, index.tolist(), labels.tolist(), loss.tolist(), result.probability.tolist())
    return [dict(zip(EXAMPLE_COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]


if __name__ == "__main__":
    run(main)
