"""What a change does to the metrics that git keeps, as Markdown.

`python -m privacy_report.gate.comment BASE RAW`: BASE is the revision to compare the working tree with, RAW
where the files of this revision can be fetched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from privacy_report.errors import UserError
from privacy_report.gate.inputs import variant_names
from privacy_report.gate.metrics import FOLDER
from privacy_report.gate.words import AUDITED
from privacy_report.pipeline.command import run
from privacy_report.pipeline.files import read_json

NUMBERS = {
    "epoch": "epoch",
    "val_acc": "validation accuracy",
    "advantage": "advantage",
    "tpr_1pct": "found at 1% FPR",
    "epsilon": "ε claimed",
    "eps_audited": "ε audited",
}
WORDS = {"verdict": "verdict", "leak": "leak detected"}
COLUMNS = WORDS | NUMBERS
PICTURE = "plots/overview.png"
"""Leak by epoch, and against validation accuracy."""
NONE = "-"

Metrics = dict[str, dict[str, Any]]
"""Variant -> its metrics file."""


def comment(before: Metrics, after: Metrics, raw: str) -> str:
    """The changes as Markdown: changed verdicts, a table of before and after, the two main pictures."""
    names = [*after, *(name for name in before if name not in after)]
    changed = [name for name in names if _said(before, name) != _said(after, name)]
    names = [*changed, *(name for name in names if name not in changed)]
    lines = ["### What this changes", ""]
    lines += [f"- **{_plain(name)}: {_said(before, name)} → {_said(after, name)}**" for name in changed]
    lines += ["" if changed else "No verdict changes.", ""]
    lines += [f"| variant | | {' | '.join(COLUMNS.values())} |", "| --- " * (2 + len(COLUMNS)) + "|"]
    for name in names:
        lines += _rows(_plain(name), before.get(name), after.get(name))
    if any("eps_audited" in metrics for metrics in (*before.values(), *after.values())):
        lines += ["", f"ε audited: {AUDITED}"]
    lines += ["", f"![Leak by epoch and against accuracy]({raw}/{PICTURE})", ""]
    return "\n".join(lines)


def _rows(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """One row of a variant that stays as it is, else one before and one after, what differs in bold."""
    old, new = ([_cell(metrics, column) for column in COLUMNS] for metrics in (before, after))
    if old == new:
        return [f"| {name} | unchanged | {' | '.join(new)} |"]
    bold = [f"**{cell}**" if cell != was else cell for cell, was in zip(new, old, strict=True)]
    return [f"| {name} | before | {' | '.join(old)} |", f"| | after | {' | '.join(bold)} |"]


def _cell(metrics: Mapping[str, Any] | None, column: str) -> str:
    value = NONE if metrics is None else metrics.get(column, NONE)
    return f"{value:g}" if isinstance(value, float) else _plain(str(value))


def _said(metrics: Metrics, name: str) -> str:
    return _cell(metrics.get(name), "verdict") if name in metrics else "no such variant"


def _plain(text: str) -> str:
    """Text that ends no cell and begins no markup."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("_", "\\_").replace("\n", " ")


def metrics_here() -> Metrics:
    """The metrics in the working tree, of the variants in params.yaml: a removed one's file may be left."""
    paths = [FOLDER / f"{name}.json" for name in sorted(variant_names())]
    try:
        return {path.stem: dict(read_json(path)) for path in paths if path.exists()}
    except (ValueError, TypeError):
        raise UserError(f"{FOLDER}: a file is damaged; `dvc repro gate` writes it") from None


def metrics_at(revision: str) -> Metrics:
    """The metrics that git has at a revision, of the variants there; UserError for an unknown revision."""
    files = _git("ls-tree", "-r", "--name-only", revision, "--", f"{FOLDER}/", "params.yaml").splitlines()
    if "params.yaml" not in files:
        return {}
    try:
        variants = yaml.safe_load(_git("show", f"{revision}:params.yaml"))["variants"]
        names = [name for name in sorted(variants) if f"{FOLDER}/{name}.json" in files]
        return {name: dict(json.loads(_git("show", f"{revision}:{FOLDER}/{name}.json"))) for name in names}
    except (yaml.YAMLError, ValueError, KeyError, TypeError):
        raise UserError(f"{revision}: its params.yaml or a file in {FOLDER} is damaged") from None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise UserError(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout


def main(argv: Sequence[str]) -> None:
    """Print the comment."""
    parser = argparse.ArgumentParser(prog="python -m privacy_report.gate.comment", description=__doc__)
    parser.add_argument("base", metavar="BASE")
    parser.add_argument("raw", metavar="RAW")
    args = parser.parse_args(argv)
    print(comment(metrics_at(args.base), metrics_here(), args.raw), end="")


if __name__ == "__main__":
    run(main)
