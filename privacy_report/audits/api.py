"""The audit from Python: arrays, a file or a model in, an object out that prints and shows itself as a table.

`import privacy_report as pr` has all of it: `pr.audit`, `pr.audit_file`, `pr.score`, and `pr.Audit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from privacy_report.attack.one_run import OneRun
from privacy_report.audits import written
from privacy_report.audits.attacks import EPOCH
from privacy_report.audits.audit_file import audit_file as file_of
from privacy_report.audits.models import DEFAULT_POLICY, Attacked, Model, attack_model, models_at, read_policy
from privacy_report.audits.models import verdict as verdict_of
from privacy_report.audits.page import check_libraries, write_page
from privacy_report.audits.scored import as_array
from privacy_report.audits.scored import score as score
from privacy_report.audits.terminal import PIPED, tell
from privacy_report.errors import UserError
from privacy_report.gate.words import line as in_words
from privacy_report.pipeline.contract import with_ends
from privacy_report.pipeline.measured import MAX
from privacy_report.pipeline.tables import Row

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

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


@dataclass(frozen=True, repr=False)
class Audit:
    """What an audit found. Printed it is the command's tables, and a notebook shows it as one.

    Examples:
        >>> import numpy as np, privacy_report as pr
        >>> rng = np.random.default_rng(0)
        >>> labels, logits = rng.integers(0, 3, 1200), rng.normal(size=(1200, 3))
        >>> logits[np.arange(1200), labels] += np.repeat([4, 1], 600)  # members are learned by heart
        >>> audit = pr.audit(logits[:600], labels[:600], logits[600:], labels[600:], attacks=["threshold"])
        >>> [row["slice"] for row in audit.leaks]
        ['entire dataset', 'class=0', 'class=1', 'class=2']
        >>> audit.gate()["verdict"]
        'breaks the policy'
    """

    attacked: Attacked

    @property
    def records(self) -> list[Row]:
        """The rows of privacy.csv: one for each epoch, attack and slice; None for what was not measured."""
        return self.attacked.rows

    @property
    def leaks(self) -> list[Row]:
        """The records in which a leak was detected, after correction."""
        return [row for row in self.records if row["leaks"] == "yes"]

    @property
    def rows(self) -> pandas.DataFrame:
        """The records as a pandas DataFrame. UserError where pandas is not installed."""
        return _frame(self.records, "rows", "`records` has the same numbers")

    @property
    def examples(self) -> pandas.DataFrame:
        """examples.csv as a DataFrame: loss and membership probability of each example, members first.

        Of the last checkpoint. UserError where pandas is not installed.
        """
        return _frame(list(written.examples(self.attacked)), "examples", "`privacy-report audit` writes them")

    @property
    def coins(self) -> OneRun | None:
        """The one-run audit of the canaries; None without any."""
        return self.attacked.coins

    def gate(self, policy: Path | str | Mapping[str, Any] = DEFAULT_POLICY) -> dict[str, Any]:
        """What a policy says: "verdict", "checkpoints" and so on, as `gate.policy.verdict_on` gives it.

        policy: a file as conf/gate/default.yaml, "default" for that one, or limits as in it:
        `{"max_advantage": 0.1}`. UserError for what is none.
        """
        return verdict_of(self.attacked, read_policy(policy))

    def in_words(self, policy: Path | str | Mapping[str, Any] = DEFAULT_POLICY) -> str:
        """What a policy says, and how far that reaches, in one line."""
        return in_words(self.attacked.name, self.gate(policy))

    def to_html(self, path: Path | str, policy: Path | str | Mapping[str, Any] = DEFAULT_POLICY) -> None:
        """Write the report's page, with the policy's verdict. UserError without the libraries of `[page]`."""
        check_libraries("to_html")
        written.try_file(Path(path), f"to_html: {path}")
        write_page([self.attacked], {self.attacked.name: self.gate(policy)}, Path(path))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the ROC curves on the entire dataset, both axes logarithmic. UserError without matplotlib.

        ax: where to draw; by default new axes of pyplot.
        """
        try:
            from privacy_report.audits.picture import roc
        except ImportError:
            raise UserError("plot: pip install matplotlib") from None
        return roc(self.attacked, ax)

    def __repr__(self) -> str:
        text = StringIO()
        tell(self.attacked, console=Console(file=text, width=PIPED), rest="`rows`, or `records`")
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        """A table for notebooks."""
        head = "".join(f"<th>{escape(name)}</th>" for name in SHOWN)
        body = "".join(
            f"<tr>{''.join(f'<td>{_cell(row, name)}</td>' for name in SHOWN)}</tr>" for row in self.records
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def audit(
    member_logits: Any,
    member_labels: Any,
    nonmember_logits: Any,
    nonmember_labels: Any,
    *,
    probabilities: bool = False,
    classes: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    slices: Sequence[str] = ("entire", "class"),
    seed: int = 0,
    person_score: str = MAX,
    name: str = "audit",
    **evidence: Any,
) -> Audit:
    """Attack a model's outputs on its members and on examples that it was not trained on.

    Arrays may be NumPy's, a pandas column or table, and tensors of TensorFlow, PyTorch or JAX.
    member_logits, nonmember_logits: float (n, n_classes), or with `probabilities` those; of two classes (n,)
    of class 1 will do. Labels: int (n,), one-hot, or text that `classes` names in the order of the columns.
    attacks: by default all that run within a minute. evidence: early_phi, reference_phi, member_is_canary,
    ... as in the file of an audit. With member_person and nonmember_person, whose row each is, persons are
    scored and counted: person_score is max, mean or sum of their rows' scores. Warns of what is odd about
    the input (`checks.InputCheck`). UserError: impossible arrays or names, the same array on both sides.

    Examples:
        >>> import numpy as np, privacy_report as pr
        >>> rng = np.random.default_rng(0)
        >>> labels, logits = rng.integers(0, 3, 200), rng.normal(size=(200, 3))
        >>> logits[np.arange(200), labels] += 2
        >>> audit = pr.audit(logits[:100], labels[:100], logits[100:], labels[100:], attacks=["threshold"])
        >>> audit.leaks
        []
    """
    kind = "probs" if probabilities else "logits"
    arrays = {f"member_{kind}": member_logits, f"nonmember_{kind}": nonmember_logits}
    arrays |= {"member_labels": member_labels, "nonmember_labels": nonmember_labels, **evidence}
    arrays |= {} if classes is None else {"classes": list(classes)}
    file = file_of({key: as_array(value) for key, value in arrays.items()}, name)
    return _audited(Model(name, {EPOCH: file}), attacks, slices, seed, person_score)


def audit_file(
    path: Path | str,
    *,
    attacks: Sequence[str] | None = None,
    slices: Sequence[str] = ("entire", "class"),
    seed: int = 0,
    person_score: str = MAX,
) -> Audit:
    """Attack a file as `privacy-report audit` takes it, or a folder of them: the epochs of one run.

    path: an .npz or a .csv of one checkpoint, a folder of such files whose names end in their epochs, or a
    folder of .npy files. The others are as in `audit`. UserError names the file and what is wrong with it.

    Examples:
        >>> import numpy as np, privacy_report as pr
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 3, 100)
        >>> arrays = {"member_labels": labels, "nonmember_labels": labels}
        >>> for name in ("member_logits", "nonmember_logits"):
        ...     arrays[name] = rng.normal(size=(100, 3)) + 2 * np.eye(3)[labels]
        >>> np.savez("mine.npz", **arrays)
        >>> audit = pr.audit_file("mine.npz", attacks=["threshold"], slices=["entire"])
        >>> [(row["variant"], row["attack"], row["leaks"]) for row in audit.records]
        [('mine', 'threshold', 'no')]
    """
    (model,) = models_at([Path(path)])
    return _audited(model, attacks, slices, seed, person_score)


def _audited(
    model: Model, attacks: Sequence[str] | None, slices: Sequence[str], seed: int, person_score: str
) -> Audit:
    options = {"slices": slices, "seed": seed, "person_score": person_score}
    attacked = attack_model(model, attacks, options, halves=True)
    for warning in attacked.warnings:
        warnings.warn(warning, stacklevel=3)
    return Audit(attacked)


def _frame(rows: list[Row], name: str, instead: str) -> Any:
    try:
        import pandas
    except ImportError:
        raise UserError(f"{name}: pip install pandas; {instead}") from None
    return pandas.DataFrame(rows)


def _cell(row: Row, name: str) -> str:
    value = row[name]
    if not isinstance(value, float):
        return escape("" if value is None else str(value))
    ends = [row[end] for end in with_ends(name)[1:] if row.get(end) is not None]
    return f"{value:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")
