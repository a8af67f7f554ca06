"""The file of an audit: a model's outputs and, if any, its early checkpoints and reference models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy_report.attack.confidence import logit_confidence
from privacy_report.attack.references import References
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
    labels = np.concatenate([outputs.member_labels, outputs.nonmember_labels])
    early, phi = (_phi(arrays, name, labels, outputs.n_classes, path) for name in ("early", "reference"))
    trains = arrays.get("reference_is_member")
    if (phi is None) != (trains is None):
        has = sorted(set(arrays) & set(OPTIONAL))
        raise UserError(
            f"{path}: reference_is_member goes with reference_logits or reference_phi, has only {has}"
        )
    try:
        references = None if phi is None or trains is None else References(phi, trains)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return AuditFile(outputs, early, references)


def _phi(
    arrays: Mapping[str, np.ndarray], name: str, labels: np.ndarray, n_classes: int, path: Path | str
) -> np.ndarray | None:
    """Confidences (k, n) of NAME_phi or NAME_logits, None where the file has neither."""
    phi, logits = arrays.get(f"{name}_phi"), arrays.get(f"{name}_logits")
    if phi is not None and logits is not None:
        raise UserError(f"{path}: has {name}_phi and {name}_logits, allowed: one of them")
    if logits is not None:
        if logits.ndim != 3 or logits.shape[1:] != (len(labels), n_classes) or logits.dtype.kind != "f":
            raise UserError(
                f"{path}: {name}_logits must be floats (k, {len(labels)}, {n_classes}), members first, got "
                f"{logits.dtype} {logits.shape}"
            )
        return np.stack([logit_confidence(one, labels) for one in logits]).astype(np.float32)
    if phi is not None and (phi.ndim != 2 or phi.shape[1] != len(labels) or phi.dtype.kind != "f"):
        raise UserError(
            f"{path}: {name}_phi must be floats (k, {len(labels)}), members first, got {phi.dtype} "
            f"{phi.shape}"
        )
    return phi
