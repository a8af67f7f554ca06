"""What attackers find who ask about turned images, too, and which variants nobody asked about these."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privacy_report.pipeline.contract import ONE_QUERY
from privacy_report.pipeline.notes import queries_in
from privacy_report.report.study import Study
from privacy_report.report.summary import interval

AT_RANDOM = ("Rand", "AugMix", "CutMix", "MixUp")
"""How the names of Keras's layers begin that change training examples at random."""


@dataclass(frozen=True)
class Line:
    """One attack at a variant's last checkpoint, with one query or all, in words."""

    variant: str
    epoch: int
    attack: str
    queries: str
    auc: str
    advantage: str
    tpr: str


def compared(study: Study) -> list[Line]:
    """Each attack that asks more than once, and the same with one query, of the variants that have both."""
    lines = []
    for variant in study.candidates:
        epoch = study.shown(variant)["last"]
        rows = {row["attack"]: row for row in study.measured(variant, epoch)}
        for once, every in ONE_QUERY.items():
            if once in rows and every in rows:
                lines += [
                    Line(
                        variant=study.labels[variant],
                        epoch=epoch,
                        attack=every,
                        queries=queries_in(rows[name]["note"]).split(",")[0],
                        auc=interval(rows[name], "auc"),
                        advantage=interval(rows[name], "advantage"),
                        tpr=interval(rows[name], "tpr_at_1pct_fpr", percent=True),
                    )
                    for name in (once, every)
                ]
    return lines


def asked_too_little(study: Study) -> list[str]:
    """The labels of variants that trained on examples changed at random, but were attacked with one query."""
    return [
        label
        for variant, label in study.labels.items()
        if not study.variants[variant].get("queries") and _augments(study.root / "data/train" / variant)
    ]


def _augments(folder: Path) -> bool:
    """Whether a trained model has layers that change its inputs at random; no where that cannot be known."""
    files = sorted(folder.glob("epoch_*.npz"))
    if not files:
        return False
    with np.load(files[-1], allow_pickle=False) as arrays:
        text = arrays["architecture"].item() if "architecture" in arrays else "null"
    return any(name.startswith(AT_RANDOM) for name in _layers(json.loads(text)))


def _layers(config: Any) -> Iterator[str]:
    """The names of the classes in a model's JSON, nested models' too, except for initial values."""
    if isinstance(config, dict):
        if config.get("module") == "keras.initializers":
            return
        if isinstance(name := config.get("class_name"), str):
            yield name
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            yield from _layers(item)
