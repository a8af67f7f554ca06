"""Which commit results come from: the one that last changed their inputs, so that reruns say the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

INPUTS = ("conf", "nets", "own_data", "privacy_report", "stages")
"""What results depend on; a commit of anything else, such as the results, is not named."""
FORMAT = "--format=%H of %cs"


def commit(root: Path = Path()) -> str:
    """The commit of INPUTS in `root` and its date; "" where git does not keep `root`.

    Inside an experiment of DVC's, whose commits come and go, it is the one that the experiment started from.
    """
    if not (root / "conf").is_dir() or _git(root, "rev-parse", "--is-inside-work-tree") is None:
        return ""
    if base := os.environ.get("DVC_EXP_BASELINE_REV"):
        return f"{base}, and the experiment {os.environ.get('DVC_EXP_NAME', '')} on it"
    if not (last_commit := _git(root, "log", "-1", FORMAT, "--", *INPUTS)):
        return "before the first commit"
    changed = _git(root, "status", "--porcelain", "--", *INPUTS)
    return f"{last_commit}, and changes that were not committed" if changed else last_commit


def last_change(path: str, root: Path = Path()) -> str:
    """The date of the commit that last changed a file, or what DVC's .dvc file says of it; "" for none."""
    date = _git(root, "log", "-1", "--format=%cs", "--", path, f"{path}.dvc")
    return date or ""


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
