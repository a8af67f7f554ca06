"""What reference models say beyond one target: how exposed each example is, and what the recipe leaks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from privacy_report.attack.evidence import ReferenceFiles
from privacy_report.attack.exposure import lt_iqr
from privacy_report.attack.reference_checks import recipe_at
from privacy_report.attack.reference_scores import rmia
from privacy_report.attack.references import TooFewError
from privacy_report.pipeline.digests import Arrays

TOP = 100
"""Of so many members that LT-IQR ranks highest it is said how many the references find."""
FOUND_AT = 0.01


def recipe_of(trains: Path, attacked: Path, others: Path) -> Arrays:
    """Every reference attacked by those outside its group with `rmia`; see `reference_checks.recipe_at`.

    trains, attacked, others: files of the references, phi at two epochs. Nothing where they are too few to
    attack each other.
    """
    files = ReferenceFiles(trains, {0: attacked, 1: others})
    try:
        return recipe_at(rmia, files.at(0), files.at(1))
    except TooFewError:
        return {}


def recipe_summary(measures: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over the references of each measure that could be taken."""
    return {
        name: {"mean": float(values.mean()), "spread": float(values.std(ddof=1))}
        for name, values in measures.items()
        if np.isfinite(values).all()
    }


def agreement(losses: np.ndarray, found_at_fpr: np.ndarray, exposure: np.ndarray) -> dict[str, Any]:
    """How well LT-IQR, which needs no references, ranks the members that references find.

    losses float (n_checkpoints, n_member); found_at_fpr, exposure float (n_member,).
    """
    ranking = lt_iqr(losses)
    highest = np.argsort(-ranking, kind="stable")[:TOP]
    is_found = found_at_fpr <= FOUND_AT
    facts: dict[str, Any] = {
        "top": len(highest),
        "found_of_top": float(is_found[highest].mean()),
        "found_of_all": float(is_found.mean()),
    }
    if np.isfinite(exposure).all() and np.ptp(ranking) > 0:
        facts["rank_correlation_with_exposure"] = float(spearmanr(ranking, exposure).statistic)
    return facts
