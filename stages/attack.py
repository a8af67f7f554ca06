"""Stage attack: what every checkpoint of one variant gives away about its members."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from privacy_report.attack import checkpoint, tables
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.slices import Groups, load_groups
from privacy_report.errors import UserError
from privacy_report.pipeline import memo
from privacy_report.pipeline.command import run, track
from privacy_report.pipeline.contract import (
    EXPOSED_COLUMNS,
    HALVES_COLUMNS,
    HISTOGRAM_COLUMNS,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
)
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.outputs import read_outputs
from privacy_report.pipeline.params import load, refuse
from privacy_report.pipeline.tables import write_table

SCORES, MEMBER, GROUPS = Path("data/score"), Path("data/prepare/member.npy"), Path("conf/groups")
Key = dict[str, dict]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.attack",
        description="Attack each checkpoint data/score/VARIANT/epoch_NNNN.npz as the section `attack` of "
        "params.yaml says. Writes privacy.csv, halves.csv, roc.csv, histograms.csv and exposed.csv to "
        "data/attack/VARIANT, and metrics/attack/VARIANT.json.",
    )
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    variant = parser.parse_args(argv).variant

    def inputs() -> tuple[AttackParams, Groups | None, Key, dict[Path, str]]:
        params = load("attack", AttackParams)
        groups = _groups(params)
        files = {file: memo.file_digest(file) for file in _score_files(SCORES / variant)}
        return params, groups, checkpoint.inputs(params, groups), files

    with exclusive(f"attack@{variant}", inputs) as (params, groups, key, files):
        kept, results = Memo(f"attack@{variant}"), {}
        for file in track(files, len(files), f"attack@{variant}: checkpoints"):
            keys = {name: memo.digest(base | {"outputs": files[file]}) for name, base in key.items()}
            results[int(file.stem.removeprefix("epoch_"))] = checkpoint.attack_all(
                params, groups, partial(read_outputs, file), kept.recall, keys
            )
        _write(variant, results, list(files))
        kept.close()


def _score_files(source: Path) -> list[Path]:
    """All score files of a variant; UserError when there are none."""
    files = sorted(source.glob("epoch_*.npz"))
    if not files:
        raise UserError(
            f"{source}: no score files; `dvc repro score@{source.name}` makes them, if it is a variant"
        )
    return files


def _groups(params: AttackParams) -> Groups | None:
    """The index groups; their file lies where dvc.yaml declares it, so that DVC sees it change."""
    if params.groups is None:
        return None
    if Path(params.groups).parent != GROUPS:
        raise refuse("attack.groups", params.groups, f"null or a file in {GROUPS}")
    return load_groups(params.groups)


def _write(variant: str, results: dict[int, CheckpointFindings], files: list[Path]) -> None:
    """All tables of the variant; UserError where a score file has other members than the others."""
    member = np.load(MEMBER)
    for file, result in zip(files, results.values(), strict=True):
        if len(result.member_loss) != len(member):
            raise UserError(f"{file}: {len(result.member_loss)} members, {MEMBER} has {len(member)}")
    labels = read_outputs(files[-1]).member_labels
    folder = Path("data/attack", variant)
    rows = tables.privacy_rows(variant, results)
    write_table(folder / "privacy.csv", rows, PRIVACY_COLUMNS)
    write_table(folder / "halves.csv", tables.privacy_rows(variant, results, halves=True), HALVES_COLUMNS)
    write_table(folder / "roc.csv", tables.roc_rows(variant, results), ROC_COLUMNS)
    write_table(folder / "histograms.csv", tables.histogram_rows(variant, results), HISTOGRAM_COLUMNS)
    write_table(
        folder / "exposed.csv", tables.exposed_rows(variant, results, member, labels), EXPOSED_COLUMNS
    )
    write_json(f"metrics/attack/{variant}.json", tables.summary(rows))


if __name__ == "__main__":
    run(main)
