"""The written verdicts: where they are, whether they belong to what is here, and whether they pass."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privacy_report.errors import UserError
from privacy_report.gate.metrics import FOLDER as METRICS
from privacy_report.gate.twins import AUDIT
from privacy_report.gate.words import BREAKS, IN_A_WORD, KEEPS, UNCONFIRMED, VERDICTS, headline, line
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
        if verdict["verdict"] not in VERDICTS:
            raise ValueError(verdict["verdict"])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `dvc repro gate@{variant}` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: damaged, no verdict; `dvc repro gate@{variant}` writes it") from None
    return verdict


def verdict_lines(variants: Sequence[str], allow_unconfirmed: bool = False) -> tuple[list[str], bool]:
    """One line per variant, and whether every variant has a checkpoint that keeps the policy.

    A recommendation that the other half of the examples does not confirm passes only if `allow_unconfirmed`.
    In a clone without the folder `data/gate`, the verdicts are those of metrics/, which git keeps.
    Raises UserError when a verdict is missing, and where all variants are audit twins, which nothing judges.
    """
    if FOLDER.is_dir():
        verdicts = {variant: read_verdict(variant) for variant in variants}
        lines = [line(variant, verdict) for variant, verdict in verdicts.items()]
    else:
        verdicts = {variant: _committed(variant) for variant in variants}
        lines = [in_short(variant, verdict) for variant, verdict in verdicts.items()]
    if all(verdict["verdict"] == AUDIT for verdict in verdicts.values()):
        raise UserError(
            f"variants: got {', '.join(verdicts)}, all with canaries and never shipped, so there is nothing "
            "to judge, allowed: at least one without canaries"
        )
    return lines, all(_passes(verdict, allow_unconfirmed) for verdict in verdicts.values())


def in_short(variant: str, metrics: dict[str, Any]) -> str:
    """What a metrics file says in one line; metrics: as `_committed` reads it."""
    leak = {"yes": "leak detected", "no": "no leak detected"}.get(metrics["leak"], "nothing was measured")
    return f"{variant}: {headline(metrics)}; {leak} at epoch {metrics['epoch']} (metrics/{variant}.json)"


def _committed(variant: str) -> dict[str, Any]:
    """What a metrics file says, its verdict in the words of data/gate."""
    path = METRICS / f"{variant}.json"
    try:
        metrics: dict[str, Any] = read_json(path)
        word = metrics["verdict"]
        metrics["verdict"] = {short: verdict for verdict, short in IN_A_WORD.items()}.get(word, BREAKS)
        if word in (IN_A_WORD[KEEPS], UNCONFIRMED):
            metrics["recommended_epoch"] = metrics["epoch"]
        elif word not in IN_A_WORD.values():
            raise ValueError(word)
        in_short(variant, metrics)  # has all that a reader asks for
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: missing or damaged; `dvc repro gate@{variant}` writes it") from None
    return metrics


def _passes(verdict: dict[str, Any], allow_unconfirmed: bool) -> bool:
    # whatever does not say that it keeps the policy has not passed; a twin is not asked
    unconfirmed = verdict["verdict"] == BREAKS and "recommended_epoch" in verdict
    return verdict["verdict"] in (KEEPS, AUDIT) or (allow_unconfirmed and unconfirmed)


def refuse_stale() -> None:
    """Raise UserError where the verdicts belong to other code, data or parameters than those that are here.

    DVC says what it would run (`dvc repro --dry`), from dvc.lock alone where data is not here (a clone).
    """
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing", "gate"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    # of a stage that would run DVC asks for the inputs next, and a clone does not have them
    would_run = r"^Running stage '(.+?)'|^ERROR: failed to reproduce '(.+?)'"
    stages = re.findall(would_run, done.stdout + done.stderr, flags=re.MULTILINE)
    if stale := list(dict.fromkeys(name for names in stages for name in names if name)):
        raise UserError(
            f"the verdicts do not belong to the code, data and parameters that are here: {', '.join(stale)} "
            "would run; `dvc repro` brings them up to date"
        )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"whether verdicts are up to date cannot be told: `dvc repro --dry` said {said!r}")
