"""The file of an audit: a model's outputs and, if any, its early checkpoints and reference models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.attack.references import References, check_finite
from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_arrays
from privacy_report.pipeline.outputs import Outputs, outputs_of

OPTIONAL = ("early_logits", "early_phi", "reference_logits", "reference_phi", "reference_is_member")


@dataclass(frozen=True)
class AuditFile:
    """What an attacker holds: outputs, and where the file has them early_phi (k, n) and references."""

    outputs: Outputs
    early_phi: np.ndarray | None = None
    references: References | None = None


def read_audit_file(path: Path | str) -> AuditFile:
    """Read an .npz of `Outputs`' arrays and any of OPTIONAL, members first, then non-members.

    early_logits, reference_logits: float (k, n_member + n_nonmember, n_classes); instead of them early_phi,
    reference_phi: float (k, n), logit-scaled confidences. reference_is_member: bool (k, n). UserError of one
    line that names the array for wrong shapes or values.
    """
    arrays = read_arrays(path)
    outputs = outputs_of(arrays, path)
    try:
        return AuditFile(outputs, *_evidence(arrays, outputs))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


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
    kind, found = ("phi", phi) if logits is None else ("logits", logits)
    if found is None:
        return None
    shape = (len(labels),) if logits is None else (len(labels), n_classes)
    if found.ndim != 1 + len(shape) or found.shape[1:] != shape or found.dtype.kind != "f":
        raise UserError(
            f"{name}_{kind} must be floats (k, {', '.join(map(str, shape))}), members first, got "
            f"{found.dtype} {found.shape}"
        )
    if not len(found):
        raise UserError(f"{name}_{kind} must be of at least one model, got shape {found.shape}")
    with np.errstate(over="ignore"):  # a confidence that no float32 holds is refused below
        if logits is not None:
            found = np.stack([logit_confidence(one, labels) for one in logits])
        found = found.astype(np.float32)
    check_finite(found, f"{name}_{kind} of model")
    return found
