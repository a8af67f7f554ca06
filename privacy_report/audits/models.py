"""Audit models or checkpoints from files: what is attacked, what it finds, what a policy says of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from privacy_report.attack import registry, tables
from privacy_report.attack.canaries import audit_coins, audit_scores
from privacy_report.attack.checkpoint import CheckpointFindings, attack_outputs
from privacy_report.attack.choice import MOST_EARLY, early_epochs
from privacy_report.attack.epsilon_bound import GIVEN_AWAY
from privacy_report.attack.one_run import OneRun
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.signals import pool
from privacy_report.attack.slices import Groups, load_groups
from privacy_report.audits.attacks import EPOCH, audit_params, default_estimators
from privacy_report.audits.audit_file import AuditFile, read_audit_file
from privacy_report.audits.checks import InputCheck, check_outputs, rows_of_persons, said_once
from privacy_report.audits.given import attacks_on, fitting, policy_for, stated
from privacy_report.audits.progress import progress
from privacy_report.errors import UserError, one_line
from privacy_report.gate.policy import Evidence, verdict_on
from privacy_report.gate.schema import GateParams
from privacy_report.pipeline.contract import RELEASES
from privacy_report.pipeline.epoch_names import by_epoch
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row

DEFAULT_POLICY = "default"
POLICIES = {DEFAULT_POLICY: Path(__file__).with_name("policy.yaml")}
"""Policies that come with the package, by name; the file is a link to conf/gate/default.yaml."""
QUICK = ("threshold", "threshold_confidence", "threshold_entropy", "threshold_modified_entropy", "logistic")
"""Attacks on outputs alone that take seconds at any size that fits into memory."""
SLOWER = ("gradient_boosting", "random_forest", "mlp", "knn")
MOST_FOR_SLOWER, MOST_CLASSES_FOR_SLOWER = 60_000, 30
"""Examples and classes up to which all attacks together take less than a minute on one core."""
SUFFIXES = (".npz", ".csv")
REMEDY = "; --models takes each file as a separate model"


@dataclass(frozen=True)
class Model:
    """A model to audit: its name, and by epoch each of its checkpoints: a file, or what it holds."""

    name: str
    files: Mapping[int, Path | AuditFile]


@dataclass(frozen=True)
class Attacked:
    """What was found on a model: rows of privacy.csv and halves.csv, and by epoch the findings behind them.

    inputs: what outputs say before any attack, by epoch. last: the outputs of the last checkpoint, None (and
    no rows) where the file has canaries' scores alone; references: by epoch how many reference models there
    were; coins: the one-run audit of the last checkpoint's canaries, None where it has none.
    """

    name: str
    rows: list[Row]
    halves: list[Row]
    results: dict[int, CheckpointFindings]
    last: Outputs | None
    references: dict[int, int]
    warnings: tuple[str, ...]
    coins: OneRun | None = None
    inputs: Mapping[int, InputCheck] = field(default_factory=dict)


def models_at(paths: Sequence[Path], separate: bool = False) -> list[Model]:
    """One model a path: a file is one checkpoint, a folder of .npz or .csv files has the epochs of one model.

    Epochs are the last number in the files' names; with `separate` every file is a model of its own. A folder
    of .npy files is one checkpoint. UserError for files of no epoch or of the same, and two models of one
    name.
    """
    models = []
    for path in paths:
        files = sorted(file for file in path.glob("*") if file.suffix in SUFFIXES)
        if files and not separate:
            models.append(Model(path.resolve().name, by_epoch(files, REMEDY)))
        else:
            models += [
                Model(source.stem if source.is_file() else source.resolve().name, {EPOCH: source})
                for source in files or [path]
            ]
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"two models are called {twice[0]!r}, allowed: different names; rename a file or folder"
        )
    return models


def default_attacks(file: AuditFile, mode: str = registry.DEFAULT) -> list[str]:
    """All of a mode that run within a minute, those included that the file has more evidence for."""
    assert file.outputs is not None
    if file.given:
        return attacks_on(file)
    n_classes = file.outputs.member_logits.shape[1]
    small = len(_labels(file)) <= MOST_FOR_SLOWER and n_classes <= MOST_CLASSES_FOR_SLOWER
    early = ["trajectory"] if file.early_phi is not None else []
    references = ["lira", "rmia"] if file.references else []
    candidates = [*QUICK, *(SLOWER if small else ()), *early, *references]
    return [name for name in candidates if name in registry.known(mode, default_estimators())]


def attack_file(
    file: AuditFile,
    params: AttackParams,
    halves: bool = False,
    groups: Groups | None = None,
    done: Callable[[], None] = lambda: None,
) -> CheckpointFindings:
    """All attacks of `params` on one file; calls `done` after each of len(params.made) + 1 parts.

    epsilon is bounded at the largest delta that so many members allow.
    """
    assert file.outputs is not None
    params = replace(params, delta=min(params.delta, GIVEN_AWAY / len(file.outputs.member_labels)))
    params = fitting(params, file) if file.given else params
    evidence = file.early_phi, file.references
    findings = attack_outputs(file.outputs, params, groups, halves, *evidence, done, file.persons)
    return stated(findings, file, params.attacks)


def audited_coins(file: AuditFile, delta: float, guesses: int | None = None) -> OneRun | None:
    """The one-run audit of a file's canaries; None where it has none."""
    if file.canaries is None:
        if guesses is not None:
            raise UserError("--guesses: got a number of guesses, allowed: with a file that has canaries")
        return None
    if isinstance(file.canaries, tuple):
        return audit_scores(*file.canaries, delta, guesses)
    return audit_coins(file.canaries, delta, guesses)


