"""Audit the outputs of a model of any framework: arrays in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from privacy_report.attack import tables
from privacy_report.attack.checkpoint import CheckpointFindings, attack_outputs
from privacy_report.attack.epsilon_bound import GIVEN_AWAY
from privacy_report.attack.references import References
from privacy_report.attack.schema import AttackParams
from privacy_report.attack.slices import load_groups
from privacy_report.pipeline.measured import MAX
from privacy_report.pipeline.outputs import Outputs
from privacy_report.pipeline.params import check
from privacy_report.pipeline.tables import Row

DEFAULTS = Path(__file__).with_name("default.yaml")  # a link to conf/attack/default.yaml
EPOCH = 1
"""Audited outputs are one checkpoint; their rows carry this epoch."""


@cache
def default_estimators() -> dict[str, Any]:
    """The trained attackers that have a name, as the section `attack` of params.yaml has them."""
    return yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))["estimators"]


def audit_params(
    attacks: Sequence[str] = ("threshold", "logistic"),
    slices: Sequence[str] = ("entire", "class"),
    mode: str = "default",
    seed: int = 0,
    groups: str | None = None,
    delta: float | None = None,
    released: Sequence[str] = (),
    person_score: str = MAX,
) -> AttackParams:
    """The parameters of an audit, checked; what is not asked for is as in conf/attack/default.yaml.

    The entire dataset is always among the slices. Raises UserError of one line for an unknown name.
    """
    slices = list(dict.fromkeys(["entire", *slices, *(["group"] if groups else [])]))
    settings = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    settings |= {"attacks": list(attacks), "slices": slices, "mode": mode, "seed": seed, "groups": groups}
    settings |= {"released": list(released), "person_score": person_score}
    settings |= {} if delta is None else {"delta": delta}
    return check("audit", settings, AttackParams)


def audit(
    outputs: Outputs,
    params: AttackParams,
    name: str = "audit",
    early_phi: np.ndarray | None = None,
    references: References | None = None,
) -> tuple[list[Row], CheckpointFindings]:
    """Rows of privacy.csv, `variant` being `name`, and the findings that they come from.

    early_phi: float (k, n), the target's confidences at early checkpoints; references: reference models.
    epsilon_fixed_split is a bound at the parameters' delta, or at the largest that so many members allow
    (`epsilon_bound.check_delta`).

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 3, 200)
    >>> logits = rng.normal(size=(200, 3))
    >>> outputs = Outputs(logits[:100], labels[:100], logits[100:], labels[100:])
    >>> rows, _ = audit(outputs, audit_params(attacks=["threshold"], slices=["entire"]))
    >>> [(row["attack"], row["slice"], row["leaks"]) for row in rows]
    [('threshold', 'entire dataset', 'no')]
    """
    groups = load_groups(params.groups) if params.groups else None
    params = replace(params, delta=min(params.delta, GIVEN_AWAY / len(outputs.member_labels)))
    findings = attack_outputs(outputs, params, groups, False, early_phi, references)
    return tables.privacy_rows(name, {EPOCH: findings}), findings
