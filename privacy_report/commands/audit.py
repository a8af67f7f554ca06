"""`privacy-report audit`: membership inference on the outputs of a model of any framework.

Attacks one file of member and non-member outputs, prints the table and writes privacy.csv, summary.json and
examples.csv. It needs no TensorFlow, no git, no DVC.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.attack import registry, tables
from privacy_report.attack.audit import audit, audit_params, default_estimators
from privacy_report.attack.audit_file import AuditFile, read_audit_file
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.schema import SLICES
from privacy_report.pipeline.contract import PRIVACY_COLUMNS, with_ends
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row, write_table

DEFAULT_ATTACKS = ["threshold", "logistic"]
WITH_REFERENCES = ["lira", "rmia"]
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


def main(argv: Sequence[str]) -> None:
    args = _parser().parse_args(argv)
    file = read_audit_file(args.file)
    attacks = _split(args.attacks) if args.attacks else _all_that_run(file)
    params = audit_params(attacks, _split(args.slices), args.mode, args.seed, args.groups)
    rows, found = audit(file.outputs, params, args.file.stem, file.early_phi, file.references)
    show(rows)
    write(args.out, rows, found, file.outputs)


def _all_that_run(file: AuditFile) -> list[str]:
    """The default attacks, and those that the file has more evidence for."""
    early = ["trajectory"] if file.early_phi is not None else []
    return [*DEFAULT_ATTACKS, *early, *(WITH_REFERENCES if file.references else [])]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacy-report audit",
        description="Attack the outputs of a trained model: can its members be told from non-members?",
    )
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE.npz",
        help="arrays member_logits (or member_probs) float (n, n_classes), member_labels int (n,), "
        "and the same for nonmember_; never unpickled. For stronger attacks early_logits (k, n, n_classes) "
        "or early_phi (k, n) of earlier checkpoints, and reference_logits or reference_phi with "
        "reference_is_member bool (k, n) of reference models, members first, n = n_member + n_nonmember",
    )
    parser.add_argument(
        "--attacks",
        help=f"comma-separated from {', '.join(registry.known(registry.DEFAULT, default_estimators()))}; "
        f"with --mode parity from {', '.join(registry.known(registry.PARITY))} "
        "(default: threshold,logistic, and trajectory, lira, rmia where the file has what they need)",
    )
    parser.add_argument(
        "--slices",
        default="entire,class",
        help=f"comma-separated from {', '.join(SLICES)}; entire is always made, group needs --groups "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--mode", default="default", help="default, or parity: tensorflow_privacy's semantics"
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
            _interval(row, "tpr_at_1pct_fpr"),
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
    value, low, high = (row[column] for column in with_ends(name))
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def write(folder: Path, rows: Sequence[Row], result: CheckpointFindings, outputs: Outputs) -> None:
    """Write privacy.csv, summary.json and examples.csv to `folder`; UserError when that cannot be done."""
    write_table(folder / "privacy.csv", rows, PRIVACY_COLUMNS)
    write_json(folder / "summary.json", tables.summary(rows))
    write_table(folder / "examples.csv", _examples(result, outputs), EXAMPLE_COLUMNS)


def _examples(result: CheckpointFindings, outputs: Outputs) -> Iterator[Row]:
    """Loss and membership probability of every example, one by one: there may be millions."""
    sides = (
        ("member", outputs.member_labels, result.member_loss),
        ("nonmember", outputs.nonmember_labels, result.nonmember_loss),
    )
    probability = iter(result.probability)
    for side, labels, losses in sides:
        for index, (label, loss) in enumerate(zip(labels, losses, strict=True)):
            values = (side, index, label, loss, next(probability))
            yield dict(zip(EXAMPLE_COLUMNS, values, strict=True))
