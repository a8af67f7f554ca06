"""The files of an audit, and a try whether they can be written before minutes of attacks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from privacy_report.attack import tables
from privacy_report.audits.models import Attacked
from privacy_report.audits.scores import SCORES
from privacy_report.errors import UserError
from privacy_report.pipeline.contract import PRIVACY_COLUMNS
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.tables import Row, write_table

FILES = ("privacy.csv", "summary.json", "examples.csv", "one_run.json")
EXAMPLE_COLUMNS = ("side", "index", "label", "loss", "probability")


def try_folder(folder: Path, option: str) -> None:
    """UserError where nothing can be written to a folder, or it cannot be made; leaves no trace."""
    there = folder.absolute()
    while not there.exists() and not there.is_symlink():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(f"{option}: cannot write to {there} ({error.strerror})") from None


def try_file(path: Path, option: str) -> None:
    """UserError where a file cannot be written."""
    if path.is_dir():
        raise UserError(f"{option}: is a folder, allowed: the name of a file")
    try_folder(path.parent, option)


def write(folder: Path, attacked: Attacked) -> None:
    """Write privacy.csv, summary.json and examples.csv to `folder`, with canaries one_run.json, too.

    examples.csv and one_run.json are of the last checkpoint. What an earlier audit has left there goes.
    UserError when they cannot be written.
    """
    try:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        if attacked.last is not None:
            write_table(folder / "privacy.csv", attacked.rows, PRIVACY_COLUMNS)
            write_json(folder / "summary.json", summary(attacked))
            write_table(folder / "examples.csv", examples(attacked), EXAMPLE_COLUMNS)
        if attacked.coins:
            write_json(folder / "one_run.json", asdict(attacked.coins))
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error.strerror})") from None


def summary(attacked: Attacked) -> dict[str, object]:
    """Each attack's numbers at the last checkpoint (`tables.summary`), its input, and all warnings."""
    epoch = max(attacked.inputs)
    checked = {"epoch": epoch} | attacked.inputs[epoch].plain()
    return {**tables.summary(attacked.rows), "input": checked, "warnings": list(attacked.warnings)}


def examples(attacked: Attacked) -> Iterator[Row]:
    """Loss and membership probability of every example at the last checkpoint, one by one: there may be
    millions. None where canaries' scores alone were audited; of predictions and scores no loss is known, of
    scores no label."""
    if attacked.last is None:
        return
    outputs, result = attacked.last, attacked.results[max(attacked.results)]
    given = attacked.inputs[max(attacked.inputs)].given
    sides = (
        ("member", outputs.member_labels, result.member_loss),
        ("nonmember", outputs.nonmember_labels, result.nonmember_loss),
    )
    probability = iter(result.probability)
    for side, labels, losses in sides:
        for index, (label, loss) in enumerate(zip(labels, losses, strict=True)):
            known = None if given == SCORES else label, None if given else loss
            values = (side, index, *known, next(probability))
            yield dict(zip(EXAMPLE_COLUMNS, values, strict=True))
