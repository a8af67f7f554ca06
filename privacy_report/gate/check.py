"""The written verdicts: where they are, what they say in a line, and whether they pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.gate.twins import AUDIT
from privacy_report.pipeline.files import read_json

FOLDER = Path("data/gate")


def path_of(variant: str, root: Path = Path()) -> Path:
    """The file of the verdict on a variant."""
    return root / FOLDER / f"{variant}.json"


def read_verdict(variant: str, root: Path = Path()) -> dict[str, Any]:
    """The verdict on a variant as `policy.verdict_on` gave it; UserError when there is none."""
    path = path_of(variant, root)
    try:
        verdict = read_json(path)
        line(variant, verdict)  # has all that a reader asks for
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro gate@{variant}` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: damaged, no verdict; `dvc repro gate@{variant}` writes it") from None
    return verdict


def check(variants: Sequence[str], allow_unconfirmed: bool = False) -> tuple[list[str], bool]:
    """One line a variant, and whether every variant has a checkpoint that passes.

    A recommendation that the other half of the examples does not confirm passes only if `allow_unconfirmed`.
    Raises UserError when a verdict is missing.
    """
    verdicts = {variant: read_verdict(variant) for variant in variants}
    lines = [line(variant, verdict) for variant, verdict in verdicts.items()]
    return lines, all(_passes(verdict, allow_unconfirmed) for verdict in verdicts.values())


def line(variant: str, verdict: dict[str, Any]) -> str:
    """The verdict on a variant in one line."""
    n = verdict["checkpoints"]
    if verdict["verdict"] == AUDIT:
        return f"{variant}: an audit twin with canaries, {verdict['passing']} of {n} pass; never shipped"
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
    # whatever does not say "pass" has not passed; a twin is not asked
    if verdict["verdict"] == AUDIT:
        return True
    return verdict["verdict"] == "pass" and (allow_unconfirmed or verdict["confirmed"] == "yes")
