"""`privacy-report audit`: membership inference on the outputs of a model of any framework.

Attacks files of member and non-member outputs, prints the tables and writes privacy.csv, summary.json and
examples.csv, one_run.json where there are canaries; holds them against a policy. It needs no TensorFlow, no
git, no DVC.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from privacy_report.attack import registry, tables
from privacy_report.attack.audit import default_estimators
from privacy_report.attack.audit_input import CSV_COLUMNS
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.one_run import OneRun
from privacy_report.attack.schema import SLICES
from privacy_report.audits.models import (
    MOST_CLASSES_FOR_SLOWER,
    MOST_FOR_SLOWER,
    QUICK,
    SLOWER,
    Attacked,
    attack_model,
    models_at,
    read_policy,
    verdict,
)
from privacy_report.audits.page import check_libraries, write_page
from privacy_report.errors import UserError
from privacy_report.gate.words import KEEPS
from privacy_report.gate.words import line as in_words
from privacy_report.pipeline.contract import PRIVACY_COLUMNS, with_ends
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row, write_table

EXAMPLE_COLUMNS = ("side", "index", "label", "loss", "probability")
SHOWN = (
    "attack",
    "slice",
    "members",
    "non-members",
    "AUC (95%)",
    "advantage (95%)",
    "TPR at 1% FPR",
    "epsilon, fixed split",
    "leaks",
)
"""Columns of the printed table."""
LEFT = ("attack", "slice", "leaks")


EPILOG = """Exit code: with --gate 0 where every model keeps the policy, 1 where one breaks it or cannot be
judged; 2 after one line that says what is wrong with a file, an option or the policy."""


def main(argv: Sequence[str]) -> None:
    """Attack, print, write; with --gate exit with 1 when a model does not keep the policy."""
    args = _parser().parse_args(argv)
    if args.html and not args.gate:
        raise UserError("--html: the page is a verdict and needs a policy: --gate conf/gate/default.yaml")
    policy = read_policy(args.gate) if args.gate else None
    if args.html:
        check_libraries()
    options = {name: getattr(args, name) for name in ("mode", "seed", "groups", "delta")}
    options["slices"] = _split(args.slices)
    attacks = _split(args.attacks) if args.attacks else None
    found = []
    for model in models_at(args.files):
        found.append(attack_model(model, attacks, options, policy is not None, args.guesses))
        for warning in found[-1].warnings:
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        tell(found[-1])
    for one in found:
        write(args.out if len(found) == 1 else args.out / one.name, one)
    if policy is None:
        return
    verdicts = {one.name: verdict(one, policy) for one in found}
    for name, said in verdicts.items():
        print(in_words(name, said), flush=True)
    if args.html:
        write_page(found, verdicts, args.html)
        print(f"page: {args.html}", flush=True)
    if any(said["verdict"] != KEEPS for said in verdicts.values()):
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacy-report audit",
        description="Attack the outputs of trained models: can their members be told from non-members?",
        epilog=EPILOG,
    )
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="a model each: an .npz with arrays member_logits (or member_probs) float (n, n_classes), of two "
        "classes also (n,), member_labels (n,), and the same for nonmember_; never unpickled. Or a folder of "
        "such files, the epochs of one model, early ones helping against later ones; a folder of these "
        "arrays as .npy; a .csv with the columns "
        f"{CSV_COLUMNS}. For stronger attacks early_logits (k, n, n_classes) "
        "or early_phi (k, n) of earlier checkpoints, and reference_logits or reference_phi with "
        "reference_is_member bool (k, n) of reference models, members first, n = n_member + n_nonmember. "
        "Labels of text need the array classes. For the one-run audit canaries, in the training set by a "
        "fair coin each: member_is_canary and nonmember_is_canary, bool; or canary_scores float (m,), higher "
        "= more likely in, and canary_is_member bool (m,), which need no other array",
    )
    parser.add_argument(
        "--attacks",
        help=f"comma-separated from {', '.join(registry.known(registry.DEFAULT, default_estimators()))}; "
        f"with --mode parity from {', '.join(registry.known(registry.PARITY))} "
        f"(default: {', '.join(QUICK)}, "
        f"up to {MOST_FOR_SLOWER} examples of {MOST_CLASSES_FOR_SLOWER} classes also {', '.join(SLOWER)}, "
        "and trajectory, lira, rmia where the file has what they need)",
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
        "--delta", type=float, help="at which epsilon is bounded (default: 1e-5, or what the members allow)"
    )
    parser.add_argument(
        "--guesses",
        type=int,
        metavar="R",
        help="coins that the one-run audit guesses, fixed before looking (default: a fifth of the canaries)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("audit"), help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--gate", type=Path, metavar="POLICY.yaml", help="a policy as conf/gate/default.yaml")
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="write the report page, too")
    return parser


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def tell(found: Attacked) -> None:
    """Print what was found: a table with notes below it, and what canaries say."""
    if found.rows:
        show(found.rows)
    if found.coins:
        print(in_short(found.coins), flush=True)


def in_short(found: OneRun) -> str:
    """A one-run audit in a line or two."""
    fdp = found.epsilon_one_run_fdp
    return (
        f"Canaries: {found.canaries}, of {found.guesses} guesses {found.correct} are right. "
        f"Epsilon is at least {found.epsilon_one_run:.3f} at delta {found.delta:g} (95%, one run; at most "
        f"{found.epsilon_ceiling:.3f} can be shown with so many guesses)"
        + ("" if fdp is None else f"; {fdp:.3f} assuming a Gaussian trade-off curve")
    )


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
            _number(row["epsilon_fixed_split"]),
            row["leaks"],
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    for remark in _remarks(rows):
        console.print(remark, markup=False, highlight=False)


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


def write(folder: Path, found: Attacked) -> None:
    """Write privacy.csv, summary.json and examples.csv to `folder`, with canaries one_run.json, too.

    examples.csv and one_run.json are of the last checkpoint. UserError when they cannot be written.
    """
    try:
        if found.last is not None:
            last = list(found.results.values())[-1]
            write_table(folder / "privacy.csv", found.rows, PRIVACY_COLUMNS)
            write_json(folder / "summary.json", tables.summary(found.rows))
            write_table(folder / "examples.csv", _examples(last, found.last), EXAMPLE_COLUMNS)
        if found.coins:
            write_json(folder / "one_run.json", asdict(found.coins))
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