def attack_model(
    model: Model,
    attacks: Sequence[str] | None,
    options: Mapping[str, Any],
    halves: bool = False,
    guesses: int | None = None,
) -> Attacked:
    """Attack all checkpoints of a model; early ones are evidence against later ones.

    attacks: None for the default; options: of `audit_params`; guesses: of the one-run audit. UserError where
    the checkpoints are not of the same examples.
    """
    with progress(f"audit {model.name}", len(model.files)) as done:
        return _attacked(model, attacks, options, halves, guesses, done)


def _attacked(
    model: Model,
    attacks: Sequence[str] | None,
    options: Mapping[str, Any],
    halves: bool,
    guesses: int | None,
    done: Callable[[float], None],
) -> Attacked:
    """`attack_model`, which tells `done` how much of a checkpoint was done."""
    asked = audit_params(attacks or ["threshold"], **options)
    groups = load_groups(asked.groups) if asked.groups else None
    results: dict[int, CheckpointFindings] = {}
    references, warnings, phi = dict[int, int](), list[str](), dict[int, np.ndarray]()
    inputs, checks = dict[int, InputCheck](), dict[str, InputCheck]()
    first: AuditFile | None = None
    for epoch, given in model.files.items():
        path = given if isinstance(given, Path) else Path(model.name)
        file = given if isinstance(given, AuditFile) else read_audit_file(given)
        warnings += file.warnings
        if file.outputs is None:
            if len(model.files) > 1:
                raise UserError(f"{path}: has canaries' scores alone, allowed: as the only file of a model")
            break
        first = first or file
        _check_same(file, first, path)
        persons = rows_of_persons(file.persons, len(file.outputs.member_labels))
        checked = replace(check_outputs(file.outputs), given=file.given, persons=persons)
        inputs[epoch] = checks[str(path)] = checked
        file = file if file.given else _with_early(model, epoch, file, phi)
        chosen = _chosen(file, attacks, asked.mode, options)
        with naming(path):
            results[epoch] = attack_file(
                file, chosen, halves, groups, partial(done, 1 / (len(chosen.made) + 1))
            )
        references[epoch] = len(file.references.phi) if file.references else 0
    with naming(path):
        coins = audited_coins(file, asked.delta, guesses)
    warnings += said_once(checks)
    rows = tables.privacy_rows(model.name, results)
    cut = tables.privacy_rows(model.name, results, halves=True) if halves else []
    return Attacked(model.name, rows, cut, results, file.outputs, references, tuple(warnings), coins, inputs)


