"""The card of a variant's shipped model, or why there is none: Markdown from verdict and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privacy_report.gate.policy import in_words
from privacy_report.gate.twins import AUDIT
from privacy_report.gate.words import breaches, line
from privacy_report.pipeline.claim import Claim
from privacy_report.pipeline.contract import (
    EARLY,
    ENTIRE,
    OUTPUTS,
    REFERENCES,
    REPORT,
    counts,
    kind_of,
    with_ends,
)
from privacy_report.pipeline.tables import Row, where

HOLDS = {
    OUTPUTS: "outputs only",
    EARLY: "outputs, early checkpoints",
    REFERENCES: "outputs, reference models",
}
LIMITS = """\
- A low number is not safety: a stronger attacker may find more.
- Members and non-members must be alike. Any other difference counts as a leak.
- The intervals are about the examples. Another training run is another model.
- An average hides people: `data/attack/{variant}/exposed.csv` names the examples most at risk.
"""


@dataclass(frozen=True)
class Shipped:
    """A written model: its file's name and SHA-256, how many of its outputs were tried, and how they differ.

    furthest: the largest difference to the logits of data/score, 0.0 for the same bits.
    """

    file: str
    sha256: str
    tried: int
    furthest: float


def card(
    variant: str,
    section: Mapping[str, Any],
    verdict: Mapping[str, Any],
    halves: Sequence[Row],
    claim: Claim | None,
    dataset: Mapping[str, Any],
    commit: str,
    shipped: Shipped | None,
) -> str:
    """The card as Markdown.

    section: the variant's in params.yaml; halves: halves.csv; claim: None without differential privacy;
    dataset: dataset.json; shipped: None without a recommendation. The numbers are of the verdict's epoch.
    """
    epoch = verdict["scope"]["epoch"]
    at = list(where(halves, epoch=float(epoch), half=REPORT, slice=ENTIRE))
    rows = [row for row in at if counts(row["attack"], verdict.get("released"))]
    parts = [
        f"# {section.get('label', variant)} (`{variant}`)\n\n{line(variant, dict(verdict))}\n",
        _file(shipped, dataset) if shipped else _no_file(verdict),
        f"## Checkpoint\n\n{_checkpoint(epoch, claim, at[0], verdict['public_seed'])}",
        *([_claim(claim)] if claim else []),
        _found(epoch, rows),
        _policy(verdict),
        _origin(variant, section, dataset, commit),
        "## Limits of this audit\n\n" + LIMITS.format(variant=variant),
    ]
    return "\n".join(parts)


def _file(shipped: Shipped, dataset: Mapping[str, Any]) -> str:
    shape = " x ".join(map(str, dataset["shape"]))
    names = ", ".join(dataset["class_names"][:10]) + (", ..." if dataset["n_classes"] > 10 else "")
    if shipped.furthest:
        tried = (
            f"differ from those in data/score by at most {shipped.furthest:.3g} in {shipped.tried} examples"
        )
    else:
        tried = f"are those in data/score bit for bit in the {shipped.tried} examples that were tried"
    kind = dataset.get("dtype", "uint8")
    rows = f"rows as in data/prepare/images.npy, {kind} (n, {shape})" + (
        ", and scales them itself" if kind == "uint8" else ""
    )
    return f"""## File

`{shipped.file}`, SHA-256 `{shipped.sha256}`.

