"""The file of an audit: a model's outputs and, if any, early checkpoints, reference models, canaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.attack.references import References, check_finite
from privacy_report.attack.signals import Examples, pool
from privacy_report.audits.joined import joined
from privacy_report.audits.persons import PERSONS, persons_of
from privacy_report.audits.raw_outputs import arrays_of, normalised
from privacy_report.audits.scores import (
    PREDICTIONS,
    SCORES,
    kind_of_input,
    of_predictions,
    of_scores,
)
from privacy_report.errors import UserError
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.outputs import Outputs, outputs_of

OPTIONAL = ("early_logits", "early_phi", "reference_logits", "reference_phi", "reference_is_member")
CANARY_SCORES = ("canary_scores", "canary_is_member")
OF_KIND = {PREDICTIONS: of_predictions, SCORES: of_scores}
CANARY_MASKS = ("member_is_canary", "nonmember_is_canary")


@dataclass(frozen=True)
class AuditFile:
    """What an attacker holds: outputs, and where the file has them early_phi (k, n) and references.

    given: what the outputs stand for, PREDICTIONS or SCORES of `scores`; empty: they are the model's.
    canaries: examples that were members by a coin each, by their outputs (and references), or scores float
    (m,) with their coins bool (m,). outputs are None in a file of canaries' scores alone. persons: int (n,),
    whose row each is, members first.
    """

    outputs: Outputs | None
    early_phi: np.ndarray | None = None
    references: References | None = None
    canaries: Examples | tuple[np.ndarray, np.ndarray] | None = None
    warnings: tuple[str, ...] = ()
    given: str = ""
    persons: np.ndarray | None = None


def read_audit_file(path: Path | str) -> AuditFile:
    """Read `Outputs`' arrays and any of OPTIONAL, members first, then non-members, from an .npz or a .csv, or
    from a folder of .npy files, in any shape that `raw_outputs.normalised` takes.

    early_logits, reference_logits: float (k, n_member + n_nonmember, n_classes); instead of them early_phi,
    reference_phi: float (k, n), logit-scaled confidences. reference_is_member: bool (k, n). Canaries:
    member_is_canary bool (n_member,) with nonmember_is_canary, or canary_scores float (m,) with
    canary_is_member bool (m,), which may be all that there is, and may have ids (see `joined`). Instead of
    logits, member_predictions and nonmember_predictions: predicted classes (n,); or instead of logits and
    labels, member_scores and nonmember_scores: any floats (n,), higher = more likely a member. Next to any of
    them member_person and nonmember_person, whose row each is (`persons.persons_of`). UserError of one line
    that names the array for wrong shapes or values.
    """
    return audit_file(arrays_of(Path(path)), path)


def audit_file(given: Mapping[str, np.ndarray], path: Path | str) -> AuditFile:
    """The same from arrays in memory; `path` names them in errors."""
    named = {name: given[name] for name in PERSONS if name in given}
    given = {name: array for name, array in given.items() if name not in named}
    kind = kind_of_input(given, path)
    if kind:
        given = OF_KIND[kind](given, path)
    arrays, warnings = normalised(joined(given, path), path)
    outputs = None if set(arrays) == set(CANARY_SCORES) else outputs_of(arrays, path)
    persons = persons_of(named, _sizes(outputs), path)
    try:
        scored = _pair(arrays, CANARY_SCORES)
        if outputs is None:
            return AuditFile(None, canaries=scored)
        early, references = _evidence(arrays, outputs)
        masked = _masked(arrays, outputs, references, persons)
        if scored and masked:
            raise UserError(f"has {CANARY_SCORES[0]} and {CANARY_MASKS[0]}, allowed: one of them")
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return AuditFile(outputs, early, references, masked or scored, tuple(warnings), kind, persons)


def _sizes(outputs: Outputs | None) -> tuple[int, int]:
    """How many members and non-members there are."""
    return (len(outputs.member_labels), len(outputs.nonmember_labels)) if outputs else (0, 0)


def _pair(arrays: Mapping[str, np.ndarray], names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray] | None:
    """Two arrays that go together; None where there is neither."""
    has = [name for name in names if name in arrays]
    if len(has) == 1:
        raise UserError(f"{names[0]} goes with {names[1]}, has only {has[0]}")
    return (arrays[names[0]], arrays[names[1]]) if has else None


def _masked(
    arrays: Mapping[str, np.ndarray],
    outputs: Outputs,
    references: References | None,
    persons: np.ndarray | None,
) -> Examples | None:
    """The canaries among members and non-members; None where the file marks none.

    UserError for a person of whom some rows are canaries and others are not: the coin is the person's.
    """
    masks = _pair(arrays, CANARY_MASKS)
    if masks is None:
        return None
    for name, mask, n in zip(CANARY_MASKS, masks, _sizes(outputs), strict=True):
        if mask.dtype != bool or mask.shape != (n,):
            raise UserError(f"{name} must be bool ({n},), got {mask.dtype} {mask.shape}")
    is_canary = np.concatenate(masks)
    if persons is not None and len(parted := np.intersect1d(persons[is_canary], persons[~is_canary])):
        raise UserError(
            f"{CANARY_MASKS[0]} and {CANARY_MASKS[1]} have some rows of {len(parted)} persons and lack "
            "others, allowed: all rows of a person, or none"
        )
    return replace(pool(outputs), references=references, persons=persons).take(np.flatnonzero(is_canary))


def _evidence(
    arrays: Mapping[str, np.ndarray], outputs: Outputs
) -> tuple[np.ndarray | None, References | None]:
    """Early confidences and references of a file's arrays, each None where the file has none."""
    labels = np.concatenate([outputs.member_labels, outputs.nonmember_labels])
    early, phi = (_phi(arrays, name, labels, outputs.n_classes) for name in ("early", "reference"))
    trains = arrays.get("reference_is_member")
    if (phi is None) != (trains is None):
        has = sorted(set(arrays) & set(OPTIONAL))
        raise UserError(f"reference_is_member goes with reference_logits or reference_phi, has only {has}")
    return early, None if phi is None or trains is None else References(phi, trains)


def _phi(
    arrays: Mapping[str, np.ndarray], name: str, labels: np.ndarray, n_classes: int
) -> np.ndarray | None:
    """Finite confidences float32 (k, n) of NAME_phi or NAME_logits, None where the file has neither."""
    phi, logits = arrays.get(f"{name}_phi"), arrays.get(f"{name}_logits")
    if phi is not None and logits is not None:
        raise UserError(f"has {name}_phi and {name}_logits, allowed: one of them")
    kind, values = ("phi", phi) if logits is None else ("logits", logits)
    if values is None:
        return None
    shape = (len(labels),) if logits is None else (len(labels), n_classes)
    if values.ndim != 1 + len(shape) or values.shape[1:] != shape or values.dtype.kind != "f":
        raise UserError(
            f"{name}_{kind} must be floats (k, {', '.join(map(str, shape))}), members first, got "
            f"{values.dtype} {values.shape}"
        )
    if not len(values):
        raise UserError(f"{name}_{kind} must be of at least one model, got shape {values.shape}")
    with np.errstate(over="ignore"):  # a confidence that no float32 holds is refused below
        if logits is None:
            values = values.astype(np.float32)
        else:
            values = np.stack([_confidence(model_logits, labels) for model_logits in logits])
    check_finite(values, f"{name}_{kind} of model")
    return values


def _confidence(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Confidences float32 (n,) of one model's logits (n, n_classes)."""
    phi = np.empty(len(labels), np.float32)
    for span, block in blocks(logits):
        phi[span] = logit_confidence(block, labels[span])
    return phi