def _chosen(
    file: AuditFile, attacks: Sequence[str] | None, mode: str, options: Mapping[str, Any]
) -> AttackParams:
    """The attacks on a checkpoint: those that were asked for, or all by default that its file allows."""
    if attacks is not None:
        return audit_params(attacks, **options)
    released = () if file.given else RELEASES[1:]
    return audit_params(default_attacks(file, mode), released=released, **options)


def _check_same(file: AuditFile, first: AuditFile, path: Path) -> None:
    """UserError unless a checkpoint's file says the same of the same examples as the first one."""
    if file.given != first.given:
        got, allowed = (given or "a model's outputs" for given in (file.given, first.given))
        raise UserError(f"{path}: got {got}, allowed: {allowed}, as in the first file")
    both = ("labels", _labels(file), _labels(first)), ("persons", file.persons, first.persons)
    for what, own, others in both:
        if not np.array_equal(own, others):  # type: ignore[arg-type]  # of None and None, too
            raise UserError(f"{path}: other {what} than in the first file; the examples must be the same")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the block begin with the file that they are about."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _with_early(model: Model, epoch: int, file: AuditFile, phi: dict[int, np.ndarray]) -> AuditFile:
    """A checkpoint with early ones of its model as evidence, where its file has none itself.

    phi: epoch -> confidences float32 (n,) of the earliest checkpoints so far; those of this one are added.
    """
    assert file.outputs is not None
    early = early_epochs(list(model.files), epoch)
    if len(model.files) > 1 and len(phi) < MOST_EARLY:
        phi[epoch] = pool(file.outputs).phi.astype(np.float32)
    if file.early_phi is not None or not early:
        return file
    return replace(file, early_phi=np.stack([phi[other] for other in early]))


def _labels(file: AuditFile) -> np.ndarray:
    """Labels int (n,), members first."""
    assert file.outputs is not None
    return np.concatenate([file.outputs.member_labels, file.outputs.nonmember_labels])


def read_policy(policy: Path | str | Mapping[str, Any]) -> GateParams:
    """A policy from a file as conf/gate/default.yaml, by name in POLICIES, or its values.

    UserError where it is none.
    """
    if isinstance(policy, Mapping):
        return check("policy", dict(policy), GateParams)
    path = POLICIES.get(str(policy), Path(policy))
    try:
        values = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({one_line(error)})") from None
    return check(str(path), {} if values is None else values, GateParams)


def verdict(attacked: Attacked, policy: GateParams) -> dict[str, Any]:
    """What a policy says of a model. UserError where there are too few examples to be cut into halves."""
    if attacked.last is None:
        raise UserError(f"{attacked.name}: has canaries' scores alone, a policy is about a model's outputs")
    if not attacked.halves:
        raise UserError(
            f"{attacked.name}: a single example cannot be cut into halves, needs two of each side"
        )
    coins = {"epoch": max(attacked.results), **asdict(attacked.coins)} if attacked.coins else None
    halves, rows = measured(attacked.halves), measured(attacked.rows)
    evidence = Evidence(halves, rows, references=attacked.references, one_run=coins)
    given = attacked.inputs[max(attacked.inputs)].given if attacked.inputs else ""
    return verdict_on(attacked.name, policy_for(policy.policy(attacked.name), given), evidence)


def measured(rows: Sequence[Row]) -> list[Row]:
    """Rows as they are read back from a table: NaN for what is missing."""
    return [{name: math.nan if cell is None else cell for name, cell in row.items()} for row in rows]
