"""An audit of all checkpoints of one run: curves by epoch, the gate's verdict and the report's page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from privacy_report.attack import tables
from privacy_report.attack.checkpoint import CheckpointFindings
from privacy_report.attack.epsilon_bound import GIVEN_AWAY
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.slices import load_groups
from privacy_report.attack.variant import attack_checkpoint_of, read_inputs
from privacy_report.errors import UserError
from privacy_report.gate.check import path_of
from privacy_report.gate.policy import verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.pipeline.command import track
from privacy_report.pipeline.contract import ENTIRE, HISTORY, HISTORY_COLUMNS
from privacy_report.pipeline.files import atomic, write_json
from privacy_report.pipeline.memo import Arrays, Memo
from privacy_report.pipeline.outputs import Outputs, read_outputs
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row, read_rows, where, write_table

LIMITS = Path(__file__).parents[1] / "gate/default.yaml"  # a link to conf/gate/default.yaml


class _Forgetful(Memo):
    """No store: an audit leaves nothing but its results."""

    def recall(self, kind: str, key: str, compute: Any) -> Arrays:
        del kind, key
        return compute()


def score_files(folder: Path) -> dict[int, Path]:
    """Epoch -> score file in a folder; UserError where there is none."""
    found = {int(file.stem.removeprefix("epoch_")): file for file in sorted(folder.glob("epoch_*.npz"))}
    if not found:
        raise UserError(f"{folder}: no score files, allowed: epoch_0002.npz, epoch_0004.npz, ...")
    return found


def gate_limits(path: Path | None) -> dict[str, float]:
    """Rule -> limit in a YAML file, by default those in conf/gate/default.yaml."""
    path = path or LIMITS
    try:
        limits: dict[str, float] = check("gate", yaml.safe_load(path.read_text()), GateParams).limits
        return limits
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: no YAML of limits ({' '.join(str(error).split())})") from None


def audit_folder(folder: Path, out: Path, params: AttackParams, limits: dict[str, float]) -> list[Row]:
    """Attack each epoch_NNNN.npz of a folder, early ones helping against later ones; rows of privacy.csv.

    `out` becomes a folder as the pipeline's own, for `write_page`: data/attack/NAME, data/gate/NAME.json,
    params.yaml. UserError for files of different examples.
    """
    name, files = folder.resolve().name, score_files(folder)
    first = read_outputs(files[min(files)])
    params = replace(params, delta=min(params.delta, GIVEN_AWAY / len(first.member_labels)))
    _write_surroundings(out, name, params, limits, first)
    groups = load_groups(params.groups) if params.groups else None
    found = read_inputs(params, groups, folder, out / "data/reference" / name)
    kept, results = _Forgetful(f"audit {name}"), {}
    for epoch in track(files, len(files), f"audit {name}: checkpoints"):
        _check_same(files[epoch], read_outputs(files[epoch]), first)
        results[epoch] = attack_checkpoint_of(found, epoch, kept)
    member = np.arange(len(first.member_labels))
    at = out / "data/attack" / name
    tables.write(at, name, results, member, first.member_labels, {})
    write_json(at / "references.json", {"models": 0})
    _write_history(out, name, results, rows := tables.privacy_rows(name, results))
    epsilon = dict.fromkeys(files, float("nan"))
    verdict = verdict_on(name, read_rows(at / "halves.csv"), limits, epsilon)
    write_json(path_of(name, out), verdict)
    return rows


def write_page(out: Path) -> Path:
    """The report of an audited folder; UserError where its libraries are not installed."""
    try:
        from privacy_report.report.build import build
        from privacy_report.report.schema import ReportParams
        from privacy_report.report.study import Study
    except ImportError as error:
        raise UserError(f"the page needs pip install 'privacy-report[pipeline]' ({error})") from None
    return build(Study(out), ReportParams())


def _check_same(path: Path, outputs: Outputs, first: Outputs) -> None:
    for side in ("member_labels", "nonmember_labels"):
        if not np.array_equal(getattr(outputs, side), getattr(first, side)):
            raise UserError(f"{path}: other {side} than in the first file; the examples must be the same")


def _write_surroundings(
    out: Path, name: str, params: AttackParams, limits: dict[str, float], first: Outputs
) -> None:
    """What the attacks and the page read next to the scores."""
    n_member, n_nonmember = len(first.member_labels), len(first.nonmember_labels)
    (out / "data/reference" / name).mkdir(parents=True, exist_ok=True)
    np.save(out / "data/reference" / name / "trains.npy", np.zeros((0, n_member + n_nonmember), bool))
    about = {
        "name": name,
        "n_classes": first.n_classes,
        "class_names": [str(label) for label in range(first.n_classes)],
        "shape": [],
        "n_member": n_member,
        "n_nonmember": n_nonmember,
        "digest": "unknown, only outputs were given",
    }
    write_json(out / "data/prepare/dataset.json", about)
    sections = {"variants": {name: {"label": name}}, "attack": asdict(params), "gate": limits}
    with atomic(out / "params.yaml") as file:
        file.write(yaml.safe_dump(sections, sort_keys=False).encode())


def _write_history(out: Path, name: str, results: Mapping[int, CheckpointFindings], rows: list[Row]) -> None:
    """What is known of the training: the accuracy on the non-members."""
    history = []
    for epoch in results:
        whole = next(where(rows, epoch=epoch, slice=ENTIRE))
        unknown: dict[str, Any] = dict.fromkeys(HISTORY, None)
        history.append({"variant": name, "epoch": epoch, **unknown, "val_accuracy": whole["val_accuracy"]})
    write_table(out / f"data/train/{name}/history.csv", history, HISTORY_COLUMNS)
