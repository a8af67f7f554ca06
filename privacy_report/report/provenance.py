"""Where the numbers come from: commit, parameters, data, versions, and how long it took."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

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


def read_times(root: Path) -> dict[str, float]:
    """Seconds that each stage took when it last ran here, by "stage" or "stage@variant".

    Stages leave them in .store/timings/*.json as {"seconds": float}; a file that says anything else is
    passed over, since times are for information only.
    """
    found = {}
    for path in sorted((root / ".store/timings").glob("*.json")):
        try:
            found[path.stem] = float(json.loads(path.read_text())["seconds"])
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


def seeds(parameters: str) -> str:
    """The lines of params.yaml that set a seed, as "path.to.seed = value"."""
    found, path = [], []  # type: list[str], list[tuple[int, str]]
    for line in parameters.splitlines():
        if match := re.match(r"^( *)([\w.-]+):\s*(.*)$", line):
            depth = len(match[1])
            path = [item for item in path if item[0] < depth] + [(depth, match[2])]
            if "seed" in match[2] and match[3]:
                found.append(".".join(name for _, name in path) + f" = {match[3]}")
    return ", ".join(found) or "none named"


def facts(study: Study) -> dict[str, Any]:
    """What the page says about its own origin."""
    parameters = (study.root / "params.yaml").read_text()
    times = read_times(study.root)
    return {
        "commit": commit(study.root),
        "dataset": study.dataset,
        "parameters": parameters,
        "seeds": seeds(parameters),
        "times": {name: duration(times.get(name)) for name in stage_names(list(study.labels))},
        "versions": versions(),
    }
