"""Where the numbers come from: commit, parameters, data, versions, and how long it took."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from privacy_report.pipeline import store
from privacy_report.report.study import Study

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "scikit-learn", "dp-accounting", "dvc")


def commit(root: Path) -> str:
    """The commit that is checked out under `root`, "unknown" outside git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return asked.stdout.strip() if asked.returncode == 0 else "unknown"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on, read without importing them."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def read_notes(folder: Path) -> dict[str, dict[str, Any]]:
    """What each stage noted when it last ran here, by "stage" or "stage@variant".

    seconds: how long its results took when they were computed; processors: on which kinds. Files that say
    anything else are passed over, since notes are for information only.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            note = json.loads(path.read_text())
            found[path.stem] = {"seconds": float(note["seconds"]), "processors": list(note["processors"])}
        except (ValueError, KeyError, TypeError):
            continue
    return found


def stage_names(variants: list[str]) -> list[str]:
    """The stages in the order of the graph, as their times are named."""
    chain = [f"{stage}@{name}" for name in variants for stage in ("train", "score", "attack")]
    return ["prepare", *chain, "gate"]


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "not recorded"
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.1f} min" if minutes < 90 else f"{hours:.1f} h"


def seeds(value: Any, path: str = "") -> list[str]:
    """All settings of nested parameters whose name is `seed`, as "path.to.seed = value"."""
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        here = f"{path}.{name}" if path else str(name)
        found += [f"{here} = {inner}"] if name == "seed" else seeds(inner, here)
    return found


def facts(study: Study, most_characters: int) -> dict[str, Any]:
    """What the page says about its own origin, with at most so much of params.yaml."""
    parameters = (study.root / "params.yaml").read_text()
    names, notes = stage_names(list(study.labels)), read_notes(store.root() / "notes")
    kinds = sorted({kind for name in names for kind in notes.get(name, {}).get("processors", ())})
    return {
        "commit": commit(study.root),
        "dataset": study.dataset,
        "parameters": parameters[:most_characters],
        "left_out": len(parameters[most_characters:]),
        "seeds": ", ".join(seeds(study.params)) or "none named",
        "processors": kinds,
        "times": {name: duration(notes.get(name, {}).get("seconds")) for name in names},
        "versions": versions(),
    }
