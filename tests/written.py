"""Rows as the attack stage writes them and the other stages read them, for tests that change some numbers."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import tables
from privacy_report.attack.checkpoint import attack_outputs
from privacy_report.audits.attacks import audit_params
from privacy_report.pipeline.contract import HALVES_COLUMNS, PRIVACY_COLUMNS
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.tables import Row, read_rows, write_table

MEMBERS, NONMEMBERS, CLASSES = 1200, 1000, 10


@cache
def _attacked(attack: str, n_member: int, n_nonmember: int) -> tuple[list[Row], list[Row]]:
    """privacy.csv and halves.csv of one checkpoint of a variant "cnn2": Gaussian logits, members' larger."""
    rng = np.random.default_rng(0)
    n = n_member + n_nonmember
    labels, logits = np.arange(n) % CLASSES, rng.normal(size=(n, CLASSES))
    logits[np.arange(n), labels] += 2 + 0.5 * (np.arange(n) < n_member)
    outputs = Outputs(logits[:n_member], labels[:n_member], logits[n_member:], labels[n_member:])
    results = {2: attack_outputs(outputs, audit_params([attack], ["entire", "class"]))}
    csvs = []
    with tempfile.TemporaryDirectory() as folder:
        for halves, columns in ((False, PRIVACY_COLUMNS), (True, HALVES_COLUMNS)):
            path = Path(folder, "table.csv")
            write_table(path, tables.privacy_rows("cnn2", results, halves), columns)
            csvs.append(read_rows(path))
    return csvs[0], csvs[1]


def written_row(
    attack: str, slice_: str, half: str | None = None, refused: bool = False, **cells: Any
) -> Row:
    """One row of privacy.csv, or of halves.csv where `half` says which, with the numbers `cells` put in.

    refused: the row of a slice with too few examples. KeyError for a cell that the table does not have.
    """
    rows = _attacked(attack, *((60, 40) if refused else (MEMBERS, NONMEMBERS)))[half is not None]
    row = next(row for row in rows if row["slice"] == slice_ and half in (None, row.get("half")))
    if unknown := set(cells) - set(row):
        raise KeyError(f"the attack stage writes no {sorted(unknown)}")
    return row | cells
