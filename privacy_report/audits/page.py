"""The page of an audit: the files that a study is read from, written for models that no pipeline trained."""

from __future__ import annotations

import hashlib
import importlib
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from privacy_report.attack import tables
from privacy_report.audits.models import Attacked
from privacy_report.errors import UserError
from privacy_report.gate.check import path_of
from privacy_report.pipeline import claim
from privacy_report.pipeline.blocks import blocks
from privacy_report.pipeline.contract import (
    ENTIRE,
    HISTOGRAM_COLUMNS,
    HISTORY_COLUMNS,
    PRIVACY_COLUMNS,
    ROC_COLUMNS,
)
from privacy_report.pipeline.files import write_json
from privacy_report.pipeline.tables import where, write_table

MOST_NAMES = 6  # of models, in the page's first sentence


def check_libraries(what: str = "--html") -> None:
    """UserError of `what` where a library that the page needs is missing: to be asked before the attacks."""
    try:
        importlib.import_module("privacy_report.report.build")
    except ImportError as error:
        library = (error.name or str(error)).partition(".")[0]
        raise UserError(f"{what} needs {library}: pip install '.[page]' in a clone") from None


def write_page(audited: Sequence[Attacked], verdicts: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the report page on the audited models to `path`, with libraries that an audit alone lacks."""
    from privacy_report.report.build import build_page
    from privacy_report.report.schema import ReportParams
    from privacy_report.report.study import Study

    report = ReportParams(exposed_images=0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = [model.name for model in audited]
        name = ", ".join(names) if len(names) <= MOST_NAMES else f"of {len(names)} models"
        params = {
            "dataset": {"name": name, "public": False},
            "variants": {model.name: {"label": model.name} for model in audited},
            "report": asdict(report),
        }
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
        write_json(root / "data/prepare/dataset.json", _dataset(audited, name))
        for model in audited:
            _write(model, verdicts[model.name], root)
        build_page(Study(root), report, path)


def _dataset(audited: Sequence[Attacked], name: str) -> dict[str, Any]:
    """dataset.json of the audited outputs; sizes and digest are of all models together where they differ."""
    outputs = [model.last for model in audited if model.last is not None]
    n_classes = max(model_outputs.n_classes for model_outputs in outputs)
    total = hashlib.sha256()
    for model_outputs in outputs:
        for logits in (model_outputs.member_logits, model_outputs.nonmember_logits):
            for _, block in blocks(logits):
                total.update(np.ascontiguousarray(block).tobytes())
    persons = [p for model in audited for check in model.inputs.values() if (p := check.persons) is not None]
    counts = {
        f"n_{side}_person": max(len(rows) for rows in per_model)
        for side, per_model in zip(("member", "nonmember"), zip(*persons, strict=True), strict=False)
    }
    return counts | {
        "name": name,
        "audited": True,
        "n_classes": n_classes,
        "class_names": [f"class {i}" for i in range(n_classes)],
        "digest": total.hexdigest(),
        "n_member": max(len(model_outputs.member_labels) for model_outputs in outputs),
        "n_nonmember": max(len(model_outputs.nonmember_labels) for model_outputs in outputs),
        "warnings": [warning for model in audited for warning in model.warnings],
    }


def _write(model: Attacked, verdict: Mapping[str, Any], root: Path) -> None:
    """The files of one model, as the stages write them."""
    folder = root / "data/attack" / model.name
    write_table(folder / "privacy.csv", model.rows, PRIVACY_COLUMNS)
    write_table(folder / "roc.csv", tables.roc_rows(model.name, model.results), ROC_COLUMNS)
    histograms = tables.histogram_rows(model.name, model.results)
    write_table(folder / "histograms.csv", histograms, HISTOGRAM_COLUMNS)
    history = []
    for epoch in model.results:
        row = next(where(model.rows, epoch=epoch, slice=ENTIRE))
        known = {"variant": model.name, "epoch": epoch, "running_accuracy": row["accuracy"]}
        known["val_accuracy"] = row["val_accuracy"]
        history.append(dict.fromkeys(HISTORY_COLUMNS, math.nan) | known)
    write_table(root / f"data/train/{model.name}/history.csv", history, HISTORY_COLUMNS)
    claim.write(claim.path_of(model.name, root / claim.FOLDER), None)
    write_json(path_of(model.name, root), verdict)
