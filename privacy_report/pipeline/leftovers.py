"""What a variant that was removed or renamed leaves behind, and which of it may be deleted."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

PLACES = ("metrics", "models", *(f"data/{stage}" for stage in ("canaries", "train", "score")))
PLACES += tuple(f"data/{stage}" for stage in ("reference", "attack", "gate"))
"""Folders in which each entry is named after its variant."""
LOCK = Path("dvc.lock")


def left(variants: Collection[str]) -> list[Path]:
    """Files and folders that are named after none of `variants`, where each belongs to one."""
    found = (path for place in PLACES for path in sorted(Path(place).glob("[!.]*")))
    return [path for path in found if path.stem not in variants]


def remove(variants: Collection[str]) -> list[Path]:
    """Delete of these what dvc.lock says that the pipeline wrote and nobody has changed; what was deleted."""
    written = _written()
    removed = [path for path in left(variants) if path in written and _is_as_written(path, written[path])]
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return removed


def _written() -> dict[Path, dict[str, Any]]:
    """All outputs in dvc.lock, which keeps those of stages that are no more."""
    try:
        stages = yaml.safe_load(LOCK.read_bytes())["stages"]
        return {Path(out["path"]): out for stage in stages.values() for out in stage.get("outs", [])}
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}


def _is_as_written(path: Path, out: dict[str, Any]) -> bool:
    """Whether a file has DVC's digest, or a folder its number of files and bytes. A link has neither."""
    if path.is_symlink():
        return False
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == out.get("md5")
    inside = [one for one in path.rglob("*") if one.is_symlink() or not one.is_dir()]
    size = sum(one.lstat().st_size for one in inside)
    return (len(inside), size) == (out.get("nfiles"), out.get("size"))
