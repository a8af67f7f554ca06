"""The audit from Python: arrays in, an object out that a notebook shows as a table.

>>> from privacy_report.audits.notebook import audit
>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> labels, logits = rng.integers(0, 3, 200), rng.normal(size=(200, 3))
>>> logits[np.arange(200), labels] += 2
>>> found = audit(logits[:100], logits[100:], labels[:100], labels[100:], attacks=["threshold"])
>>> found.leaks
[]
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from privacy_report.attack import tables
from privacy_report.attack.audit import EPOCH, audit_params
from privacy_report.attack.audit_file import audit_file
from privacy_report.attack.one_run import OneRun
from privacy_report.audits.checks import check_outputs, said_once
from privacy_report.audits.models import Attacked, attack_file, audited_coins, default_attacks, read_policy
from privacy_report.audits.models import verdict as verdict_of
from privacy_report.errors import UserError
from privacy_report.gate.words import line as in_words
from privacy_report.pipeline.contract import with_ends
from privacy_report.pipeline.tables import Row

SHOWN = (
    "attack",
    "slice",
    "n_member",
    "n_nonmember",
    "auc",
    "advantage",
    "tpr_at_1pct_fpr",
    "epsilon_fixed_split",
    "leaks",
)
"""Columns of the table in a notebook."""


@dataclass(frozen=True)
class Audit:
    """What an audit found: rows of privacy.csv, None for what could not be measured."""

    found: Attacked

    @property
    def rows(self) -> list[Row]:
        return self.found.rows

    @property
    def leaks(self) -> list[Row]:
        """The rows in which a leak was detected, after correction."""
        return [row for row in self.rows if row["leaks"] == "yes"]

    @property
    def coins(self) -> OneRun | None:
        """The one-run audit of the canaries; None without any."""
        return self.found.coins

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame. UserError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UserError("to_frame: pip install pandas; `rows` has the same numbers") from None
        return pandas.DataFrame(self.rows)

    def gate(self, policy: Path | str) -> dict[str, Any]:
        """What a policy (a file as conf/gate/default.yaml) says, as `gate.policy.verdict_on` gives it."""
        return verdict_of(self.found, read_policy(Path(policy)))

    def in_words(self, policy: Path | str) -> str:
        """What a policy says, and how far that reaches, in one line."""
        return in_words(self.found.name, self.gate(policy))

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        head = "".join(f"<th>{escape(name)}</th>" for name in SHOWN)
        body = "".join(
            f"<tr>{''.join(f'<td>{_cell(row, name)}</td>' for name in SHOWN)}</tr>" for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def audit(
    member: ArrayLike,
    nonmember: ArrayLike,
    member_labels: ArrayLike,
    nonmember_labels: ArrayLike,
    *,
    probabilities: bool = False,
    classes: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    slices: Sequence[str] = ("entire", "class"),
    seed: int = 0,
    name: str = "audit",
    **evidence: ArrayLike,
) -> Audit:
    """Attack a model's outputs on its members and on examples that it was not trained on.

    member, nonmember: logits (n, n_classes), or with `probabilities` those; of two classes (n,) of class 1
    will do. Labels: int (n,), one-hot, or text that `classes` names in the order of the columns. attacks: by
    default all that run within a minute. evidence: early_phi, reference_phi, member_is_canary, ... as in the
    file of an audit. Warns of what is odd about the input (`checks.InputCheck`). UserError: impossible arrays
    or names, the same array on both sides.
    """
    kind = "probs" if probabilities else "logits"
    arrays = {f"member_{kind}": member, f"nonmember_{kind}": nonmember}
    arrays |= {"member_labels": member_labels, "nonmember_labels": nonmember_labels, **evidence}
    arrays |= {} if classes is None else {"classes": list(classes)}
    file = audit_file({key: np.asarray(value) for key, value in arrays.items()}, name)
    assert file.outputs is not None
    checked = check_outputs(file.outputs)
    said = (*file.warnings, *said_once({name: checked}))
    for warning in said:
        warnings.warn(warning, stacklevel=2)
    params = audit_params(default_attacks(file) if attacks is None else attacks, slices, seed=seed)
    results = {EPOCH: attack_file(file, params, halves=True)}
    rows, halves = (tables.privacy_rows(name, results, halves=cut) for cut in (False, True))
    references = {EPOCH: len(file.references.phi) if file.references else 0}
    coins = audited_coins(file, params.delta)
    return Audit(
        Attacked(name, rows, halves, results, file.outputs, references, said, coins, {EPOCH: checked})
    )


def _cell(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, float):
        return escape("" if value is None else str(value))
    ends = [row[end] for end in with_ends(name)[1:] if row.get(end) is not None]
    return f"{value:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")
