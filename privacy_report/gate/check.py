"""The written verdicts as lines and an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.pipeline.files import read_json

VERDICTS = Path("metrics/gate.json")


def check(allow_unconfirmed: bool = False) -> tuple[list[str], bool]:
    """One line a variant, and whether every variant has a checkpoint that passes.

    A recommendation that the other half of the examples does not confirm passes only if `allow_unconfirmed`.
    Raises UserError when there are no verdicts to read.
    """
    if not VERDICTS.is_file():
        raise UserError(f"{VERDICTS}: no such file; `dvc repro gate` writes it")
    try:
        verdicts = read_json(VERDICTS)["variants"]
        lines = [line(variant, verdict) for variant, verdict in verdicts.items()]
        passed = all(_passes(verdict, allow_unconfirmed) for verdict in verdicts.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{VERDICTS}: damaged, not the gate's verdicts; `dvc repro gate` writes it") from None
    if not lines:
        raise UserError(f"{VERDICTS}: no verdict on any variant; `dvc repro gate` writes it")
    return lines, passed


def line(variant: str, verdict: dict[str, Any]) -> str:
    """The verdict on a variant in one line."""
    n = verdict["checkpoints"]
    if verdict["verdict"] == "pass":
        chosen = f"epoch {verdict['recommended_epoch']} ({verdict['passing']} of {n} pass)"
        if verdict["confirmed"] == "yes":
            return f"{variant}: pass, {chosen}"
        return f"{variant}: NOT CONFIRMED on the other half of the examples, {chosen}"
    counts: dict[str, int] = {}
    for finding in verdict["failing"]:
        how = "cannot be judged" if finding["value"] is None else "fails"
        counts[f"{finding['rule']} {how}"] = counts.get(f"{finding['rule']} {how}", 0) + 1
    broken = ", ".join(f"{what} at {count}" for what, count in counts.items())
    return f"{variant}: FAIL, none of {n} checkpoints passes ({broken})"


def _passes(verdict: dict[str, Any], allow_unconfirmed: bool) -> bool:
    # whatever does not say "pass" has not passed
    return verdict["verdict"] == "pass" and (allow_unconfirmed or verdict["confirmed"] == "yes")