- `keras.models.load_model` opens it; your own layers need the module that defines them.
- It takes {rows}.
- It gives logits (n, {dataset["n_classes"]}) for {names}.
- The logits of `predict` {tried}.
"""


def _no_file(verdict: Mapping[str, Any]) -> str:
    if verdict["verdict"] == AUDIT:
        return "## No file\n\nAn audit twin, trained with canaries, is never shipped.\n"
    if "recommended_epoch" in verdict:
        against = sorted({(finding["rule"], finding["reason"]) for finding in verdict["against"]})
        why = "The best checkpoint fails on the half of the examples that had no part in the choice"
    else:
        failing = verdict["failing"]
        against = sorted(
            {(finding["rule"], finding["reason"]) for finding in failing if finding["judged"] == "no"}
        )
        broken = breaches(finding for finding in failing if finding["judged"] == "yes")
        why = "No checkpoint passes the policy below" + (f" ({broken})" if broken else "")
    reasons = "".join(f"- `{rule}` {reason}\n" for rule, reason in against)
    return f"## No file\n\n{why}, so no model is shipped.\n" + (f"\n{reasons}" if reasons else "")


def _checkpoint(epoch: int, claim: Claim | None, whole: Row, public_seed: str) -> str:
    epsilon = f"{claim.epsilon:.4g}" if claim else "none, it was not trained privately"
    if public_seed == "yes" and claim:
        epsilon += ", void for anyone who knows the noise seed, which is committed"
    return f"""| | |
| --- | --- |
| completed epochs | {epoch} |
| accuracy on members / on non-members | {whole["accuracy"]:.4f} / {whole["val_accuracy"]:.4f} |
| claimed epsilon of differential privacy | {epsilon} |
"""


def _claim(claim: Claim) -> str:
    """What the training claims, and the phrases that say what it does not."""
    phrases = "".join(f"- {phrase}\n" for phrase in claim.not_covered)
    return f"## Differential privacy\n\nClaimed: {claim.in_words()}. The claim does not cover:\n\n{phrases}"


def _found(epoch: int, rows: Sequence[Row]) -> str:
    """The strongest attack of each kind."""
    lines = [
        f"## What attacks found\n\nEpoch {epoch}, on the half of the examples without a part in the choice.",
        "Of each kind the attack with the highest AUC, with 95% intervals.\n",
        "| attacker holds | attack | AUC | advantage | found at 1% FPR | epsilon, fixed split |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind, holds in HOLDS.items():
        measured = [row for row in rows if kind_of(row["attack"]) == kind and not math.isnan(row["auc"])]
        if not measured:
            lines.append(f"| {holds} | not measured | | | | |")
            continue
        row = max(measured, key=lambda row: row["auc"])
        cells = [_interval(row, name) for name in ("auc", "advantage", "tpr_at_1pct_fpr")]
        cells.append(_number(row["epsilon_fixed_split"]))
        lines.append(f"| {holds} | `{row['attack']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(row: Row, name: str) -> str:
    value, low, high = (row[column] for column in with_ends(name))
    return "" if math.isnan(value) else f"{value:.4f} ({low:.4f}-{high:.4f})"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _policy(verdict: Mapping[str, Any]) -> str:
    rules = "".join(f"- {rule}\n" for rule in in_words(verdict["policy"]))
    lines = [f"## Policy\n\n{rules}"]
    lines.append(
        f"{verdict['passing']} of {verdict['checkpoints']} checkpoints pass on the half that chooses."
    )
    if "confirmed" in verdict:
        how = "confirms" if verdict["confirmed"] == "yes" else "DOES NOT CONFIRM"
        lines.append(f"The other half {how} the choice.")
    lines.append(f"Reference models of the attacker: {verdict['reference_models']}.\n")
    return "\n".join(lines)


def _origin(variant: str, section: Mapping[str, Any], dataset: Mapping[str, Any], commit: str) -> str:
    return f"""## Origin

| | |
| --- | --- |
| data | {dataset["name"]}, {dataset["n_member"]} members, {dataset["n_nonmember"]} non-members |
| digest of the data | `{dataset["digest"]}` |
| non-members that equal a member | {dataset.get("duplicates", "not counted")} |
| commit | {commit} |

Repeat it with `dvc repro ship@{variant}` at that commit. The variant's parameters:

```json
{_json(section)}
```
"""


def _json(section: Mapping[str, Any]) -> str:
    return json.dumps(section, indent=2, sort_keys=True)
