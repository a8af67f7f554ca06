"""What a variant that was removed or renamed leaves behind, and which of it may be deleted."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from privacy_report.pipeline.recorded import ignored, md5, outputs

PLACES = ("metrics", "models", *(f"data/{stage}" for stage in ("canaries", "train", "score")))
PLACES += tuple(f"data/{stage}" for stage in ("reference", "attack", "gate"))
"""Folders in which each entry is named after its variant."""


def left(variants: Collection[str]) -> list[Path]:
    """Files and folders that are named after none of `variants`, where each belongs to one."""
    paths = (path for place in PLACES for path in sorted(Path(place).glob("[!.]*")))
    return [path for path in paths if path.stem not in variants]


def remove(variants: Collection[str]) -> list[Path]:
    """Delete of these what dvc.lock says that the pipeline wrote and nobody has changed; what was deleted."""
    written = {Path(path): digest for path, (_, digest) in outputs().items()}
    candidates = [path for path in left(variants) if path in written and not _has_links(path)]
    passed_over = ignored()
    removed = [path for path in candidates if written[path] == md5(path, passed_over)]
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return removed


def _has_links(path: Path) -> bool:
    """Whether a file or folder is a link or has one: what it leads to is not the pipeline's."""
    return path.is_symlink() or any(entry.is_symlink() for entry in path.rglob("*"))
