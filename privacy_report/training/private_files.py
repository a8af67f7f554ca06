"""The files of a private variant that are made of what its epochs leave next to the model's state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privacy_report.pipeline.digests import Arrays
from privacy_report.pipeline.files import write_arrays, write_json
from privacy_report.training.private_arrays import COINS, P_VALUES, SCORES

GRADIENT_CANARIES = "gradient_canaries.npz"


def write_private(folder: Path, arrays: Arrays) -> None:
    """Write into a variant's folder what the epochs so far left, by the state after the last.

    privacy_check.json: of each check the smallest corrected p-value, rounded down, and in how many epochs it
    was made; an epoch that fails one leaves no state. gradient_canaries.npz, of an audit twin with such
    canaries: canary_scores and canary_is_member, as `privacy-report audit` reads them.
    """
    from privacy_report.training.self_check import CHECKS, LEVEL  # brings scipy

    p = arrays[P_VALUES]
    made = ~np.isnan(p)
    write_json(
        folder / "privacy_check.json",
        {
            "epochs": len(p),
            "level": LEVEL,
            "checks": {
                name: {"epochs": int(made[:, i].sum()), "p": float(p[made[:, i], i].min(initial=1.0))}
                for i, name in enumerate(CHECKS)
            },
        },
    )
    if SCORES in arrays:
        canaries = {"canary_scores": arrays[SCORES], "canary_is_member": arrays[COINS]}
        write_arrays(folder / GRADIENT_CANARIES, canaries)
