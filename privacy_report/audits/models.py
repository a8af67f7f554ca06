"""Audit models or checkpoints from files: what is attacked, what it finds, what a policy says of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from privacy_report.attack import tables
from privacy_report.attack.audit import EPOCH, audit_params
from privacy_report.attack.audit_file import AuditFile, read_audit_file
from privacy_report.attack.checkpoint import CheckpointFindings, attack_outputs
from privacy_report.attack.epsilon_bound import GIVEN_AWAY
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.slices import load_groups
from privacy_report.errors import UserError
from privacy_report.gate.policy import Evidence, verdict_on
from privacy_report.gate.schema import GateParams, Limits
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row

QUICK = ("threshold", "threshold_confidence", "threshold_entropy", "threshold_modified_entropy", "logistic")
"""Attacks on outputs alone that take seconds at any size that fits into memory."""
SLOWER = ("gradient_boosting", "random_forest", "mlp", "knn")
MOST_FOR_SLOWER = 60_000
"""Examples up to which all attacks together take less than a minute on one core."""
SUFFIXES = (".npz", ".csv")


@dataclass(frozen=True)
class Model:
    """A model to audit: its name, and the file of each of its checkpoints by epoch."""

    name: str
    files: Mapping[int, Path]


@dataclass(frozen=True)
class Attacked:
    """What was found on a model: rows of privacy.csv and halves.csv, and by epoch the findings behind them.

    last: the outputs of the last checkpoint; references: how many reference models helped at the most.
    """

    name: str
    rows: list[Row]
    halves: list[Row]
    results: dict[int, CheckpointFindings]
    last: Outputs
    references: int
    warnings: tuple[str, ...]


def models_at(paths: Sequence[Path]) -> list[Model]:
    """One model a path: a file is one checkpoint, a folder of .npz or .csv files has the epochs of one model.

    Epochs are the last number in the files' names, or, where two agree or one has none, their order by name.
    A folder of .npy files is one checkpoint. UserError for two models of one name.
    """
    models = []
    for path in paths:
        files = sorted(file for file in path.glob("*") if file.suffix in SUFFIXES)
        models.append(Model(path.stem if path.is_file() else path.name, _by_epoch(files or [path])))
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"two models are called {twice[0]!r}, allowed: one of a name; rename a file or folder"
        )
    return models


def _by_epoch(files: Sequence[Path]) -> dict[int, Path]:
    if len(files) == 1:
        return {EPOCH: files[0]}
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    epochs = [int(found[-1]) if found else 0 for found in numbers]
    if len(set(epochs)) < len(files) or min(epochs) < 1:
        epochs = list(range(1, len(files) + 1))
    return dict(sorted(zip(epochs, files, strict=True)))


def default_attacks(file: AuditFile) -> list[str]:
    """All that run within a minute, those included that the file has more evidence for."""
    n = len(file.outputs.member_labels) + len(file.outputs.nonmember_labels)
    early = ["trajectory"] if file.early_phi is not None else []
    references = ["lira", "rmia"] if file.references else []
    return [*QUICK, *(SLOWER if n <= MOST_FOR_SLOWER else ()), *early, *references]


def attack_file(file: AuditFile, params: AttackParams, halves: bool = False) -> CheckpointFindings:
    """All attacks of `params` on one file. epsilon is bounded at the largest delta that so many allow."""
    groups = load_groups(params.groups) if params.groups else None
    params.delta = min(params.delta, GIVEN_AWAY / len(file.outputs.member_labels))
    return attack_outputs(file.outputs, params, groups, halves, file.early_phi, file.references)


def attack_model(
    model: Model, attacks: Sequence[str] | None, options: Mapping[str, Any], halves: bool = False
) -> Attacked:
    """Attack all checkpoints of a model. attacks: None for the default; options: of `audit_params`."""
    results: dict[int, CheckpointFindings] = {}
    references, warnings = 0, list[str]()
    for epoch, path in model.files.items():
        file = read_audit_file(path)
        chosen = default_attacks(file) if attacks is None else attacks
        results[epoch] = attack_file(file, audit_params(chosen, **options), halves)
        references = max(references, len(file.references.phi) if file.references else 0)
        warnings += file.warnings
    rows = tables.privacy_rows(model.name, results)
    cut = tables.privacy_rows(model.name, results, halves=True) if halves else []
    return Attacked(model.name, rows, cut, results, file.outputs, references, tuple(warnings))


def read_policy(path: Path) -> Limits:
    """A policy from a file as conf/gate/default.yaml. UserError where it is none."""
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return check(str(path), {} if values is None else values, GateParams)


def verdict(found: Attacked, policy: Limits) -> dict[str, Any]:
    """What a policy says of a model. UserError where there are too few examples to be cut into halves."""
    if not found.halves:
        raise UserError(f"{found.name}: a single example cannot be cut into halves, needs two of each side")
    evidence = Evidence(measured(found.halves), measured(found.rows), {}, found.references)
    return verdict_on(found.name, policy.policy(found.name), evidence)


def measured(rows: Sequence[Row]) -> list[Row]:
    """Rows as they are read back from a table: NaN for what is missing."""
    return [{name: math.nan if cell is None else cell for name, cell in row.items()} for row in rows]
