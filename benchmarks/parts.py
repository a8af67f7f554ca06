"""A benchmark of several parts: each is measured alone, and kept next to the others in one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from privacy_report.pipeline.files import read_json, write_json

Part = Callable[[Path], Any]


def measure(parts: Mapping[str, Part], only: str | None, data: Path, out: Path) -> None:
    """Write what each part gives of the study in `data` into `out`, under its name; of one part if `only`."""
    for name, compute in parts.items():
        if only in (None, name):
            with threadpool_limits(1):
                results = compute(data)
            write_json(out, (read_json(out) if out.exists() else {}) | {name: results})
