"""Stage attack: what every checkpoint of one variant gives away about its members."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import tables
from privacy_report.attack.findings import CheckpointResult, attack_checkpoint
from privacy_report.attack.schema import Attack
from privacy_report.attack.slices import Groups, load_groups
from privacy_report.errors import UserError
from privacy_report.pipeline import store
from privacy_report.pipeline.command import run, track
from privacy_report.pipeline.files import read_outputs, write_json, write_table
from privacy_report.pipeline.params import load, refuse

MEMBER = Path("data/prepare/member.npy")
GROUPS = Path("conf/groups")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.attack",
        description="Attack each checkpoint data/score/VARIANT/epoch_NNNN.npz as the section `attack` of "
        "params.yaml says. Writes privacy.csv, halves.csv, roc.csv, histograms.csv and exposed.csv to "
        "data/attack/VARIANT, and metrics/attack/VARIANT.json.",
    )
    parser.add_argument("variant", help="a name under `variants` in params.yaml")
    variant = parser.parse_args(argv).variant
    config = load("attack", Attack)
    groups = _groups(config)
    source = Path("data/score", variant)
    files = sorted(source.glob("epoch_*.npz"))
    if not files:
        raise UserError(
            f"{source}: no score files; `dvc repro score@{variant}` makes them, if it is a variant"
        )
    with store.exclusive("attack", variant):
        key = attack_inputs(variant)
        results = {
            int(file.stem.removeprefix("epoch_")): _result(
                file, config, groups, key, resumed=file != files[0]
            )
            for file in track(files, len(files), f"attack@{variant}: checkpoints")
        }
        _write(variant, results, np.load(MEMBER), files)


def attack_inputs(variant: str) -> dict[str, Any]:
    """What every attack of a variant depends on, beside its scores; the other checkpoints do not matter."""
    return store.inputs("attack", variant, without_deps=[f"data/score/{variant}"])


def _groups(config: Attack) -> Groups | None:
    """The index groups; their file lies where dvc.yaml declares it, so that DVC sees it change."""
    if config.groups is None:
        return None
    if Path(config.groups).parent != GROUPS:
        raise refuse("attack.groups", config.groups, f"null or a file in {GROUPS}")
    return load_groups(config.groups)


def _result(file: Path, config: Attack, groups: Groups | None, key: dict, resumed: bool) -> CheckpointResult:
    """A checkpoint's result, from the store when the same scores were attacked the same way before.

    `resumed` adds its time to that of the checkpoints before it.
    """
    entry = store.digest(key | {"scores": store.file_digest(file)})
    if (arrays := store.get("attack", entry)) is None:
        with store.timed(f"attack@{key['variant']}", resumed=resumed):
            arrays = attack_checkpoint(read_outputs(file), config, groups).to_arrays()
        store.put("attack", entry, arrays)
    return CheckpointResult.from_arrays(arrays)


def _write(variant: str, results: dict[int, CheckpointResult], member: np.ndarray, files: list[Path]) -> None:
    """All tables of the variant; UserError where a score file has other members than the others."""
    for file, result in zip(files, results.values(), strict=True):
        if len(result.member_loss) != len(member):
            raise UserError(f"{file}: {len(result.member_loss)} members, {MEMBER} has {len(member)}")
    labels = read_outputs(files[-1]).member_labels
    folder = Path("data/attack", variant)
    rows = tables.privacy_rows(variant, results)
    halves = tables.privacy_rows(variant, results, halves=True)
    exposed = tables.exposed_rows(variant, results, member, labels)
    write_table(folder / "privacy.csv", rows, tables.PRIVACY_COLUMNS)
    write_table(folder / "halves.csv", halves, tables.HALVES_COLUMNS)
    write_table(folder / "roc.csv", tables.roc_rows(variant, results), tables.ROC_COLUMNS)
    write_table(folder / "histograms.csv", tables.histogram_rows(variant, results), tables.HISTOGRAM_COLUMNS)
    write_table(folder / "exposed.csv", exposed, tables.EXPOSED_COLUMNS)
    write_json(f"metrics/attack/{variant}.json", tables.summary(rows))


if __name__ == "__main__":
    run(main)
