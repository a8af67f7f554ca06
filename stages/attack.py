"""Stage attack: what every checkpoint of one variant gives away about its members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.attack import tables
from privacy_report.attack.canaries import audit_gradients, audit_variant, read_canaries, with_canaries
from privacy_report.attack.schema import COLUMNS, AttackParams
from privacy_report.attack.slices import Groups, groups_of_columns, load_excluded, load_groups
from privacy_report.attack.variant import (
    Inputs,
    attack_checkpoint_of,
    batches,
    bytes_of_worker,
    facts_of_references,
    read_inputs,
)
from privacy_report.attack.workers import Ahead, ahead
from privacy_report.errors import UserError
from privacy_report.pipeline.command import run, track, variant_named
from privacy_report.pipeline.contract import RECORD_AUC_COLUMNS
from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.files import read_arrays, read_json, write_json
from privacy_report.pipeline.locks import exclusive
from privacy_report.pipeline.memo import Memo
from privacy_report.pipeline.outputs import read_outputs
from privacy_report.pipeline.params import load, refuse
from privacy_report.pipeline.recorded import checked
from privacy_report.pipeline.tables import write_table

SCORES, REFERENCES, COINS = Path("data/score"), Path("data/reference"), Path("data/canaries")
TRAINED, GRADIENTS = Path("data/train"), "gradient_canaries.npz"
MEMBER, NONMEMBER = Path("data/prepare/member.npy"), Path("data/prepare/nonmember.npy")
PERSON, GROUP = Path("data/prepare/person.npy"), Path("data/prepare/group.npy")
ABOUT = Path("data/prepare/dataset.json")
GROUPS = Path("conf/groups")


def main(argv: Sequence[str]) -> None:
    variant = variant_named(
        argv,
        "attack",
        "Attack each checkpoint data/score/VARIANT/epoch_NNNN.npz as the section `attack` of "
        "params.yaml says, with the reference models in data/reference/VARIANT. Writes privacy.csv, "
        "halves.csv, roc.csv, histograms.csv, exposed.csv, record_auc.csv and references.json to "
        "data/attack/VARIANT, and one_run.json if there are canaries.",
    )

    def inputs() -> tuple[Inputs, Inputs | None]:
        params = load("attack", AttackParams)
        folders = SCORES / variant, REFERENCES / variant
        own = read_inputs(params, _groups(params, variant), *folders, _excluded(params), _persons(variant))
        return own, read_canaries(params, *folders)

    with exclusive(f"attack@{variant}", inputs) as (own, canaries):
        kept, folder = Ahead(f"attack@{variant}"), Path("data/attack", variant)
        jobs = [batch for given in (own, canaries) if given for batch in batches(given, kept)]
        with ahead(kept, jobs, bytes_of_worker(own)):
            epochs = track(own.files, len(own.files), f"attack@{variant}: checkpoints")
            results = {epoch: attack_checkpoint_of(own, epoch, kept) for epoch in epochs}
            facts, members = facts_of_references(own, results, kept)
            if canaries:
                coins = {epoch: attack_checkpoint_of(canaries, epoch, kept) for epoch in canaries.files}
        if canaries:
            results = with_canaries(results, coins)
        _write_audit(folder, _audit(variant, own, canaries, kept))
        member = _member(variant, results, own.files)
        labels = read_outputs(own.files[max(own.files)]).member_labels
        tables.write(folder, variant, results, member, labels, members)
        _write_record_auc(folder, variant, own, labels, members)
        write_json(folder / "references.json", facts)
        kept.close()


def _audit(variant: str, inputs: Inputs, canaries: Inputs | None, kept: Memo) -> dict[str, Any] | None:
    """The one-run audit of a variant's canaries, be they examples or gradients; None without any."""
    if canaries:
        return audit_variant(canaries, kept)
    scores = TRAINED / variant / GRADIENTS
    return audit_gradients(scores, max(inputs.files), inputs.params.delta) if scores.exists() else None


def _write_record_auc(
    folder: Path, variant: str, inputs: Inputs, labels: np.ndarray, members: Arrays
) -> None:
    """Write record_auc.csv, of the references' last epoch; without rows where they are too few, or none."""
    epoch = max(inputs.references.phi) if inputs.references else 0
    persons = None if inputs.attacks.persons is None else inputs.attacks.persons[: len(labels)]
    slices = tables.slices_of_members(labels, inputs.params.slices, _groups(inputs.params, variant), persons)
    rows = tables.record_auc_rows(variant, epoch, members, slices)
    write_table(folder / "record_auc.csv", rows, RECORD_AUC_COLUMNS)


def _write_audit(folder: Path, audit: dict[str, Any] | None) -> None:
    """Write one_run.json; that of an earlier run goes where there are no canaries any more."""
    if audit:
        write_json(folder / "one_run.json", audit)
    else:
        (folder / "one_run.json").unlink(missing_ok=True)


def _groups(params: AttackParams, variant: str) -> Groups | None:
    """The groups: of columns, or of a file, which lies where dvc.yaml declares it: DVC sees a change."""
    if params.groups == COLUMNS:
        if not GROUP.exists():
            raise refuse("attack.groups", COLUMNS, "a file, since dataset.groups names no columns")
        of, columns = np.load(GROUP), read_json(ABOUT)["groups"]
        return groups_of_columns(columns, of[_members(variant)], of[np.load(NONMEMBER)])
    return None if params.groups is None else load_groups(_watched("groups", params.groups))


def _excluded(params: AttackParams) -> tuple[int, ...]:
    """The rows of the non-members that take no part; members that the file names are members."""
    if params.exclude is None:
        return ()
    excluded = load_excluded(_watched("exclude", params.exclude))
    nonmember = np.load(NONMEMBER)
    most = max(nonmember.max(), np.load(MEMBER).max())
    if excluded.max() > most:
        raise UserError(f"{params.exclude}: position {excluded.max()}, allowed: 0 to {most}")
    rows = np.flatnonzero(np.isin(nonmember, excluded))
    if len(rows) == len(nonmember):
        raise UserError(f"{params.exclude}: has all non-members, allowed: some")
    return tuple(rows.tolist())


def _persons(variant: str) -> np.ndarray | None:
    """Whose row each example of a score file is, members first; None where the data have no persons."""
    return (
        np.load(PERSON)[np.concatenate([_members(variant), np.load(NONMEMBER)])] if PERSON.exists() else None
    )


def _watched(key: str, path: str) -> str:
    """A file of conf/groups; UserError for another."""
    if Path(path).parent != GROUPS:
        raise refuse(f"attack.{key}", path, f"null or a file in {GROUPS}")
    return path


def _members(variant: str) -> np.ndarray:
    """The positions of the members that are no canaries."""
    canaries = read_arrays(COINS / f"{variant}.npz")["index"]
    return np.setdiff1d(np.load(MEMBER), canaries, assume_unique=True)


def _member(variant: str, results: tables.Results, files: dict[int, Path]) -> np.ndarray:
    """`_members`; UserError where a score file has others."""
    member = _members(variant)
    for epoch, result in results.items():
        if len(result.member_loss) != len(member):
            raise UserError(
                f"{files[epoch]}: {len(result.member_loss)} members, not the {len(member)} of {MEMBER}"
            )
    return member


if __name__ == "__main__":
    run(checked(main))
