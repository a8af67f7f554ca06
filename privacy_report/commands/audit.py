"""`privacy-report audit`: membership inference on the outputs of a model of any framework.

Attacks one file of member and non-member outputs, prints the table and writes privacy.csv, summary.json and
examples.csv, one_run.json where the file has canaries; or a folder of such files of one run, with the gate's
verdict and the report's page. It needs no TensorFlow, no git, no DVC.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.attack import registry, tables
from privacy_report.attack.audit import audit, audit_params, default_estimators
from privacy_report.attack.audit_file import AuditFile, read_audit_file
from privacy_report.attack.canaries import audit_coins
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.one_run import OneRun, one_run
from privacy_report.attack.schema import SLICES
from privacy_report.commands.audit_folder import audit_folder, gate_limits, score_files, write_page
from privacy_report.errors import UserError
from privacy_report.gate.check import line as verdict_line
from privacy_report.gate.check import read_verdict
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
    if args.file.is_dir():
        _audit_folder(args)
        return
    if args.gate:
        raise UserError("--gate: allowed where a folder of checkpoints is audited")
    file = read_audit_file(args.file)
    attacks = _split(args.attacks) if args.attacks else _all_that_run(file)
    params = audit_params(attacks, _split(args.slices), args.mode, args.seed, args.groups, args.delta)
    coins = _audited_coins(file, params.delta, args.guesses)
    if file.outputs is not None:
        rows, found = audit(file.outputs, params, args.file.stem, file.early_phi, file.references)
        show(rows)
        write(args.out, rows, found, file.outputs)
    if coins:
        print(said(coins))
        with _writing(args.out):
            write_json(args.out / "one_run.json", asdict(coins))


def _audited_coins(file: AuditFile, delta: float, guesses: int | None) -> OneRun | None:
    """The one-run audit of a file's canaries; None where it has none."""
    if file.canaries is None:
        if guesses is not None:
            raise UserError("--guesses: got a number of guesses, allowed: with a file that has canaries")
        return None
    if isinstance(file.canaries, tuple):
        return one_run(*file.canaries, delta, guesses)
    return audit_coins(file.canaries, delta, guesses)


def said(found: OneRun) -> str:
    """A one-run audit in a line or two."""
    fdp = found.epsilon_one_run_fdp
    return (
        f"Canaries: {found.canaries}, of {found.guesses} guesses {found.correct} are right. "
        f"Epsilon is at least {found.epsilon_one_run:.3f} at delta {found.delta:g} (95%, one run; at most "
        f"{found.epsilon_ceiling:.3f} can be shown with so many guesses)"
        + ("" if fdp is None else f"; {fdp:.3f} assuming a Gaussian trade-off curve")
    )


def _audit_folder(args: argparse.Namespace) -> None:
    """Audit all checkpoints of a run, and say what is known of the last."""
    limits, n = gate_limits(args.gate), len(score_files(args.file))
    attacks = _split(args.attacks) if args.attacks else [*DEFAULT_ATTACKS, *(["trajectory"] if n > 1 else [])]
    params = audit_params(attacks, _split(args.slices), args.mode, args.seed, args.groups, args.delta)
    rows = audit_folder(args.file, args.out, params, limits)
    last = max(row["epoch"] for row in rows)
    show([row for row in rows if row["epoch"] == last])
    name = rows[0]["variant"]
    print(verdict_line(name, read_verdict(name, args.out)))
    print(f"page: {write_page(args.out)}", flush=True)


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
        metavar="FILE.npz|FOLDER",
        help="a folder of score files epoch_NNNN.npz of one run, or one file: arrays member_logits (or "
        "member_probs) float (n, n_classes), member_labels int (n,), "
        "and the same for nonmember_; never unpickled. For stronger attacks early_logits (k, n, n_classes) "
        "or early_phi (k, n) of earlier checkpoints, and reference_logits or reference_phi with "
        "reference_is_member bool (k, n) of reference models, members first, n = n_member + n_nonmember. "
        "For the one-run audit canaries, in the training set by a fair coin each: member_is_canary and "
        "nonmember_is_canary, bool; or canary_scores float (m,), higher = more likely in, and "
        "canary_is_member bool (m,), which need no other array",
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
        "--delta",
        type=float,
        help="at which epsilon is bounded (default: 1e-5, or what the members allow)",
    )
    parser.add_argument(
        "--guesses",
        type=int,
        metavar="R",
        help="coins that the one-run audit guesses, fixed before looking (default: a fifth of the canaries)",
    )
    parser.add_argument(
        "--gate",
        type=Path,
        metavar="LIMITS.yaml",
        help="of a folder: the limits (default: conf/gate/default.yaml)",
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
    with _writing(folder):
        write_table(folder / "privacy.csv", rows, PRIVACY_COLUMNS)
        write_json(folder / "summary.json", tables.summary(rows))
        write_table(folder / "examples.csv", _examples(result, outputs), EXAMPLE_COLUMNS)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One line where a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error.strerror})") from None


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
