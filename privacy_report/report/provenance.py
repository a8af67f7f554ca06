"""Where the numbers come from: parameters, data, commit, versions.

No times of a run, and of commits the one that last changed the inputs: equal inputs give an equal page,
which DVC keeps like any other output.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from privacy_report.pipeline import store
from privacy_report.pipeline.commit import commit, last_change
from privacy_report.report.study import Study

STAGES = ("train", "score", "reference", "attack")
MOST_CHARACTERS = 40_000  # of params.yaml, on the page
PACKAGES = ("privacy-report", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "dp-accounting", "dvc")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on, read without importing them."""
    versions_of = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions_of[package] = version(package)
        except PackageNotFoundError:
            versions_of[package] = "not installed"
    return versions_of


def processors(folder: Path, stages: list[str]) -> list[str]:
    """The kinds of processor that the results of some stages were computed on, as noted in `folder`.

    Files that say anything else are passed over, since notes are for information only.
    """
    kinds: set[str] = set()
    for stage in stages:
        try:
            kinds |= set(json.loads((folder / f"{stage}.json").read_text(encoding="utf-8"))["processors"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(kinds)


def stage_names(variants: Iterable[str]) -> list[str]:
    """The stages that note where their results were computed."""
    return [f"{stage}@{name}" for name in variants for stage in STAGES]


def seeds(value: Any, path: str = "") -> list[str]:
    """All settings of nested parameters whose name is `seed`, as "path.to.seed = value"."""
    if not isinstance(value, dict):
        return []
    settings = []
    for name, inner in value.items():
        here = f"{path}.{name}" if path else str(name)
        settings += [f"{here} = {inner}"] if name == "seed" else seeds(inner, here)
    return settings


def facts(study: Study) -> dict[str, Any]:
    """What the page says about its own origin; left_out: how many characters of params.yaml it does not."""
    parameters = (study.root / "params.yaml").read_text(encoding="utf-8")
    source = (study.params.get("dataset") or {}).get("path")
    kinds = processors(store.root() / "notes", stage_names(study.labels))
    return {
        "dataset": study.dataset,
        "data_of": last_change(source, study.root) if source else "",
        "commit": commit(study.root),
        "parameters": parameters[:MOST_CHARACTERS],
        "left_out": len(parameters[MOST_CHARACTERS:]),
        "seeds": ", ".join(seeds(study.params)) or "none named",
        "processors": kinds if len(kinds) > 1 else [],
        "versions": versions(),
    }
